"""The holes that other registries have, each closed."""

import threading

import pytest
import sqlalchemy as sa

from assent.kernel.errors import TooLarge
from assent.registry import service
from assent.registry.service import Change, Pointer
from tests.prompts.shelf import PROJECT

BODY = {"name": "support", "version": "1.0.0", "provider": "acme", "upstream_model": "m-1", "tier": "limited"}


def test_sixteen_threads_register_ten_versions_each_and_lose_none(shelf):
    failures = []

    def work(worker):
        try:
            for turn in range(10):
                shelf.model(f"{worker}.{turn}.0")
        except Exception as error:  # noqa: BLE001 -- told below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    found = shelf.read(service.list_versions, PROJECT, "support")
    assert {one.number for one in found} == {f"{w}.{t}.0" for w in range(16) for t in range(10)}
    assert len({one.id for one in found}) == 160


def test_no_route_changes_a_version(client):
    before = client.post("/models", json=BODY).json()
    changed = {**BODY, "upstream_model": "other", "owner": "thief"}
    for path in ("/models", "/models/support", "/models/support/1.0.0", "/resolve/model/support@1.0.0"):
        for verb in ("post", "put", "patch"):
            answer = getattr(client, verb)(path, json=changed)
            assert answer.status_code in {404, 405, 409}, (verb, path, answer.status_code)
    after = client.get("/models/support/1.0.0").json()
    assert {**after, "created": True} == before


def test_a_version_is_resolved_by_one_query(shelf):
    shelf.prompt(text="Hi")
    version, _ = shelf.model(prompt="greeting@1.0.0")
    with shelf.begin() as tx:
        pointer = Pointer(project=PROJECT, name="support", label="champion")
        service.move_label(tx, Change(pointer=pointer), "1.0.0")
    for ref in ("support@1.0.0", "support@champion", "support@latest"):
        statements = []
        with shelf.session.read() as reader:
            sa.event.listen(reader.conn, "before_cursor_execute", lambda *args: statements.append(args[2]))  # noqa: B023 -- called within
            found = service.resolve(reader, PROJECT, ref)
        assert found.digest == version.digest
        assert len(statements) == 1
        assert statements[0].lstrip().startswith("SELECT")


def test_a_document_that_was_swapped_in_the_database_is_not_resolved(shelf, client):
    version, _ = shelf.model()
    other, _ = shelf.model("2.0.0")
    shelf.behind_the_back(sa.text("DELETE FROM registry_documents"))
    assert client.get("/resolve/model/support@1.0.0").status_code == 404
    shelf.behind_the_back(
        sa.text("INSERT INTO registry_documents (digest, content) VALUES (:d, '{}')").bindparams(
            d=version.digest
        )
    )
    answer = client.get("/resolve/model/support@1.0.0")
    assert answer.status_code == 422
    assert "changed in the database" in answer.json()["detail"]
    assert other.digest != version.digest


def test_a_body_of_ten_megabytes_is_refused_and_leaves_nothing(shelf, client):
    n_leaves = len(shelf.leaves())
    for content in (
        {"description": "x" * 10_000_000},
        {"parameters": {"stop": ["x" * 5_000_000, "y" * 5_000_000]}},
        {"tags": ["t" * 10_000_000]},
    ):
        answer = client.post("/models", json={**BODY, **content})
        assert answer.status_code in {413, 422}, answer.status_code
        assert len(answer.content) < 10_000
        with pytest.raises(TooLarge):
            shelf.model(**content)
    assert len(shelf.leaves()) == n_leaves


@pytest.mark.parametrize(
    "name", ["a/b", "../x", "ä", "a\x00b", "a\nb", "a\u202eb", "a@b", "", " ", "a" * 64, "💩"]
)
def test_a_hostile_name_is_refused_at_registration(client, name):
    answer = client.post("/models", json={**BODY, "name": name})
    assert answer.status_code == 422
    assert client.get("/models").json()["items"] == []
    for query in ({"name": name}, {"filter": f'name = "{name}"'}, {"q": name}):
        assert client.get("/models", params=query).status_code in {200, 422}
