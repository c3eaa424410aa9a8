"""`assent init`, and what every command says about an environment that is wrong."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from assent.installation import prepare
from assent.kernel.settings import load
from assent_client.cli.main import main
from assent_client.errors import Frozen, Invalid, Unavailable


@pytest.fixture(autouse=True)
def assent(tmp_path, monkeypatch, capsys):
    for name in ("ASSENT_BOOTSTRAP_TOKEN", "ASSENT_DATABASE_URL", "ASSENT_URL", "ASSENT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ASSENT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)

    def run(*words, **env):
        for name, value in env.items():
            monkeypatch.setenv(f"ASSENT_{name}", value)
        code = main(["--json", *words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_the_first_start_prints_a_token_once_and_the_second_adds_nobody(assent, tmp_path):
    code, out, _ = assent("init", "--admin", "ada")
    first = json.loads(out)
    assert (code, first["admin"], first["data_dir"]) == (0, "ada", str(tmp_path / "data"))
    assert first["token"].startswith("assent_pat_")
    code, out, _ = assent("init", "--admin", "eve")
    second = json.loads(out)
    assert (code, second["admin"], second["token"]) == (0, None, None)


def test_a_token_that_was_given_is_not_printed(assent):
    given = "assent_pat_" + "3fX" * 14
    code, out, err = assent("init", BOOTSTRAP_TOKEN=given)
    assert (code, json.loads(out)["token"]) == (0, None)
    assert given not in out + err


def test_a_weak_bootstrap_token_is_refused_and_not_repeated(assent):
    code, out, err = assent("init", BOOTSTRAP_TOKEN="hunter2")
    assert code == Invalid.exit_code
    assert "too weak" in err
    assert "at least 32 random characters" in err
    assert "hunter2" not in out + err


@pytest.mark.parametrize("below", ["", "data"])
def test_a_data_directory_that_cannot_be_used_is_named(assent, tmp_path, below):
    (tmp_path / "file").write_text("")
    code, _, err = assent("init", DATA_DIR=str(tmp_path / "file" / below))
    assert code == Frozen.exit_code
    assert str(tmp_path / "file" / below) in err
    assert "ASSENT_DATA_DIR" in err


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("nonsense", "Could not parse"),
        ("mysql://u:geheim@127.0.0.1/x", "neither PostgreSQL nor SQLite"),
        ("postgresql://u:geheim@127.0.0.1:port/x", "port is not a number"),
    ],
)
def test_an_address_of_no_database_is_refused_without_its_password(assent, url, why):
    for words in (["init"], ["ledger", "replay", "--check"], ["ledger", "verify", "--database"]):
        code, _, err = assent(*words, DATABASE_URL=url)
        assert code == Invalid.exit_code
        assert "ASSENT_DATABASE_URL" in err
        assert why in err
        assert "geheim" not in err


def test_a_database_that_does_not_answer_is_said_without_its_password(assent):
    code, _, err = assent("init", DATABASE_URL="postgresql://u:geheim@127.0.0.1:1/x")
    assert code == Unavailable.exit_code
    assert "u:***@127.0.0.1:1" in err
    assert "geheim" not in err


def test_every_wrong_setting_is_named(assent):
    code, _, err = assent("init", PORT="99999", LOG_LEVEL="loud")
    assert code == Invalid.exit_code
    assert "ASSENT_PORT" in err
    assert "ASSENT_LOG_LEVEL" in err


def test_a_database_without_a_schema_says_to_run_init(assent, tmp_path):
    (tmp_path / "data").mkdir()
    code, _, err = assent("ledger", "verify", "--database")
    assert code == Unavailable.exit_code
    assert "assent init" in err


def test_a_gateway_needs_a_project_and_an_environment(assent):
    for place in ("support", "/production", "support/", "a/b/c"):
        code, _, err = assent("gateway", place, "--token", "t")
        assert code == Invalid.exit_code
        assert "PROJECT/ENVIRONMENT" in err


def test_processes_that_start_at_once_bring_one_schema_up_to_date(any_database, tmp_path):
    prepare = (
        "from assent.installation import prepare; from assent.kernel.settings import load; prepare(load())"
    )
    env = {**os.environ, "ASSENT_DATA_DIR": str(tmp_path / "data"), "ASSENT_DATABASE_URL": any_database}
    starters = [
        subprocess.Popen([sys.executable, "-c", prepare], env=env, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [each.communicate(timeout=60)[1] for each in starters]
    assert [each.returncode for each in starters] == [0, 0, 0], said


def test_a_data_directory_is_tried_by_many_at_once(tmp_path):
    settings = load(data_dir=tmp_path, database_url="")
    prepare(settings)
    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(prepare, settings) for _ in range(80)]:
            done.result(60)
    assert not [one for one in tmp_path.iterdir() if one.name.startswith((".writable", "tmp"))]
