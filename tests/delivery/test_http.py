import httpx
import pytest

from assent.delivery import service
from assent.kernel.errors import Conflict, Forbidden, Invalid, NotFound, Refused, Stale
from tests.delivery.releases import BAD, GOOD, approve, plan_form


@pytest.fixture
def operator(served):
    with served.api("operator") as api:
        yield api


@pytest.fixture
def running(served, operator):
    served.desk.adopt()
    rollout = served.desk.file()
    approve(served.desk, rollout)
    return operator.post(operator.path("rollouts", rollout.id, "starts"), {})


def test_a_release_is_filed_by_the_engineer_and_started_by_the_operator(served, operator):
    operator.post(
        operator.path("environments", "production", "adoptions"),
        {"subject": "support@2.0.0", "reason": "it was live"},
    )
    body = {"environment": "production", "subject": "support@2.1.0", "plan": plan_form()}
    with pytest.raises(Forbidden):
        operator.post(operator.path("rollouts"), body)
    with served.api("engineer") as engineer:
        filed = engineer.post(engineer.path("rollouts"), body)
        with pytest.raises(Forbidden):
            engineer.post(engineer.path("rollouts", filed["id"], "starts"), {})
    assert (filed["state"], filed["share"], filed["plan"]["steps"][0]["share"]) == ("planned", 0, 0.05)
    with pytest.raises(Refused) as caught:
        operator.post(operator.path("rollouts", filed["id"], "starts"), {})
    assert [reason.id for reason in caught.value.reasons] == ["approvals"]
    approve(served.desk, served.desk.read(service.get, filed["id"]))
    started = operator.post(operator.path("rollouts", filed["id"], "starts"), {"reason": "go"})
    assert (started["state"], started["share"], started["reason"]) == ("running", 0.05, "go")


def test_the_actions_are_nouns_and_follow_the_generation(served, operator, running):
    path = operator.path("rollouts", running["id"])
    shown, tag = operator.get_with_etag(path)
    assert tag == f'"{shown["generation"]}"'
    operator.post(f"{path}/pauses", {"reason": "lunch"}, if_match=tag)
    with pytest.raises(Stale):
        operator.post(f"{path}/resumptions", {}, if_match=tag)
    assert operator.post(f"{path}/resumptions", {})["state"] == "running"
    with pytest.raises(Refused) as caught:
        operator.post(f"{path}/promotions", {})
    assert [reason.id for reason in caught.value.reasons] == ["min_time"]
    served.desk.clock.advance(10)
    assert operator.post(f"{path}/promotions", {})["share"] == 0.25
    assert operator.post(f"{path}/rollbacks", {"reason": "no"})["state"] == "rolled_back"
    with pytest.raises(Conflict):
        operator.post(f"{path}/aborts", {})


def test_an_action_wakes_what_pushes_snapshots_once_it_is_durable(served, operator, running):
    states = []
    rollout = served.desk.read(service.get, running["id"])
    end = served.desk.runtime.signals.subscribe(
        service.TOPIC, lambda: states.append(served.desk.get(rollout).state)
    )
    operator.post(operator.path("rollouts", running["id"], "pauses"), {})
    end()
    assert states == ["paused"]


def test_the_verdict_is_what_other_engines_can_read(served, operator, running):
    path = operator.path("rollouts", running["id"], "verdict")
    assert operator.get(path)["verdict"] == "inconclusive"
    served.desk.clock.advance(9)
    served.desk.step(served.desk.read(service.get, running["id"]), GOOD)
    served.desk.clock.advance(1)
    found = operator.get(path)
    assert (found["verdict"], found["n_canary_units"], found["threshold"]) == ("pass", 50, 20)
    served.desk.step(served.desk.read(service.get, running["id"]), BAD)
    found = operator.get(path)
    assert (found["verdict"], found["guard"], found["e_value"]) == ("fail", "thumbs_down", "44.5")
    assert [reason["id"] for reason in found["lacking"]] == ["guard"]


def test_a_plan_is_checked_without_being_filed(operator):
    found = operator.post(operator.path("plan-checks"), {"plan": plan_form(expected_units_per_s=0.01)})
    assert found["detectability"]["ok"] is False
    assert found["detectability"]["steps"][0]["reaches"] is False
    with pytest.raises(Invalid) as caught:
        operator.post(operator.path("plan-checks"), {"plan": {"steps": [], "alpha": 9}})
    assert {"steps", "alpha"} <= {reason.id for reason in caught.value.reasons}
    assert list(operator.pages(operator.path("rollouts"))) == []


def test_rollouts_are_listed_by_state(operator, running):
    assert [one["id"] for one in operator.pages(operator.path("rollouts"), state=["running", "paused"])] == [
        running["id"]
    ]
    assert list(operator.pages(operator.path("rollouts"), state="planned")) == []
    with pytest.raises(Invalid):
        operator.get(operator.path("rollouts"), state="sleepy")
    with pytest.raises(NotFound):
        operator.get(operator.path("rollouts", "ro_1"))


def test_an_environment_shows_what_is_live_and_the_switch_turns_it_off(served, operator, running):
    place = operator.path("environments", "production", "routes", "support")
    assert operator.get(place)["share"] == 0.05
    live = operator.get(operator.path("environments", "production", "live"))
    (route,) = live["routes"]
    assert (route["stable_ref"], route["canary_ref"], live["protected"]) == (
        "support@2.0.0",
        "support@2.1.0",
        True,
    )
    with pytest.raises(Invalid):
        operator.post(f"{place}/kills", {})
    killed = operator.post(f"{place}/kills", {"reason": "a drill"}, if_match=f'"{route["generation"]}"')
    assert killed["enabled"] is False
    assert operator.get(operator.path("rollouts", running["id"]))["because"] == "kill"
    assert operator.post(f"{place}/restorations", {"reason": "over"})["enabled"] is True
    assert [one["name"] for one in operator.pages(operator.path("environments", "production", "routes"))] == [
        "support"
    ]


def test_a_snapshot_has_a_tag_and_is_not_sent_twice(served, running):
    with httpx.Client(headers=served.headers()) as http:
        first = http.get(served.address("snapshot"))
        again = http.get(
            served.address("snapshot"), headers={"if-none-match": f'"x", W/{first.headers["etag"]}'}
        )
    assert first.status_code == 200
    assert (again.status_code, again.content) == (304, b"")
    assert served.desk.verified(first.content).payload.serial == int(first.headers["assent-serial"])


def test_a_gateway_gets_keys_and_nobody_else_does(served, running):
    with httpx.Client() as http:
        for role, params, status in (
            ("gateway", {}, 200),
            ("gateway", {"audience": "sdk"}, 200),
            ("engineer", {}, 200),
            ("engineer", {"audience": "gateway"}, 403),
            ("gateway", {"audience": "all"}, 422),
        ):
            answer = http.get(served.address("snapshot"), params=params, headers=served.headers(role))
            assert answer.status_code == status, (role, params)
        sdk = http.get(served.address("snapshot"), headers=served.headers("engineer"))
        payload = served.desk.verified(sdk.content, audience="sdk").payload
        assert (payload.keys, {one.api_key for one in payload.providers.values()}) == ([], {None})
        assert http.get(served.address("snapshot")).status_code == 401
        assert (
            http.get(
                served.address("snapshot").replace("production", "nowhere"), headers=served.headers()
            ).status_code
            == 404
        )


def test_what_a_gateway_serves_is_acknowledged_and_shown(served, operator, running):
    with served.api("gateway") as gateway:
        path = gateway.path("environments", "production", "snapshot", "acks")
        gateway.post(path, {"gateway": "gw-1", "serial": 7})
        gateway.post(path, {"gateway": "gw-1", "serial": 9})
        with pytest.raises(Invalid):
            gateway.post(path, {"gateway": "", "serial": -1})
        with pytest.raises(NotFound):
            gateway.post(
                gateway.path("environments", "nowhere", "snapshot", "acks"), {"gateway": "g", "serial": 1}
            )
    with pytest.raises(Forbidden):
        operator.post(path, {"gateway": "gw-2", "serial": 9})
    (row,) = operator.get(path)["items"]
    assert (row["replica"], row["epoch"], row["serial"]) == ("gw-1", 1, 9)
    shown = operator.get(operator.path("environments", "production", "live"))["gateways"]
    assert shown[0]["serial"] == 9


def test_unknown_fields_and_a_malformed_generation_are_refused(served, operator, running):
    path = operator.path("rollouts", running["id"], "pauses")
    with pytest.raises(Invalid):
        operator.post(path, {"why": "typo"})
    with pytest.raises(Invalid):
        operator.post(path, {}, if_match='"latest"')
    with served.api("engineer") as engineer, pytest.raises(Invalid):
        engineer.post(engineer.path("rollouts"), {"environment": "production", "subject": "support@2.1.0"})
