"""Compliance over HTTP and on the command line, on a whole installation."""

import json
import subprocess
import sys

import pytest

from assent.identity import service as identity
from assent.kernel.errors import Forbidden, Invalid, NotFound
from assent.ledger import service as ledger
from assent_client.api import Api
from assent_client.cli.main import main
from assent_client.verify.pack import verify_pack
from tests.approvals.shop import PROJECT
from tests.cards.conftest import NAME
from tests.compliance.conftest import ANSWERS
from tests.serving import listening

REF = f"{NAME}@2.1.0"


@pytest.fixture
def served(office):
    """The office behind its server; `api(name)` speaks as somebody."""
    installation = office.desk.installation
    with listening(installation.app) as port:
        office.url = f"http://127.0.0.1:{port}"
        office.api = lambda who: Api(office.url, office.desk.tokens[who], PROJECT)
        yield office


def path(api, *parts):
    return api.path(*parts)


def test_the_catalogues_and_the_questionnaire_are_there_with_date_and_source(served):
    with served.api("ada") as api:
        items = api.get(path(api, "catalogues"))["items"]
        asked = api.get(path(api, "questionnaire"))
    assert next(one["id"] for one in items) == "owasp-aisvs"
    assert all(one["as_of"] and one["source"] and one["secondary"] for one in items)
    assert {"gate_before_run"} <= {check for one in items for row in one["rows"] for check in row["checks"]}
    assert asked["id"] == "risk-tier-1"


def test_coverage_is_filtered_and_says_that_it_is_no_assessment(served):
    with served.api("ada") as api:
        where = path(api, "systems", REF, "coverage")
        whole = api.get(where)
        met = api.get(where, standing="met", catalogue="owasp-aisvs")
        with pytest.raises(NotFound):
            api.get(where, catalogue="sr-11-7")
        with pytest.raises(Invalid):
            api.get(where, standing="green")
    assert len(whole["catalogues"]) == 5
    assert whole["says"] == "what the record shows, not a legal assessment"
    assert {row["note"] for one in whole["catalogues"] for row in one["rows"]} == {whole["says"]}
    (one,) = met["catalogues"]
    assert {row["standing"] for row in one["rows"]} == {"met"}


def test_systems_are_assigned_classified_and_kept_by_those_who_may(served):
    with served.api("root") as api:
        held = api.put(path(api, "systems", NAME, "roles", "owner"), {"person": "ada", "reason": "hers"})
        api.put(path(api, "retention"), {"logs_days": 400, "records_days": 4000, "reason": "law"})
        assert (held["person"], held["assigned_by"]) == ("ada", "root")
    with served.api("rita") as api:
        answers = {"answers": {**ANSWERS, "talks": "yes"}, "reason": "it talks"}
        assert api.post(path(api, "systems", NAME, "classifications"), answers)["tier"] == "limited"
        stated = {"catalogue": "eu-ai-act", "row": "72", "reason": "we have a plan"}
        assert api.post(path(api, "systems", NAME, "statements"), stated)["expires_at"] > "2026"
        (system,) = api.get(path(api, "inventory"))["items"]
        assert (system["roles"], system["classified"], system["below"]) == (
            {"owner": "ada"},
            "limited",
            False,
        )
        assert api.get(path(api, "retention"))["logs_days"] == 400
    with served.api("ada") as api:
        with pytest.raises(Forbidden):
            api.put(path(api, "systems", NAME, "roles", "owner"), {"person": "ada", "reason": "mine"})
        with pytest.raises(Forbidden):
            api.post(path(api, "systems", NAME, "classifications"), answers)
        with pytest.raises(Forbidden):
            api.put(path(api, "retention"), {"logs_days": 1, "records_days": 1, "reason": "short"})


def test_nothing_is_retained_until_it_is_set(served):
    with served.api("ada") as api:
        assert api.get(path(api, "retention")) == {"logs_days": None, "records_days": None}
        with pytest.raises(Invalid):
            api.post(path(api, "packs"), {"about": REF, "colour": "red"})


def test_a_pack_comes_as_a_file_that_verifies(served):
    with served.api("ada") as api:
        assert api.post(path(api, "packs"), {"about": REF})["n_issued"] > 0
        assert api.post(path(api, "packs"), {"about": REF})["n_issued"] == 0
        content = api.read(path(api, "packs", REF))
        root = api.read("/ledger/root").decode()
    assert verify_pack(content, root).trusted


def test_an_auditor_makes_packs_and_nothing_else(served):
    installation = served.desk.installation
    token = installation.token(installation.person("audrey", "auditor"))
    with Api(served.url, token, PROJECT) as api:
        api.post(path(api, "packs"), {"about": NAME})
        assert verify_pack(api.read(path(api, "packs", NAME))).about["ref"] == NAME
        with pytest.raises(Forbidden):
            api.post(path(api, "systems", NAME, "classifications"), {"answers": ANSWERS, "reason": "x"})


@pytest.fixture
def command(served, monkeypatch, capsys):
    """Run the command line as the administrator; gives the exit code and what it printed."""
    monkeypatch.setenv("ASSENT_URL", served.url)
    monkeypatch.setenv("ASSENT_PROJECT", PROJECT)
    monkeypatch.setenv("ASSENT_TOKEN", served.desk.tokens["root"])

    def run(*arguments):
        code = main([str(one) for one in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_a_pack_is_made_and_verified_on_the_command_line_with_three_exit_codes(command, tmp_path):
    pack, root, other = tmp_path / "pack.zip", tmp_path / "root.json", tmp_path / "other.json"
    code, out, _ = command("pack", "create", REF, "--out", pack, "--json")
    assert (code, json.loads(out)["bytes"]) == (0, pack.stat().st_size)
    assert command("ledger", "root", "-o", root)[0] == 0
    code, out, _ = command("pack", "verify", pack, "--trust", root)
    assert (code, "verified" in out) == (0, True)
    code, out, err = command("pack", "verify", pack)
    assert (code, "consistent, issuer unknown" in out, "--trust ROOT" in err) == (3, True, True)
    document = json.loads(root.read_text())
    other.write_text(json.dumps({**document, "log_vkey": document["snapshot_vkey"]}))
    assert command("pack", "verify", pack, "--trust", other)[0] == 1
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.write_bytes(content)
    code, out, _ = command("pack", "verify", pack, "--trust", root)
    assert (code, "does not hold" in out) == (1, True)


def test_files_that_are_not_there_are_said_so(command, tmp_path):
    assert command("pack", "verify", tmp_path / "none")[0] == 13
    assert command("pack", "verify", tmp_path)[0] == 10
    pack = tmp_path / "pack.zip"
    pack.write_bytes(b"x")
    binary = tmp_path / "root"
    binary.write_bytes(b"\xff\xfe")
    assert command("pack", "verify", pack, "--trust", binary)[0] == 10
    assert command("pack", "verifier", "--out", tmp_path / "no" / "folder.py")[0] == 20


def test_the_written_verifier_verifies_a_real_pack_alone(command, tmp_path):
    script, pack, root = tmp_path / "verify_pack.py", tmp_path / "pack.zip", tmp_path / "root.json"
    assert command("pack", "verifier", "--out", script)[0] == 0
    assert command("pack", "create", NAME, "-o", pack)[0] == 0
    assert command("ledger", "root", "-o", root)[0] == 0
    line = [sys.executable, "-I", script, pack, "--trust", root]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.startswith("verified")) == (0, True), done.stdout + done.stderr


def test_a_system_is_classified_by_the_printed_form(command, tmp_path):
    form = tmp_path / "answers.yaml"
    code, out, _ = command("compliance", "questions")
    assert code == 0
    form.write_text(out.replace("talks:", "talks: yes"))
    assert command("compliance", "classify", NAME, "-f", form, "--reason", "x")[0] == 10
    filled = "\n".join(line if line.startswith("#") else f"{line} no" for line in out.splitlines())
    form.write_text(filled.replace("talks: no", "talks: yes"))
    code, out, _ = command(
        "compliance", "classify", NAME, "-f", form, "--reason", "people talk with it", "--json"
    )
    assert (code, json.loads(out)["tier"]) == (0, "limited")
    form.write_text("- a list")
    assert command("compliance", "classify", NAME, "-f", form, "--reason", "x")[0] == 10


def test_coverage_inventory_and_catalogues_are_read_on_the_command_line(command):
    code, out, err = command("compliance", "coverage", REF, "--catalogue", "owasp-aisvs")
    assert (code, "3.2.3" in out, "not a legal assessment" in err) == (0, True, True)
    code, out, _ = command("compliance", "coverage", NAME, "--standing", "unknown", "--json")
    assert {row["standing"] for one in json.loads(out)["catalogues"] for row in one["rows"]} == {"unknown"}
    assert "eu-ai-act" in command("compliance", "catalogue")[1]
    assert "Annex IV 2(g)" in command("compliance", "catalogue", "eu-ai-act")[1]
    assert command("compliance", "catalogue", "sr-11-7")[0] == 10
    assert NAME in command("compliance", "inventory")[1]


def test_people_are_assigned_controls_stated_and_retention_set_on_the_command_line(command, served):
    assert command("compliance", "assign", NAME, "owner", "ada", "--reason", "she leads")[0] == 0
    assert "owner: ada" in command("compliance", "inventory")[1]
    assert command("compliance", "attest", NAME, "eu-ai-act", "72", "--reason", "handbook 4")[0] == 0
    retain = ("compliance", "retain", "--logs-days", 400, "--records-days", 4000, "--reason", "the law")
    assert command(*retain)[0] == 0
    with served.runtime.session.read() as reader:
        assert identity.get_account(reader, "ada")
        assert ledger.head(reader).size > 0
