import json
import re
import threading

import pytest

from assent.delivery import service
from assent.delivery.domain import Judgement, Verdict
from assent.delivery.jobs import measure_drills
from assent_client.cli.main import main
from assent_client.errors import Invalid
from tests.delivery.releases import BAD, approve, plan_form, until


@pytest.fixture
def assent(served, monkeypatch, capsys, tmp_path):
    """Run a command line as the operator; gives its exit code, output and errors."""
    monkeypatch.setenv("ASSENT_URL", served.url)
    monkeypatch.setenv("ASSENT_PROJECT", "shop")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def run(*words, role="operator"):
        monkeypatch.setenv("ASSENT_TOKEN", served.tokens[role])
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def plan(tmp_path):
    def write(**changes):
        path = tmp_path / "plan.yaml"
        path.write_text(json.dumps({"plan": plan_form(**changes)}))
        return path

    return write


def test_a_release_by_hand_from_plan_to_rollback(served, assent, plan):
    code, out, _ = assent("env", "adopt", "production", "support@2.0.0", "--reason", "live", "--yes")
    assert (code, "sha256:" in out) == (0, False)
    assert re.search(r"^version +support@2\.0\.0$", out, re.MULTILINE)
    code, out, _ = assent(
        "rollout", "request", "support@2.1.0", "production", "--plan", plan(), role="engineer"
    )
    assert (code, "planned" in out) == (0, True)
    assert re.search(r"^step +-$", out, re.MULTILINE)
    code, _, err = assent("rollout", "start", "support@2.1.0")
    assert (code, "approvals" in err) == (16, True)
    found, _ = served.desk.read(service.list_, "shop", {})
    approve(served.desk, found[0])
    assert assent("rollout", "start", "support@2.1.0", "--reason", "go")[0] == 0
    assert "0.05" in assent("rollout", "list", "--state", "running")[1]
    shown = assent("rollout", "show", found[0].id)[1]
    assert re.search(r"^step +1$", shown, re.MULTILINE)
    assert re.search(r"^goes back to +support@2\.0\.0$", shown, re.MULTILINE)
    assert assent("rollout", "verdict", found[0].id)[0] == 3
    assert assent("rollout", "pause", found[0].id)[0] == 0
    assert assent("rollout", "resume", found[0].id)[0] == 0
    code, _, err = assent("rollout", "promote", found[0].id)
    assert (code, "min_time" in err) == (16, True)
    code, _, err = assent("rollout", "rollback", found[0].id)
    assert (code, "--yes" in err) == (10, True)
    assert assent("rollout", "rollback", found[0].id, "--yes", "--reason", "no")[0] == 0
    code, out, _ = assent("rollout", "show", "support@2.1.0", "--json")
    assert (code, json.loads(out)["state"]) == (0, "rolled_back")
    assert assent("rollout", "watch", found[0].id)[0] == 1
    assert assent("rollout", "abort", found[0].id, "--yes")[0] == 15


def test_a_plan_file_is_checked_with_its_detectability(assent, plan, tmp_path):
    code, out, err = assent("rollout", "plan", plan())
    assert (code, "3 canary units" in err, "yes" in out) == (0, True, True)
    assert assent("rollout", "plan", plan(expected_units_per_s=0.001))[0] == 1
    code, _, err = assent("rollout", "plan", plan(expected_units_per_s=None))
    assert (code, "unknown" in err) == (3, True)
    whole = tmp_path / "switch.yaml"
    whole.write_text("steps: [{share: 1, min_time_s: 0}]\n")
    assert "All moves at once" in assent("rollout", "plan", whole)[2]
    code, _, err = assent("rollout", "plan", plan(alpha=3, unit="dog"))
    assert (code, "alpha" in err, "unit" in err) == (10, True, True)
    code, out, _ = assent("rollout", "plan", plan(), "--json")
    assert json.loads(out)["detectability"]["units_needed"] == 3


def test_watching_follows_a_rollout_to_its_end(served, assent):
    desk = served.desk
    desk.adopt()
    rollout = desk.file()
    approve(served.desk, rollout)
    desk.act(service.start, rollout)
    guard = threading.Thread(target=desk.step, args=(rollout, BAD))
    guard.start()
    code, out, err = assent("rollout", "watch", rollout.id)
    guard.join(10)
    assert code == 1
    assert "rolled back (guard)" in err
    assert "thumbs_down" in out
    code, _, err = assent("rollout", "show", "nobody@1.0.0")
    assert (code, "no rollout of nobody@1.0.0" in err) == (13, True)


def test_an_environment_is_shown_switched_off_and_fetched(served, assent, tmp_path):
    served.desk.adopt()
    code, out, _ = assent("env", "show", "production")
    assert (code, "support@2.0.0" in out) == (0, True)
    assert "production" in assent("env", "list")[1]
    code, out, _ = assent("env", "create", "lab", "--no-protected", "--json", role="admin")
    assert (code, json.loads(out)["protected"]) == (0, False)
    assert assent("env", "kill", "production", "support", "--reason", "a drill")[0] == 10
    code, out, _ = assent(
        "env", "kill", "production", "support", "--reason", "a drill", "--cut", "--yes", "--json"
    )
    assert (code, json.loads(out)["cut"]) == (0, True)
    assert assent("env", "restore", "production", "support", "--reason", "over")[0] == 0
    target = tmp_path / "snapshot.json"
    assert assent("env", "snapshot", "production", "--out", target)[0] == 0
    assert served.desk.verified(target.read_bytes(), audience="sdk").routes
    printed = assent("env", "snapshot", "production", "--audience", "gateway", role="gateway")[1]
    assert served.desk.verified(printed.strip().encode()).routes
    with served.api("gateway") as gateway:
        gateway.post(
            gateway.path("environments", "production", "snapshot", "acks"), {"gateway": "gw", "serial": 3}
        )
    assert "gw" in until(lambda: assent("env", "show", "production")[1])


def test_an_ab_test_is_concluded_and_its_winner_s_release_is_filed(served, assent, plan):
    desk = served.desk
    desk.adopt()
    rollout = desk.file(
        strategy="ab_test",
        steps=[{"share": 0.5, "min_time_s": 0, "max_time_s": 1000}],
        experiment={"primary": "thumbs_down"},
    )
    approve(desk, rollout)
    desk.act(service.start, rollout)
    assert assent("rollout", "conclude", rollout.id, "--winner", "green")[0] == 10
    counted = {"experiment": {"metrics": [{"n_canary": 400, "n_stable": 400}]}}
    desk.step(rollout, Judgement(verdict=Verdict.PASS, figures=counted))
    code, out, err = assent(
        "rollout", "conclude", rollout.id, "--winner", "canary", "--plan", plan(), "--reason", "liked more"
    )
    assert (code, "concluded" in out, "Filed: ro_" in err) == (0, True, True)
    assert "ab_test" in assent("rollout", "list", "--state", "concluded")[1]
    assert assent("rollout", "watch", rollout.id)[0] == 0


def test_a_drill_prints_what_each_replica_took(served, assent):
    served.desk.adopt()
    assert assent("env", "drill", "production", "support")[0] == 15
    with served.api("gateway") as gateway:
        path = gateway.path("environments", "production", "snapshot", "acks")
        gateway.post(path, {"gateway": "gw", "serial": 1})
        worker = threading.Thread(target=drilled, args=(served.desk, gateway, path))
        worker.start()
        code, out, _ = assent("env", "drill", "production", "support", "--reason", "monthly")
        worker.join(10)
    assert (code, "gw" in out) == (0, True)
    assert "support" in assent("env", "drills", "production")[1]


def drilled(desk, gateway, path):
    """Be the gateway that serves the drill, and the worker that measures it."""
    until(lambda: desk.read(service.list_drills, "shop"))
    gateway.post(path, {"gateway": "gw", "serial": desk.snapshot()[0].serial})
    measure_drills(desk.runtime)


def test_who_gets_which_version_is_previewed_from_a_file(served, assent, tmp_path):
    desk = served.desk
    desk.adopt()
    rollout = desk.file()
    approve(desk, rollout)
    desk.act(service.start, rollout)
    users = tmp_path / "users.csv"
    users.write_text("\n".join(["unit", *(f"u{i}" for i in range(2_500))]))
    code, out, _ = assent("env", "preview", "production", "support", users, "--json")
    found = json.loads(out)
    assert (code, found["n"], set(found["counts"])) == (0, 2_500, {"stable", "canary"})
    assert 80 < found["counts"]["canary"] < 170
    assert found["lines"][0].keys() == {"unit", "variant", "version", "rule", "reason", "bucket"}
    assert "2,3" in assent("env", "preview", "production", "support", users)[1]
    with served.api("operator") as api:
        path = api.path("environments", "production", "routes", "support", "previews")
        with pytest.raises(Invalid):
            api.post(path, {"contexts": [{"unit": "x"}] * 10_001})
