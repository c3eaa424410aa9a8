"""Approvals over HTTP and the command line: the same words, the exit codes that CI gates on."""

import json

import pytest

from assent.approvals import service
from assent_client.api import Api
from assent_client.errors import Forbidden, NotFound, Refused, Stale, Unauthenticated
from tests.approvals.shop import GROUND, PROJECT


def test_a_request_from_file_to_approval_on_the_command_line(served, assent):
    shop = served.shop
    shop.adopt()
    code, out, err = assent("ada", "policy", "check", "support@2.1.0", "--env", "production")
    assert (code, "? unknown" in out, " not pass." in err) == (1, True, True)
    create = ("request", "create", "support@2.1.0", "--env", "production", "--plan", "plan.yaml")
    code, out, _ = assent("ada", *create, "--json")
    filed = json.loads(out)
    assert (code, filed["state"], filed["policy_ref"]) == (0, "open", "assent-default@1.0.0")
    code, _, err = assent("otto", "rollout", "start", filed["rollout"])
    assert (code, "no card is published" in err, "assent card submit support@2.1.0" in err) == (
        16,
        True,
        True,
    )
    assert assent("ada", "request", "approve", filed["id"])[0] == 12
    code, out, _ = assent("rita", "request", "approve", "support@2.1.0", "--comment", "looks fine")
    assert (code, "1 of reviewers (rita)" in out, "looks fine" in out) == (0, True, True)
    assert assent("ada", "policy", "check", "support@2.1.0", "--env", "production")[0] == 3
    shop.pass_suite()
    shop.publish_card()
    assert assent("ada", "policy", "check", "support@2.1.0", "--env", "production")[0] == 0
    code, out, _ = assent("rita", "request", "approve", filed["id"], "--json")
    assert (code, json.loads(out)["state"]) == (0, "approved")
    assert "approved" in assent("ada", "request", "list", "--state", "approved")[1]
    code, out, err = assent("ada", "request", "show", "support@2.1.0")
    assert (code, "all pass" in err, "✓ pass" in out) == (0, True, True)
    assert assent("otto", "rollout", "start", filed["rollout"])[0] == 0
    code, _, err = assent("rita", "request", "withdraw", filed["id"], "--vote")
    assert (code, "executed" in err) == (16, True)
    assert assent("ada", "request", "show", "support@9.9.9")[0] == 13


def test_votes_are_refused_with_every_reason_printed(served, assent):
    request, _ = served.shop.file()
    code, _, err = assent("ci", "request", "approve", request.id)
    assert (code, "service_account" in err, "group" in err, "to do:" in err) == (16, True, True, True)
    code, _, err = assent("rita", "request", "reject", request.id, "--digest", "sha256:" + "0" * 64)
    assert (code, "sha256:" + "0" * 64 in err, request.subject in err) == (17, True, True)
    served.shop.clock.advance(601)
    code, _, err = assent("rita", "request", "abstain", request.id)
    assert (code, "assent login --link" in err) == (16, True)
    code, out, _ = assent("rita", "request", "abstain", request.id, "--json")
    assert (code, out) == (16, "")


def test_a_request_and_a_vote_are_taken_back(served, assent):
    request, _ = served.shop.file()
    assert assent("rita", "request", "abstain", request.id)[0] == 0
    code, out, _ = assent("rita", "request", "withdraw", request.id, "--vote")
    assert (code, "withdrawn" in out) == (0, True)
    assert assent("bob", "request", "withdraw", request.id)[0] == 12
    code, out, _ = assent("ada", "request", "withdraw", request.id, "--json")
    assert json.loads(out)["state"] == "withdrawn"
    code, _, err = assent("rita", "request", "approve", request.id)
    assert (code, "closed" in err) == (16, True)


def test_policies_are_registered_listed_shown_bound_and_published(served, assent, tmp_path):
    (tmp_path / "ground.yaml").write_text(json.dumps({"name": "ground", **GROUND}))
    assert assent("ada", "policy", "register", "ground.yaml")[0] == 12
    code, out, err = assent("root", "policy", "register", "ground.yaml")
    assert (code, "ground@1.0.0" in out, "Registered." in err) == (0, True, True)
    assert "already" in assent("root", "policy", "register", "ground.yaml", "--version", "1.0.0")[2]
    assert "ground@1.0.0" in assent("ada", "policy", "list", "--name", "ground")[1]
    assert "regression_suite" in assent("ada", "policy", "show", "ground@1.0.0")[1]
    assert "ground@1.0.0" in assent("ada", "policy", "show", "ground", "--json")[1]
    assert assent("ada", "policy", "show")[0] == 10
    shown = json.loads(assent("ada", "policy", "show", "--env", "production", "--json")[1])
    assert (shown["policy"], shown["bound"], shown["bound_by"]) == ("assent-default", False, None)
    code, out, err = assent("root", "policy", "bind", "ground", "--env", "production", "--json")
    assert (code, json.loads(out)["bound_by"], json.loads(out)["warnings"], err) == (0, "root", [], "")
    assert "ground@1.0.0" in assent("ada", "policy", "show", "--env", "production")[1]
    assert json.loads(assent("ada", "policy", "schema")[1])["properties"]["conditions"]
    check = ("policy", "check", "support@2.1.0", "--env", "staging", "--policy", "ground", "--json")
    code, out, _ = assent("ada", *check)
    assert (code, [c["id"] for c in json.loads(out)["conditions"]]) == (1, ["regression_suite", "approvals"])
    assert assent("ada", "policy", "check", "support@2.1.0", "--env", "staging")[0] == 0
    (tmp_path / "bad.yaml").write_text(
        "name: bad\nconditions: [{kind: magic}, {kind: card_published, x: 1}]\n"
    )
    code, _, err = assent("root", "policy", "register", "bad.yaml")
    assert (code, "conditions.0" in err, "conditions.1.x" in err) == (10, True, True)
    for text in ("[]", "conditions: []"):
        (tmp_path / "bad.yaml").write_text(text)
        assert assent("root", "policy", "register", "bad.yaml")[0] == 10
    many = {**GROUND, "conditions": [{"kind": "approvals", "factors": [{"group": "reviewers", "n": 9}]}]}
    (tmp_path / "many.yaml").write_text(json.dumps({"name": "many", **many}))
    assert assent("root", "policy", "register", "many.yaml")[0] == 0
    code, out, err = assent("root", "policy", "bind", "many", "--env", "staging")
    assert (code, "many@1.0.0" in out) == (0, True)  # it is bound all the same
    assert "Warning: reviewers: 9 votes are asked for (tier minimal, limited, high), " in err
    assert "assent group add reviewers PERSON" in err


APPLIED = """
assent: 1
project: {name: shop}
policies:
- name: ground
  version: 1.0.0
  title: %s
  environments: [production]
  conditions:
  - {kind: approvals, factors: [{group: reviewers}]}
"""


def test_one_file_registers_a_policy_and_binds_it(served, assent, tmp_path):
    (tmp_path / "assent.yaml").write_text(APPLIED % "First")
    assert assent("root", "apply", "--check")[0] == 1
    code, out, _ = assent("root", "apply", "--json")
    made = json.loads(out)
    assert (code, made["n_create"]) == (0, 2), made
    assert [c["name"] for c in made["changes"] if c["action"] == "create"] == [
        "ground@1.0.0",
        "production → ground",
    ]
    assert assent("root", "apply", "--check")[0] == 0
    (tmp_path / "assent.yaml").write_text(APPLIED % "Second")
    assert assent("root", "apply")[0] == 15
    (tmp_path / "assent.yaml").write_text((APPLIED % "Second").replace("1.0.0", "1.1.0"))
    code, out, _ = assent("root", "apply", "--json")
    assert (code, json.loads(out)["n_update"]) == (0, 1)
    code, out, _ = assent("root", "apply", "--check", "--json")
    assert (code, "waits for a second person" in out) == (0, True)
    assert assent("rita", "policy", "confirm", "ground@1.1.0", "--env", "production")[0] == 0
    bound = served.shop.read(service.get_binding, PROJECT, "production")
    assert bound.policy_ref == "ground@1.1.0"
    (tmp_path / "assent.yaml").write_text((APPLIED % "Third").replace("production", "nowhere"))
    assert assent("root", "apply")[0] in {13, 15}


def test_applying_a_policy_that_too_few_can_vote_for_warns_once(served, assent, tmp_path):
    text = (APPLIED % "Many").replace("{group: reviewers}", "{group: reviewers, n: 9}")
    (tmp_path / "assent.yaml").write_text(text.replace("[production]", "[production, staging]"))
    _, out, err = assent("root", "apply", "--check", "--json")
    assert (json.loads(out)["warnings"], err) == ([], "")  # nothing is bound yet
    code, out, err = assent("root", "apply")
    assert (code, "production → ground" in out, "staging → ground" in out) == (0, True, True)
    assert err.count("Warning: reviewers: 9 votes are asked for (tier minimal, limited, high), ") == 1
    assert "assent group add reviewers PERSON" in err
    assert "Warning" not in assent("root", "apply")[2]  # nothing was bound
    (tmp_path / "assent.yaml").write_text(text.replace("1.0.0", "1.1.0").replace("n: 9", "n: 8"))
    code, out, err = assent("root", "apply", "--json")
    (warning,) = json.loads(out)["warnings"]
    assert (code, warning["id"], warning["need"], err) == (0, "group_reviewers", 8, "")


def test_the_routes_give_what_they_say(served):
    request, _ = served.shop.file()
    with served.api("rita") as api:
        body = {"verdict": "approve", "subject": request.subject, "policy": request.policy}
        path = api.path("requests", request.id, "votes")
        api.post(path, {**body, "verdict": "abstain"})
        assert [vote["voter"] for vote in api.get(path)["items"]] == ["rita"]
        assert len(api.get(api.path("requests", request.id, "conditions"))["items"]) == 9
        first = api.get(api.path("requests"), limit=1, kind="release")
        assert (first["items"][0]["requester"], first["next"]) == ("ada", None)
        with pytest.raises(Stale):
            api.post(path, {**body, "policy": "other"})
        with pytest.raises(NotFound):
            api.get(api.path("requests", "req_none", "votes"))
        with pytest.raises(NotFound):
            api.get(api.path("policies", "ground", "latest"))
        assert api.get(api.path("policies", "assent-default", "latest"))["version"] == "1.0.0"
        asked = {"subject": "support@2.1.0"}
        found = api.get(api.path("environments", "production", "assessment"), **asked)
        assert (found["request"], found["ok"], found["policy"]) == (request.id, False, "assent-default@1.0.0")
    with served.api("otto") as api, pytest.raises(Forbidden):
        api.post(path, body)
    with served.api("ci") as api, pytest.raises(Refused):
        api.post(path, body)
    with Api(served.url, None, PROJECT) as api, pytest.raises(Unauthenticated):
        api.get(api.path("requests"))
