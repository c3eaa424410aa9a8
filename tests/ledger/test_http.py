import base64

import httpx
import pytest

from assent.identity import service as identity
from assent.identity.domain import GroupCreated
from assent.kernel.tx import SYSTEM, Actor
from assent_client.errors import Forbidden, Frozen, Invalid, NotFound, Unauthenticated
from assent_client.verify.log import verify_entry, verify_log
from assent_client.verify.merkle import VerificationError
from assent_client.verify.note import verify_note


def get(served, path):
    return httpx.get(f"{served.url}{path}")


def test_anybody_may_verify_the_log(served):
    served.installed.fill(300)
    with served.api() as api:
        found = verify_log(lambda path: api.read(f"/ledger/{path}"), vkey=served.installed.vkey)
    assert found.checkpoint.size == 300
    root = get(served, "/ledger/root").json()
    assert get(served, "/ledger/vkey").text == root["log_vkey"] + "\n"
    assert root.keys() == {"origin", "log_vkey", "snapshot_vkey"}


def test_a_tile_may_be_kept_for_ever_and_a_checkpoint_not_at_all(served):
    tile = get(served, "/ledger/tile/0/000.p/1")
    assert (tile.status_code, len(tile.content), tile.headers["content-type"]) == (
        200,
        32,
        "application/octet-stream",
    )
    assert tile.headers["cache-control"] == "public, max-age=31536000, immutable"
    checkpoint = get(served, "/ledger/checkpoint")
    assert checkpoint.headers["content-type"] == "text/plain; charset=utf-8"
    assert checkpoint.headers["cache-control"] == "no-cache"
    assert verify_note(checkpoint.text, [served.installed.vkey]).size == 5
    assert get(served, "/ledger/vkey").headers["cache-control"] == "public, max-age=86400"


@pytest.mark.parametrize("path", ["0/000", "0/0", "entries/001", "9/000", "", "..%2f..", "0/000.p/256"])
def test_a_tile_that_is_not_there_is_not_found(served, path):
    answer = get(served, f"/ledger/tile/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "cache-control" not in answer.headers


def test_a_frozen_ledger_still_serves_its_tiles(served):
    served.installed.checkpoint()
    served.installed.pin.write_text("rubbish")
    assert get(served, "/ledger/checkpoint").status_code == Frozen.status
    assert get(served, "/ledger/tile/0/000.p/1").status_code == 200


def test_a_project_lists_its_own_entries_newest_first(served):
    served.installed.record(GroupCreated(project="b", name="reviewers"))
    with served.api() as api:
        mine = list(api.pages(api.path("ledger", "entries"), limit=1))
        everything = list(api.pages("/v1/ledger/entries", limit=2))
    assert [(row["index"], row["type"]) for row in mine] == [
        (4, "identity.environment.created"),
        (3, "identity.project.created"),
    ]
    assert mine[0]["data"] == {"project": "a", "name": "production", "protected": True}
    assert (mine[0]["actor"], mine[0]["project"], mine[0]["reason"]) == (SYSTEM.id, "a", None)
    assert mine[0]["at"] == "2026-01-01T00:00:00.000000Z"
    assert [row["index"] for row in everything] == [5, 4, 3, 2, 1, 0]


def test_entries_are_filtered(served):
    def found(**query):
        with served.api() as api:
            return [row["index"] for row in api.get(api.path("ledger", "entries"), **query)["items"]]

    assert found(type="identity.environment.") == [4]
    assert found(subject="production") == [4]
    assert found(actor="usr_x") == []
    assert found(since="2026-01-01T00:00:00Z") == [4, 3]
    assert found(until="2026-01-01T00:00:00+00:00") == []


def test_who_did_it_is_asked_and_told_by_name(served):
    with served.installed.session.begin(SYSTEM) as tx:
        wilma = identity.add_person(tx, "wilma")
    with served.installed.session.begin(Actor(wilma.id, "person")) as tx:
        tx.record(GroupCreated(project="a", name="risk"))
    with served.api() as api:
        path = api.path("ledger", "entries")
        (by_name,), (by_id,) = (api.get(path, actor=who)["items"] for who in ("wilma", wilma.id))
        assert (by_name["actor"], by_name["actor_name"], by_name["data"]["name"]) == (
            wilma.id,
            "wilma",
            "risk",
        )
        assert by_id == by_name
        assert api.get(f"{path}/{by_name['id']}")["actor_name"] == "wilma"


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 201},
        {"cursor": -1},
        {"cursor": "x"},
        {"since": "2026-01-01"},
        {"since": "2026-01-01T00:00:00"},
        {"typo": "x"},
    ],
)
def test_a_malformed_question_is_refused(served, query):
    with served.api() as api, pytest.raises(Invalid):
        api.get(api.path("ledger", "entries"), **query)


@pytest.mark.parametrize("path", ["/v1/projects/a/ledger/entries", "/v1/ledger/entries"])
def test_an_entry_comes_with_a_proof_that_verifies(served, path):
    with served.api() as api:
        [newest] = api.get(path, limit=1)["items"]
        by_id, by_index = api.get(f"{path}/{newest['id']}"), api.get(f"{path}/{newest['index']}")
    assert by_id == by_index
    assert newest.items() <= by_id.items()
    content, proof = base64.b64decode(by_id["entry"]), [base64.b64decode(node) for node in by_id["proof"]]
    verify_entry(content, 4, proof, by_id["checkpoint"], served.installed.vkey)
    with pytest.raises(VerificationError):
        verify_entry(content, 3, proof, by_id["checkpoint"], served.installed.vkey)


def test_an_entry_that_is_not_the_projects_is_not_found(served):
    with served.api() as api:
        for entry in ("0", "99", "evt_x"):
            with pytest.raises(NotFound):
                api.get(api.path("ledger", "entries", entry))
        for entry in ("99", "evt_x"):
            with pytest.raises(NotFound):
                api.get(f"/v1/ledger/entries/{entry}")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/projects/a/ledger/entries",
        "/v1/ledger/entries",
        "/v1/ledger/entries/0",
        "/v1/projects/a/ledger/entries/3",
    ],
)
def test_entries_are_for_those_who_may_read_them(served, path):
    assert get(served, path).json()["code"] == Unauthenticated.code
    with served.installed.session.begin(SYSTEM) as tx:
        gateway = service_token(tx)
    with served.api(gateway) as api, pytest.raises(Forbidden):
        api.get(path)


def service_token(tx):
    account = identity.add_service(tx, "edge")
    identity.bind(tx, account.id, "gateway", "a")
    return identity.issue_token(tx, account.id, "edge", None)
