"""`assent ledger` as people and pipelines call it, against a server on the loopback."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from assent.ledger import service
from assent.ledger.domain import EMPTY, grow
from assent_client.cli import tree
from assent_client.cli.main import main
from assent_client.errors import Frozen, Invalid, NotFound


@pytest.fixture
def assent(served, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("ASSENT_URL", served.url)
    monkeypatch.setenv("ASSENT_TOKEN", served.token)
    monkeypatch.setenv("ASSENT_PROJECT", "a")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setitem(tree.COMMANDS, "ledger", tree.Entry("The client's verbs alone."))
    monkeypatch.chdir(tmp_path)

    def run(*words):
        code = main(["ledger", *words, "--json"])
        out, err = capsys.readouterr()
        return code, json.loads(out or err)

    return run


@pytest.fixture
def root(assent):
    assert assent("root", "-o", "root.json")[0] == 0
    return "root.json"


def test_entries_are_listed(assent):
    code, items = assent("list")
    assert (code, [row["index"] for row in items]) == (0, [4, 3])
    assert [row["index"] for row in assent("list", "--everywhere", "--limit", "3")[1]] == [4, 3, 2]
    assert [row["index"] for row in assent("list", "--type", "identity.project.created")[1]] == [3]
    assert [
        row["index"] for row in assent("list", "--subject", "production", "--since", "2026-01-01")[1]
    ] == [4]
    assert assent("list", "--until", "2026-01-01T00:00:00+0000")[1] == []
    assert assent("list", "--actor", "usr_x")[1] == []


def test_a_list_is_a_table_for_people(assent, capsys):
    assert main(["ledger", "list"]) == 0
    assert "identity.environment.created" in capsys.readouterr().out


def test_an_entry_is_shown_by_index_and_id(assent):
    code, by_index = assent("show", "4")
    assert code == 0
    assert by_index["data"]["name"] == "production"
    assert assent("show", by_index["id"])[1] == by_index
    assert assent("show", "0", "--everywhere")[1]["index"] == 0
    assert assent("show", "0")[0] == NotFound.exit_code


def test_a_ledger_verifies_against_a_root_that_the_caller_holds(assent, root):
    code, found = assent("verify", "--trust", root)
    assert (code, found["verdict"], found["size"], found["origin"]) == (
        0,
        "verified",
        5,
        "log.example/assent",
    )


def test_without_a_root_the_issuer_is_unknown_and_the_exit_code_says_so(assent, capsys):
    code, found = assent("verify")
    assert (code, found["verdict"]) == (3, "consistent, issuer unknown")
    assert main(["ledger", "verify"]) == 3
    assert "Give --trust ROOT" in capsys.readouterr().err


def test_what_was_seen_is_kept_and_must_continue(assent, root, served):
    assert assent("verify", "--trust", root, "--seen", "seen")[1]["seen_size"] is None
    served.installed.fill(9)
    assert assent("verify", "--trust", root, "--seen", "seen")[1]["seen_size"] == 5
    served.installed.pin.unlink()
    served.installed.behind_the_back(
        *(f"DELETE FROM ledger_{name} WHERE idx >= 5" for name in ("leaves", "mentions")),
    )
    with served.installed.session.read() as reader:
        leaves = service.leaves(reader, 0, 5)
    rewind(served.installed, leaves)
    code, found = assent("verify", "--trust", root, "--seen", "seen")
    assert (code, found["verdict"]) == (1, "does not hold")
    assert found["problem"] == "the log shows 5 leaves, but had 9 before"
    assert found["first_bad_leaf"] == 5


def test_a_damaged_ledger_fails_and_the_leaf_is_named(assent, root, served):
    served.installed.checkpoint()
    served.installed.behind_the_back(
        "UPDATE ledger_leaves SET entry = (SELECT entry FROM ledger_leaves WHERE idx = 0) WHERE idx = 2"
    )
    code, found = assent("verify", "--trust", root)
    assert (code, found["first_bad_leaf"], found["problem"]) == (1, 2, "leaf 2: entry and tile disagree")


def test_a_kept_proof_verifies_offline(assent, root, monkeypatch):
    code, found = assent("proof", "4", "--trust", root, "-o", "proof.json")
    assert (code, found["verdict"], found["file"]) == (0, "verified", "proof.json")
    monkeypatch.setenv("ASSENT_URL", "http://127.0.0.1:1")
    code, found = assent("verify", "--proof", "proof.json", "--trust", root)
    assert (code, found["verdict"], found["index"]) == (0, "verified", 4)
    kept = json.loads(Path("proof.json").read_text())
    for name, changed in (
        ("index", 3),
        ("entry", kept["entry"].replace("A", "B", 1)),
        ("proof", kept["proof"][:-1]),
    ):
        write("forged.json", {**kept, name: changed})
        assert assent("verify", "--proof", "forged.json", "--trust", root)[0] == 1
    for rubbish in ({}, [], {**kept, "index": "4"}, {**kept, "proof": None}, {**kept, "checkpoint": 5}):
        write("rubbish.json", rubbish)
        assert assent("verify", "--proof", "rubbish.json", "--trust", root)[0] == Invalid.exit_code
    assert assent("verify", "--proof", "proof.json")[0] == Invalid.exit_code
    assert assent("verify", "--proof", "absent.json", "--trust", root)[0] == NotFound.exit_code
    assert assent("verify", "--proof", root, "--trust", "proof.json")[0] == Invalid.exit_code
    Path("text").write_bytes(b"\xff")
    assert assent("verify", "--proof", "text", "--trust", root)[0] == Invalid.exit_code
    Path("text").write_text("no json")
    assert assent("verify", "--proof", "text", "--trust", root)[0] == Invalid.exit_code


def test_a_proof_without_a_root_is_printed_with_the_issuer_unknown(assent):
    code, found = assent("proof", "0", "--everywhere")
    assert (code, found["verdict"], found["index"]) == (3, "consistent, issuer unknown", 0)
    assert found.keys() >= {"entry", "proof", "checkpoint"}


def test_the_root_document_is_printed(assent, served):
    code, root = assent("root")
    assert (code, root["log_vkey"]) == (0, served.installed.vkey)


def test_a_file_that_cannot_be_written_is_said(assent):
    assert assent("root", "-o", "absent/root.json")[0] == Frozen.exit_code


def write(path, value):
    Path(path).write_text(json.dumps(value))


def rewind(installed, leaves):
    """Make the head what it was at so many leaves, as a restored backup would."""
    head, _ = grow(EMPTY, [leaf.hash for leaf in leaves])
    change = sa.text("UPDATE ledger_head SET size = :s, frontier = :f, root = :r")
    installed.behind_the_back(change.bindparams(s=head.size, f=b"".join(head.frontier), r=head.root))
