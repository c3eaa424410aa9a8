"""`assent incident` as an operator calls it, against a server on the loopback."""

import json

import pytest
import sqlalchemy as sa

from assent.identity import service as identity
from assent.monitoring import store
from assent_client.cli.main import main


@pytest.fixture
def assent(served, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("ASSENT_URL", served.url)
    monkeypatch.setenv("ASSENT_TOKEN", served.tokens["admin"])
    monkeypatch.setenv("ASSENT_PROJECT", "acme")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)

    def run(*words, as_json=True):
        code = main(["incident", *words, *(["--json"] if as_json else [])])
        out, err = capsys.readouterr()
        return code, (json.loads(out or err) if as_json else out + err)

    return run


@pytest.fixture
def incident(served, assent):
    served.desk.traffic(8, canary_down=0.05)
    served.desk.traffic(30, canary_down=0.6)
    code, items = assent("list")
    assert code == 0
    return items[0]["id"]


def test_no_incidents(assent):
    assert assent("list") == (0, [])
    assert "No incidents." in assent("list", as_json=False)[1]


def test_an_incident_is_shown_in_figures(assent, incident):
    code, found = assent("show", incident)
    assert (code, found["guard"]) == (0, "thumbs_down")
    text = assent("show", incident, as_json=False)[1]
    assert "thumbs_down: canary 0." in text
    assert "at weight 0.75; canary 0." in text
    assert incident in assent("list", as_json=False)[1]


def test_an_incident_is_worked_off(assent, incident):
    assert assent("acknowledge", incident)[1]["state"] == "acknowledged"
    assert assent("resolve", incident, "--note", "rolled back")[1]["note"] == "rolled back"
    assert assent("review", incident, "--text", "more cases")[1]["state"] == "reviewed"
    assert assent("resolve", incident, "--note", "again")[0] == 15
    assert assent("show", "inc_none")[0] == 13


def test_a_verdict_is_replayed_and_an_edit_is_found(served, assent, incident):
    code, evidence = assent("replay", incident)
    assert (code, evidence["matches"]) == (0, True)
    assert "as recorded, to the bit" in assent("replay", incident, as_json=False)[1]
    blocks = store.tables.blocks
    with served.desk.writing() as tx:
        tx.conn.execute(sa.update(blocks).values(guards=[]))
    code, text = assent("replay", incident, as_json=False)
    assert code == 1
    assert "NOT as recorded" in text
    assert "blocks whose digest is wrong" in text


def test_an_incident_is_run_by_hand_from_opening_to_review(served, assent):
    with served.desk.writing() as tx:
        identity.create_environment(tx, "acme", "production", protected=True)
    code, found = assent(
        "open", "--environment", "production", "--title", "wrong language", "--severity", "critical",
        "--name", "assistant",
    )  # fmt: skip
    assert (code, found["state"], found["title"]) == (0, "open", "wrong language")
    name = found["id"]
    assert assent("note", name, "--text", "since the deployment")[0] == 0
    assert assent("acknowledge", name)[0] == 0
    assert assent("mitigate", name)[1]["state"] == "mitigated"
    assert assent("replay", name)[0] == 15
    assert assent("resolve", name, "--note", "rolled back")[0] == 0
    assert assent("review", name, "--text", "x", "--action", "nobody does it")[0] == 10
    code, found = assent(
        "review", name, "--text", "x", "--cause", "haste", "--action", "ada: add cases by 2026-12-01",
        "--action", "bo: tell users",
    )  # fmt: skip
    assert found["actions"] == [
        {"what": "add cases", "owner": "ada", "due": "2026-12-01"},
        {"what": "tell users", "owner": "bo", "due": None},
    ]
    items = assent("timeline", name)[1]["items"]
    assert [one["text"] for one in items if one["text"]] == [
        "wrong language",
        "since the deployment",
        "rolled back",
    ]
    text = assent("show", name, as_json=False)[1]
    assert "clock: open for" in text
    assert "action: add cases (ada, by 2026-12-01)" in text
    assert "cause: haste" in text
