"""`assent ledger replay --check` and `verify --database` on a database of our own."""

import json
import sqlite3

import pytest

from assent_client.cli.main import main
from assent_client.errors import Invalid


@pytest.fixture
def assent(tmp_path, monkeypatch, capsys):
    for name in ("ASSENT_BOOTSTRAP_TOKEN", "ASSENT_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ASSENT_DATA_DIR", str(tmp_path / "data"))

    def run(*words):
        code = main(["--json", *words])
        out, err = capsys.readouterr()
        return code, json.loads(out or err), err

    assert run("init", "--admin", "ada")[0] == 0
    return run


def edit(tmp_path, statement):
    with sqlite3.connect(tmp_path / "data" / "assent.db") as edited:
        edited.execute(statement)
    edited.close()


def test_untouched_tables_are_equal_to_the_replay(assent):
    code, found, _ = assent("ledger", "replay", "--check")
    assert (code, found["verdict"], found["n_differences"]) == (0, "equal", 0)
    assert found["n_leaves"] == found["n_rows"] > 0


def test_an_edited_row_is_named_by_table_row_and_column(assent, tmp_path, capsys):
    edit(tmp_path, "UPDATE identity_bindings SET role = 'owner'")
    code, found, _ = assent("ledger", "replay", "--check")
    assert (code, found["verdict"]) == (1, "differs")
    assert {one["table"] for one in found["differences"]} == {"identity_bindings"}
    assert main(["ledger", "replay", "--check"]) == 1
    assert "identity_bindings[" in capsys.readouterr().err


def test_a_replay_without_check_says_what_to_write(assent):
    code, _, err = assent("ledger", "replay")
    assert code == Invalid.exit_code
    assert "--check" in err


def test_the_rows_of_a_database_verify(assent):
    code, found, _ = assent("ledger", "verify", "--database")
    assert (code, found["verdict"]) == (0, "verified")
    assert found["size"] > 0


def test_a_damaged_leaf_fails_both(assent, tmp_path):
    edit(tmp_path, "DROP TRIGGER ledger_leaves_no_update")
    edit(tmp_path, "UPDATE ledger_leaves SET entry = X'7b7d' WHERE idx = 1")
    for words in (("ledger", "verify", "--database"), ("ledger", "replay", "--check")):
        code, found, _ = assent(*words)
        assert (code, found["first_bad_leaf"]) == (1, 1)
