import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from assent.delivery import service as delivery
from assent.identity import service as identity
from assent.identity.domain import ProjectCreated
from assent.kernel.errors import Conflict, Invalid, NotFound
from assent.ledger import service as ledger
from assent.monitoring import jobs, service
from assent.monitoring.domain import alerts as rules
from assent.monitoring.domain.alerts import Finding, Kind, Reading, Standing, Step
from assent.monitoring.service.alerts import NewAlert
from assent_client.cli.main import main
from assent_client.errors import AssentError
from tests.monitoring.conftest import ENVIRONMENT, PROJECT, ROUTE

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ERRORS = {"kind": "threshold", "metric": "error_rate", "above": "0.2", "window_s": 60, "min_n": 10}


def later(seconds):
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def place(running):
    running.record(ProjectCreated(project=PROJECT, title="Acme"))
    with running.writing() as tx:
        identity.create_environment(tx, PROJECT, ENVIRONMENT, protected=True)
    return running


def watched(desk, name="errors", route=None, **condition):
    new = NewAlert(
        name, ENVIRONMENT, {**ERRORS, **condition} if "kind" not in condition else condition, route
    )
    with desk.writing() as tx:
        return service.alerts.set_(tx, PROJECT, new)


def look(desk, seconds=0):
    desk.clock.advance(seconds)
    jobs.alert(desk.runtime)
    return desk.read(service.alerts.get, PROJECT, "errors")


def told(desk):
    leaves = desk.read(ledger.leaves, 0, 1000)
    return [
        leaf.type.removeprefix("monitoring.") for leaf in leaves if leaf.type.startswith("monitoring.alert.")
    ]


def state(desk):
    return desk.read(lambda r: service.alerts.document(r, service.alerts.get(r, PROJECT, "errors")))["state"]


def bad(desk, n, of=20):
    desk.send(*(desk.call(f"u{desk.n}", rollout=None, status=500 if i < n else 200) for i in range(of)))


def test_calls_that_passed_a_guardrail_unseen_fire_an_alert(place):
    watched(place, kind="threshold", metric="unguarded", above=0, window_s=60, resolve_after_s=60)
    place.send(*(place.call(f"u{n}") for n in range(5)))
    assert look(place).holds is False
    place.send(*(place.call(f"v{n}", unguarded=n < 2) for n in range(5)))
    found = look(place)
    assert (found.firing, found.value, found.n) == (True, 2, 10)
    assert "unguarded 2 over 60 s of 10 calls" in found.last_says
    row = place.read(service.report.report, PROJECT, place.read(service.report.last, 60))["versions"][0]
    assert row["n_unguarded"] == 2
    place.clock.advance(80)
    place.send(place.call("w"))
    assert not look(place).firing


def test_an_alert_fires_once_is_told_again_and_is_over(place):
    watched(place, repeat_s=600, resolve_after_s=120)
    assert look(place).holds is None
    bad(place, 15)
    assert look(place).firing
    for _ in range(5):
        assert look(place, 5).firing
    assert told(place) == ["alert.set", "alert.fired"]
    place.clock.advance(570)
    bad(place, 15)
    look(place, 10)
    assert told(place)[2:] == ["alert.repeated"]
    place.clock.advance(100)
    bad(place, 0)
    assert look(place).firing  # it went well for less than two minutes
    place.clock.advance(60)
    bad(place, 0)
    found = look(place, 1)
    assert (found.firing, state(place)) == (False, "quiet")
    assert told(place)[3:] == ["alert.resolved"]
    assert found.says.startswith("error_rate 0")


def test_too_few_calls_neither_fire_nor_resolve(place):
    watched(place, repeat_s=0)
    bad(place, 5, of=5)
    assert (look(place).holds, state(place)) == (None, "unknown")
    bad(place, 15, of=15)
    assert look(place).firing
    assert look(place, 3600).firing
    assert told(place) == ["alert.set", "alert.fired"]


def test_a_silence_holds_back_what_is_told_and_what_goes_on_is_told_at_its_end(place):
    watched(place)
    with place.writing() as tx:
        until = place.clock.now() + timedelta(seconds=30)
        service.alerts.silence(tx, PROJECT, "errors", until, "a load test")
    bad(place, 20)
    assert (look(place).firing, state(place)) == (False, "silenced")
    document = place.read(lambda r: service.alerts.document(r, service.alerts.get(r, PROJECT, "errors")))
    assert document["silence_reason"] == "a load test"
    assert look(place, 31).firing
    assert told(place) == ["alert.set", "alert.silenced", "alert.fired"]
    with place.writing() as tx, pytest.raises(Conflict):
        service.alerts.unsilence(tx, PROJECT, "errors")


def test_a_silence_is_ended_and_needs_an_end_and_a_reason(place):
    watched(place)
    now = place.clock.now()
    with place.writing() as tx:
        for until in (now, now + timedelta(days=31)):
            with pytest.raises(Invalid, match="30 days"):
                service.alerts.silence(tx, PROJECT, "errors", until, "x")
        with pytest.raises(Invalid, match="needs a reason"):
            service.alerts.silence(tx, PROJECT, "errors", now + timedelta(hours=1), " ")
        service.alerts.silence(tx, PROJECT, "errors", now + timedelta(hours=1), "x")
        assert service.alerts.unsilence(tx, PROJECT, "errors").silenced_until is None


def test_setting_it_again_records_nothing_and_changing_it_begins_anew(place):
    assert watched(place)[1]
    assert not watched(place)[1]
    bad(place, 20)
    assert look(place).firing
    looked = place.read(lambda r: service.alerts.look(r, 3600))
    found, is_new = watched(place, above="0.5")
    assert (found.firing, is_new) == (False, False)
    with place.writing() as tx:
        assert service.alerts.apply(tx, *looked[0]) is Step.NOTHING  # a look at the condition before
        service.alerts.remove(tx, PROJECT, "errors")
        assert service.alerts.apply(tx, *looked[0]) is Step.NOTHING
        with pytest.raises(NotFound):
            service.alerts.get(tx, PROJECT, "errors")
    assert place.rows("alert_checks") == []
    assert told(place) == ["alert.set", "alert.fired", "alert.set", "alert.removed"]


def test_names_environments_and_numbers_of_alerts_are_checked(place, monkeypatch):
    with place.writing() as tx:
        for new, error in (
            (NewAlert("Errors!", ENVIRONMENT, ERRORS), Invalid),
            (NewAlert("errors", "nowhere", ERRORS), NotFound),
        ):
            with pytest.raises(error):
                service.alerts.set_(tx, PROJECT, new)
    monkeypatch.setattr(service.alerts, "MAX_ALERTS", 1)
    watched(place)
    with pytest.raises(Conflict):
        watched(place, "second")


def test_no_traffic_at_all_is_an_alert_where_something_is_live(place):
    watched(place, kind="no_traffic", window_s=60)
    assert look(place).firing
    place.send(place.call("u", rollout=None))
    assert look(place).holds is False
    watched(place, kind="no_traffic", window_s=60, route="other")
    assert look(place).holds is None


def test_a_replica_that_lags_or_is_silent_is_named(place):
    watched(place, kind="lagging", window_s=60)
    assert look(place).holds is None

    def acknowledge(replica, serial):
        with place.writing() as tx:
            delivery.acknowledge(tx, (PROJECT, ENVIRONMENT), replica, (0, serial))

    acknowledge("gw-a", 1)
    assert look(place).holds is False
    place.clock.advance(10)
    acknowledge("gw-b", 2)
    assert look(place, 59).holds is False
    found = look(place, 2)
    assert found.firing
    assert found.last_says == "gw-a serves serial 1, 2 is out"
    acknowledge("gw-a", 2)
    place.clock.advance(2 * 3600 + 1)
    assert "gw-b took no snapshot since 2026-" in look(place).last_says
    place.clock.advance(86_400)
    assert look(place).holds is None


def test_lost_observations_are_an_alert(place):
    watched(place, kind="dropped", window_s=60)
    place.send(n_dropped=0)
    assert look(place).holds is False
    place.send(n_dropped=7)
    assert look(place).last_says == "7 observations lost by 1 observers"


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ({"metric": "latency_p95_s", "above": 0.1}, 0.2),
        ({"metric": "ttft_p50_s", "above": 0.1}, None),
        ({"metric": "tokens", "above": 299}, 300),
        ({"metric": "cost", "above": 0}, None),
        ({"metric": "thumbs_down_rate", "above": 0.5}, None),
    ],
)
def test_each_figure_can_be_watched(place, condition, value):
    watched(place, kind="threshold", window_s=60, min_n=20, certain=False, **condition)
    bad(place, 0)
    found = look(place)
    assert found.holds is (None if value is None else True)
    assert found.value == (None if value is None else pytest.approx(value, rel=0.02))


def test_a_budget_burns_only_where_the_short_window_agrees(place):
    watched(
        place,
        kind="burn",
        metric="error_rate",
        budget="0.01",
        factor="10",
        window_s=600,
        min_n=10,
        certain=False,
    )
    bad(place, 20)
    assert look(place).firing
    place.clock.advance(300)
    bad(place, 0)
    found = look(place)
    assert (found.value, found.holds) == (0.5, False)  # over ten minutes yes, over the last 50 s no


def test_an_estimate_is_not_certain_before_its_interval_is():
    condition = rules.parse_condition(ERRORS)
    reading = {"long": Reading(0.3, 0.15, 40)}
    assert rules.judge(condition, reading).holds is False
    assert rules.judge(replace(condition, certain=False), reading).holds is True
    assert rules.judge(condition, {"long": Reading(None, None, 40)}).holds is None
    assert rules.judge(condition, {"long": Reading(0.0, None, 40)}).holds is False


def test_a_condition_must_hold_for_its_time():
    condition = rules.parse_condition({**ERRORS, "for_s": 60})
    standing = Standing()
    for second, step in ((0, Step.NOTHING), (59, Step.NOTHING), (60, Step.FIRE)):
        standing = rules.seen(standing, Finding(holds=True, says=""), later(second))
        assert rules.decide(condition, standing, later(second)) is step
    standing = rules.seen(standing, Finding(holds=False, says=""), later(61))
    assert rules.decide(condition, standing, later(61)) is Step.NOTHING
    # Firing without a look on record (it was dropped): what is not seen to hold is over.
    assert rules.decide(condition, Standing(firing=True, told_at=NOW), later(70)) is Step.RESOLVE


@pytest.mark.parametrize(
    ("document", "mistakes"),
    [
        ({}, {"kind"}),
        ({"kind": "threshold"}, {"metric", "above"}),
        ({"kind": "threshold", "metric": "cost", "above": "much"}, {"above"}),
        ({"kind": "burn", "metric": "cost", "budget": 2, "factor": True}, {"metric", "budget", "factor"}),
        ({"kind": "no_traffic", "above": 1, "window_s": 5, "min_n": "x"}, {"above", "window_s", "min_n"}),
        ({"kind": "lagging", "certain": "yes", "for_s": -1}, {"certain", "for_s"}),
    ],
)
def test_a_wrong_condition_is_refused_with_every_mistake(document, mistakes):
    with pytest.raises(Invalid) as error:
        rules.parse_condition(document)
    assert {reason.id for reason in error.value.reasons} == mistakes


@pytest.mark.parametrize(
    "document",
    [
        ERRORS,
        {"kind": "burn", "metric": "error_rate", "budget": 0.001, "factor": 14.4, "window_s": 3600},
        {"kind": "dropped"},
        {"kind": "no_traffic"},
    ],
)
def test_a_condition_is_written_as_it_is_read(document):
    condition = rules.parse_condition(document)
    assert rules.parse_condition(rules.condition_document(condition)) == condition
    assert condition.kind is Kind(document["kind"])


def test_alerts_over_http_and_on_the_command_line(served, monkeypatch, capsys, tmp_path):
    with served.desk.writing() as tx:
        identity.create_environment(tx, PROJECT, ENVIRONMENT, protected=True)
    monkeypatch.setenv("ASSENT_URL", served.url)
    monkeypatch.setenv("ASSENT_TOKEN", served.tokens["admin"])
    monkeypatch.setenv("ASSENT_PROJECT", PROJECT)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))

    def assent(*words, as_json=True):
        code = main([*words, *(["--json"] if as_json else [])])
        out, err = capsys.readouterr()
        return code, (json.loads(out or err) if as_json and (out or err) else out + err)

    assert "Nothing is watched" in assent("alert", "list", as_json=False)[1]
    code, found = assent(
        "alert", "set", "errors", "--environment", ENVIRONMENT, "--name", ROUTE, "kind=threshold",
        "metric=error_rate", "above=0.2", "window_s=1m", "min_n=10", "certain=false", "repeat_s=600",
    )  # fmt: skip
    assert (code, found["is_new"], found["condition"]["window_s"]) == (0, True, 60)
    bad(served.desk, 20)
    look(served.desk)
    assert assent("alert", "list")[0] == 1
    assert assent("alert", "show", "errors")[1]["state"] == "firing"
    code, found = assent("alert", "silence", "errors", "--for", "2h", "--reason", "known")
    # The command counts from the time of day, the server of this test has a clock of its own.
    assert (code, found.get("code", "invalid")) == (10, "invalid")
    until = (served.desk.clock.now() + timedelta(hours=2)).isoformat()
    api = served.api()
    api.put(api.path("alerts", "errors", "silence"), {"until": until, "reason": "known"})
    assert assent("alert", "unsilence", "errors")[1]["silence_reason"] is None
    assert assent("alert", "set", "errors", "--environment", ENVIRONMENT, "above")[0] == 10
    assert assent("alert", "silence", "errors", "--for", "long", "--reason", "x")[0] == 10
    assert assent("alert", "remove", "errors")[0] == 0
    assert assent("alert", "show", "errors")[0] == 13
    auditor = served.api("auditor")
    with pytest.raises(AssentError) as refused:
        auditor.put(auditor.path("alerts", "x"), {"environment": ENVIRONMENT, "condition": ERRORS})
    assert refused.value.code == "forbidden"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.0000794, "0.0000794"),
        (0.05, "0.05"),
        (1.23456, "1.235"),
        (12345.6, "12350"),
        (1e7, "10000000"),
    ],
)
def test_figures_are_written_without_powers_of_ten(value, text):
    condition = rules.Condition(kind=Kind.THRESHOLD, metric="cost", above=Decimal(value), window_s=60)
    says = rules.judge(condition, {"long": Reading(value, None, 10)}).says
    assert says == f"cost {text} over 60 s of 10 calls, limit {text}"
