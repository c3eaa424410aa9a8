"""What is live, watched: begun by an alert, found worse, told, and computed again to the bit."""

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from assent.delivery.domain import State
from assent.identity import service as identity
from assent.identity.domain import ProjectCreated
from assent.kernel.errors import Invalid, NotFound
from assent.ledger import service as ledger
from assent.monitoring import jobs, service, store
from assent.monitoring.service import regressions
from assent.monitoring.service.alerts import NewAlert
from assent_client.cli.main import main
from tests.monitoring.conftest import CANARY, ENVIRONMENT, PROJECT, ROUTE, STABLE

WORSE = {"kind": "regression", "window_s": 3600, "resolve_after_s": 0}


def alert(desk, **condition):
    with desk.writing() as tx:
        service.alerts.set_(tx, PROJECT, NewAlert("worse", ENVIRONMENT, {**WORSE, **condition}, ROUTE))


def tick(desk, seconds=0):
    desk.clock.advance(seconds)
    jobs.watch_live(desk.runtime)
    jobs.alert(desk.runtime)
    return desk.read(service.alerts.get, PROJECT, "worse")


def serve(desk, seconds, *, bad=0.0, per_s=20, version=CANARY, **changes):
    """Send calls second by second, a thumb on each; `bad` of them fail and are thumbed down."""
    for _ in range(seconds):
        rows = []
        for _ in range(per_s):
            is_bad = (desk.n * 0.6180339887) % 1 < bad
            call = desk.call(
                f"v{desk.n}", version=version, rollout=None, reason="static",
                **{"status": 500 if is_bad else 200, **changes},
            )  # fmt: skip
            rows += [call, desk.thumb(call, 0.0 if is_bad else 1.0)]
        desk.send(*rows)
        desk.clock.advance(1)
        jobs.watch_live(desk.runtime)


@pytest.fixture
def promoted(running):
    """A desk whose canary was promoted with 5 % of thumbs down and no errors."""
    running.record(ProjectCreated(project=PROJECT, title="Acme"))
    with running.writing() as tx:
        identity.create_environment(tx, PROJECT, ENVIRONMENT, protected=True)
    for _ in range(200):
        running.traffic(1, canary_down=0.05)
        if running.rollout().state is State.PROMOTED:
            return running
    raise AssertionError(running.rollout().state)


def watches(desk):
    return desk.read(service.watch_report.list_, PROJECT)[0]


def document(desk, watch=None):
    return desk.read(lambda r: service.watch_report.document(r, watch or watches(desk)[0]))


def replayed(desk):
    return desk.read(service.watch_report.replay, PROJECT, watches(desk)[0].id)


def types(desk, prefix):
    return [leaf.type for leaf in desk.read(ledger.leaves, 0, 10_000) if leaf.type.startswith(prefix)]


def test_an_alert_begins_a_watch_with_the_figures_of_the_rollout(promoted):
    alert(promoted)
    assert tick(promoted).last_says == "no units yet"
    (watch,) = watches(promoted)
    assert (watch.version, watch.window_s, watch.block_s, watch.arl_days) == (CANARY, 3, 1, 365)
    found = document(promoted)
    assert found["state"] == "unknown"
    thumbs, errors = sorted(found["metrics"], key=lambda one: one["metric"], reverse=True)
    assert (thumbs["metric"], thumbs["weight"]) == ("thumbs_down", 0.75)
    assert (errors["metric"], errors["weight"]) == ("error", 0.25)
    reference = thumbs["reference"]
    assert reference["source"] == "ro_1"
    assert reference["rate"] == pytest.approx(0.05, abs=0.02)
    assert thumbs["limit"] == pytest.approx(reference["interval"]["high"], abs=2e-6)
    assert errors["reference"]["rate"] == 0
    tick(promoted, 5)
    assert len(watches(promoted)) == 1
    assert types(promoted, "monitoring.watch") == ["monitoring.watch.started"]


def test_what_becomes_worse_is_told_with_its_beginning_and_size_and_replayed_to_the_bit(promoted):
    alert(promoted, incident=True)
    tick(promoted)
    serve(promoted, 20, bad=0.03)
    assert tick(promoted).last_says.startswith("no regression in 1 names")
    worse_at = promoted.clock.now()
    serve(promoted, 15, bad=0.5)
    looked = tick(promoted)
    assert looked.firing
    found = document(promoted)
    assert found["state"] == "worse"
    (one,) = found["regressions"]
    assert one["metric"] in {"error", "thumbs_down"}
    assert abs(one["since_at"] - worse_at) <= timedelta(seconds=5)
    assert one["rate"] == pytest.approx(0.5, abs=0.15)
    assert one["interval"]["low"] < one["rate"] < one["interval"]["high"]
    assert one["says"] in looked.says
    assert f"since {worse_at:%Y-%m-%d}" in one["says"]
    (incident,) = promoted.read(service.incidents.list_, PROJECT)[0]
    assert (incident.summary, incident.alert, incident.subject) == (one["says"], "worse", CANARY)
    assert promoted.read(lambda r: service.incidents.state_of(incident)) == "open"
    proof = replayed(promoted)
    assert (proof["matches"], proof["n_regressions"], proof["wrong_seals"]) == (True, 1, [])
    assert proof["n_sealed_blocks"] > 0
    assert proof["n_detections"] >= 1


def test_a_lasting_harm_is_one_regression_and_an_end_is_seen(promoted):
    alert(promoted)
    tick(promoted)
    serve(promoted, 40, bad=0.5)
    assert tick(promoted).firing
    assert replayed(promoted)["n_detections"] > 1
    assert types(promoted, "monitoring.regression") == ["monitoring.regression.detected"]
    serve(promoted, 2)
    promoted.clock.advance(3600)
    assert tick(promoted, 10).firing is False
    assert document(promoted)["state"] == "quiet"
    serve(promoted, 40, bad=0.5)
    assert tick(promoted).firing
    assert types(promoted, "monitoring.regression") == ["monitoring.regression.detected"] * 2
    assert replayed(promoted)["matches"]
    assert types(promoted, "monitoring.incident") == []


def test_as_good_as_before_is_no_regression(promoted):
    alert(promoted)
    tick(promoted)
    serve(promoted, 60, bad=0.0)
    found = tick(promoted)
    assert (found.holds, found.firing) == (False, False)
    assert document(promoted)["metrics"][0]["live"]["n"] >= 60 * 20 - 100
    assert 0 < document(promoted)["evidence_days"] < 1


def test_a_unit_has_one_score_a_day(promoted):
    alert(promoted)
    tick(promoted)
    for _ in range(3):
        for _ in range(6):
            promoted.send(promoted.call("ann", version=CANARY, rollout=None, reason="static"))
            promoted.clock.advance(3)
        tick(promoted, 10)
    assert document(promoted)["metrics"][0]["live"]["n"] == 1
    promoted.clock.advance(86_400)
    promoted.send(promoted.call("ann", version=CANARY, rollout=None, reason="static"))
    tick(promoted, 10)
    assert document(promoted)["metrics"][0]["live"]["n"] == 2


def test_whom_a_rule_chose_and_other_versions_are_not_counted(promoted):
    alert(promoted)
    tick(promoted)
    promoted.send(
        promoted.call("a", version=CANARY, rollout=None, reason="rule", rule="beta"),
        promoted.call("b", version=STABLE, rollout=None, reason="static"),
        promoted.call("c", version=CANARY, rollout=None, reason="static", environment="staging"),
    )
    tick(promoted, 10)
    assert document(promoted)["metrics"][0]["live"]["n"] == 0


def test_an_hour_is_sealed_when_it_is_over_and_an_edit_is_found(promoted):
    alert(promoted)
    tick(promoted)
    serve(promoted, 10)
    assert types(promoted, "monitoring.watch") == ["monitoring.watch.started"]
    tick(promoted, 3600)
    assert types(promoted, "monitoring.watch")[1:] == ["monitoring.watch.sealed"]
    tick(promoted, 3600)
    assert len(types(promoted, "monitoring.watch")) == 2
    assert replayed(promoted)["matches"]
    changed = [{"metric": "error", "scores": [[256, 20]]}]
    with promoted.writing() as tx:
        blocks = store.tables.live_blocks
        first = tx.conn.execute(sa.select(sa.func.min(blocks.c.block))).scalar_one()
        tx.conn.execute(sa.update(blocks).where(blocks.c.block == first).values(scores=changed))
    proof = replayed(promoted)
    assert (proof["matches"], proof["wrong_seals"]) == (False, [first])


def test_a_finding_that_the_blocks_do_not_bear_out_is_seen(promoted):
    alert(promoted)
    tick(promoted)
    serve(promoted, 40, bad=0.5)
    assert replayed(promoted)["matches"]
    table = store.tables.regressions
    with promoted.writing() as tx:
        tx.conn.execute(sa.update(table).values(rate="0.1"))
    assert not replayed(promoted)["matches"]
    with promoted.writing() as tx:
        tx.conn.execute(sa.update(table).values(block=1))
    assert not replayed(promoted)["matches"]


def test_another_live_version_a_changed_alert_and_a_removed_one_end_a_watch(promoted):
    alert(promoted)
    tick(promoted)
    serve(promoted, 10)
    promoted.clock.advance(1)
    alert(promoted, margin="0.01")
    tick(promoted)
    second, first = watches(promoted)
    assert first.ended_at is not None
    assert second.ended_at is None
    assert document(promoted, first)["state"] == "ended"
    assert document(promoted, first)["metrics"][0]["live"]["n"] > 0
    assert promoted.read(service.watch_report.replay, PROJECT, first.id)["matches"]
    limits = [document(promoted, one)["metrics"][0]["limit"] for one in (first, second)]
    assert limits[1] - limits[0] == pytest.approx(0.01, abs=2e-6)
    with promoted.writing() as tx:
        service.alerts.remove(tx, PROJECT, "worse")
    jobs.watch_live(promoted.runtime)
    assert all(one.ended_at for one in watches(promoted))
    promoted.send(promoted.call("late", version=CANARY, rollout=None, reason="static"))
    assert not [row for row in promoted.rows("units") if row.unit == "late"]


def test_without_a_reference_nothing_is_known_until_a_limit_is_stated(promoted):
    alert(promoted, metrics="slow,refusal")
    found = tick(promoted)
    assert (found.holds, found.last_says) == (None, "assistant: nothing to compare with")
    assert watches(promoted) == []
    promoted.clock.advance(1)
    alert(promoted, metrics=["error", "refusal"])
    assert "assistant: no reference for refusal" in tick(promoted).last_says
    promoted.clock.advance(1)
    alert(promoted, metrics="refusal,slow", above="0.1", arl_days=30)
    tick(promoted)
    found = document(promoted)
    assert [(one["metric"], one["limit"]) for one in found["metrics"]] == [("refusal", 0.1), ("slow", 0.1)]
    assert found["metrics"][0]["reference"] == {
        "source": "stated", "n": 0, "rate": 0.1, "interval": {"low": 0.1, "high": 0.1},
    }  # fmt: skip
    assert (found["arl_days"], found["slow_above_s"] is None) == (30, False)


def test_a_version_that_came_without_a_rollout_is_watched_against_a_limit_only(promoted):
    with promoted.writing() as tx:
        service.alerts.set_(tx, PROJECT, NewAlert("worse", ENVIRONMENT, {**WORSE, "above": 0.1}))
    tick(promoted)
    assert [one["metric"] for one in document(promoted)["metrics"]] == ["error"]


def test_two_workers_begin_one_watch_and_close_each_block_once(promoted):
    alert(promoted)
    changes = promoted.read(regressions.changes)
    for _ in range(2):
        with promoted.writing() as tx:
            regressions.change(tx, changes)
    (watch,) = watches(promoted)
    promoted.send(promoted.call("u", version=CANARY, rollout=None, reason="static"))
    promoted.clock.advance(10)
    (live, asked) = promoted.read(regressions.list_watched)[0]
    sight = promoted.read(regressions.look, live, asked)
    for expected in (True, False):
        with promoted.writing() as tx:
            assert regressions.apply(tx, live, sight) is expected
    ending = regressions.Changes([watch], [])
    for _ in range(2):
        with promoted.writing() as tx:
            regressions.change(tx, ending)
    assert types(promoted, "monitoring.watch.ended") == ["monitoring.watch.ended"]
    assert promoted.read(regressions.list_watched) == []
    promoted.send(promoted.call("late", version=CANARY, rollout=None, reason="static"))
    with promoted.writing() as tx:
        assert not regressions.apply(tx, live, sight)
    with promoted.writing() as tx:
        tx.conn.execute(sa.delete(store.tables.watches))
    assert promoted.read(regressions.look, live, asked) is None


def test_one_watchs_trouble_keeps_no_other_from_being_looked_at(promoted):
    alert(promoted)
    with promoted.writing() as tx:
        service.alerts.set_(tx, PROJECT, NewAlert("other", ENVIRONMENT, {**WORSE, "above": 0.1}))
    tick(promoted)
    broken, whole = sorted(watches(promoted), key=lambda one: one.id)
    with promoted.writing() as tx:
        table = store.tables.watches
        tx.conn.execute(sa.update(table).where(table.c.rollout == broken.id).values(state={"no": "state"}))
    promoted.send(promoted.call("u", version=CANARY, rollout=None, reason="static"))
    promoted.clock.advance(700)
    with pytest.raises(ExceptionGroup, match="some live versions"):
        jobs.watch_live(promoted.runtime)
    assert document(promoted, whole)["metrics"][0]["live"]["n"] == 1


def test_units_of_days_that_are_over_are_forgotten(promoted):
    alert(promoted)
    tick(promoted)
    promoted.send(promoted.call("u", version=CANARY, rollout=None, reason="static"))
    tick(promoted, 10)

    def kept():
        return [row for row in promoted.rows("units") if row.rollout.startswith("wch_")]

    promoted.send(promoted.call("v", version=CANARY, rollout=None, reason="static"))
    jobs.prune(promoted.runtime)
    assert len(kept()) == 2
    promoted.clock.advance(2 * 86_400)
    jobs.prune(promoted.runtime)
    assert [row.unit for row in kept()] == ["v"]  # nobody has closed its block yet
    tick(promoted)
    jobs.prune(promoted.runtime)
    assert kept() == []


def test_wrong_conditions_are_refused_with_every_mistake(promoted):
    with pytest.raises(Invalid) as error:
        alert(promoted, metrics="error,joy", arl_days=0, margin=2, incident="yes")
    assert {one.id for one in error.value.reasons} == {"metrics", "arl_days", "margin", "incident"}
    with pytest.raises(NotFound, match="There is no watch"):
        promoted.read(service.watch_report.get, PROJECT, "wch_none")


def test_the_command_line_lists_shows_and_replays(served, monkeypatch, capsys, tmp_path):
    desk = served.desk
    for name, value in (("URL", served.url), ("TOKEN", served.tokens["admin"]), ("PROJECT", PROJECT)):
        monkeypatch.setenv(f"ASSENT_{name}", value)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    with desk.writing() as tx:
        identity.create_environment(tx, PROJECT, ENVIRONMENT, protected=True)

    def assent(*words):
        code = main(["watch", *words])
        return code, "".join(capsys.readouterr())

    assert "Nothing is watched" in assent("list")[1]
    condition = ["kind=regression", "above=0.05", "metrics=error,refusal", "arl_days=30"]
    assert main(["alert", "set", "worse", "--environment", ENVIRONMENT, *condition]) == 0
    capsys.readouterr()
    tick(desk)
    assert "Nothing has become worse." in assent("show", watches(desk)[0].id)[1]
    serve(desk, 5, version=STABLE)
    desk.clock.advance(700)
    serve(desk, 5, bad=0.9, version=STABLE)
    tick(desk, 700)
    (watch,) = watches(desk)
    listed = assent("list")[1]
    assert watch.id in listed
    assert "worse" in listed
    shown = assent("show", watch.id)[1]
    assert "5.00 %" in shown
    assert "0.050 allowed" in shown
    code, text = assent("replay", watch.id, "--json")
    assert (code, json.loads(text)["matches"]) == (0, True)
    with desk.writing() as tx:
        tx.conn.execute(sa.update(store.tables.seals).values(n_blocks=99))
    assert assent("replay", watch.id)[0] == 1
    assert assent("show", "wch_none")[0] == 13
    with served.api() as api:
        page = api.get(f"/v1/projects/{PROJECT}/watches", limit=1)
    assert [one["watch"] for one in page["items"]] == [watch.id]
