"""Blue-green switches, audiences, A/B tests, drills: what is particular to each strategy."""

import base64
import json
from dataclasses import replace

import pytest

from assent.delivery import service
from assent.delivery.domain import (
    Because,
    Judgement,
    Move,
    State,
    Strategy,
    Verdict,
    Winner,
    detectability,
    moves,
    parse_plan,
    plan_document,
)
from assent.delivery.domain import compile_route as write_route
from assent.delivery.jobs import cool, measure_drills
from assent.kernel.errors import Conflict, Invalid, NotFound, Refused
from assent_client.decide import compile_route
from tests.delivery.releases import BAD, GOOD, PROJECT, approve, plan_form

QA = {"attribute": "user", "op": "in", "value": ["qa-1", "qa-2"]}
SWITCH = {
    "strategy": "blue_green",
    "preview": {"header": "green", "audience": [QA], "min_time_s": 10},
    "watch_s": 60,
    "warm_s": 100,
    "slo": [{"metric": "error", "max": 0.05, "then": "roll_back"}],
    "steps": None,
    "guards": None,
    "detect": None,
}
AB_TEST = {
    "strategy": "ab_test",
    "steps": [{"share": 0.5, "min_time_s": 10, "max_time_s": 1000}],
    "experiment": {"primary": "thumbs_down", "metrics": ["error", "latency_s", "cost"], "margin": 0.02},
}
BROKEN = replace(GOOD, broken=("error",))


def route_of(desk):
    place = service.Place(project=PROJECT, environment="production", name="support")
    return desk.read(service.get_route, place)


def document_of(desk):
    return write_route(route_of(desk))


def payload(desk):
    return desk.snapshot()[1].payload


def begun(desk, **plan):
    desk.adopt()
    rollout = desk.file(**plan)
    approve(desk, rollout)
    return desk.act(service.start, rollout)


def reasons_of(call, *args, **kwargs):
    with pytest.raises((Refused, Invalid)) as caught:
        call(*args, **kwargs)
    return {reason.id for reason in caught.value.reasons}


def test_blue_green_s_short_form_reads_as_a_preview_and_a_switch():
    plan = parse_plan({name: value for name, value in SWITCH.items() if value is not None})
    assert plan.strategy is Strategy.BLUE_GREEN
    assert [(step.share, step.gate, len(step.audience)) for step in plan.steps] == [
        (0, True, 2),
        (1, False, 0),
    ]
    assert (plan.window_s, plan.warm_s, plan.steps[1].min_time_s) == (60, 100, 60)
    assert parse_plan(plan_document(plan)) == plan
    assert detectability(plan).ok is True
    assert (plan.first_share, plan.entry_share) == (0, 1)


def test_what_a_strategy_does_not_use_stays_out_of_the_canonical_form():
    canary = {"steps": [{"share": 1, "min_time_s": 0}]}
    assert set(plan_document(parse_plan(canary))) == {
        *("steps", "guards", "detect", "alpha", "window_s", "block_s", "expected_units_per_s", "unit"),
        *("slo", "start_at", "accept_undetectable"),
    }
    test = plan_document(parse_plan({**AB_TEST, "guards": [{"metric": "error"}], "detect": DETECT}))
    assert test["experiment"] == {
        "primary": "thumbs_down",
        "metrics": ["error", "latency_s", "cost"],
        "margin": "0.02",
        "mode": "always_valid",
    }


def test_a_planned_test_keeps_its_looks_and_its_units():
    experiment = {"primary": "thumbs_down", "mode": "planned", "looks": 4, "units": 20_000}
    plan = parse_plan(
        {**AB_TEST, "experiment": experiment, "guards": [{"metric": "error"}], "detect": DETECT}
    )
    assert (plan.experiment.looks, plan.experiment.units) == (4, 20_000)
    assert parse_plan(plan_document(plan)) == plan


def test_a_plan_that_no_leaf_could_carry_is_refused():
    crowd = [{"attribute": "user", "op": "in", "value": [f"customer-{n:08}" for n in range(2_000)]}]
    steps = [{"share": 0, "min_time_s": 0, "audience": crowd}, {"share": 1, "min_time_s": 0}]
    assert reasons_of(parse_plan, {"steps": steps}) == {"steps"}
    crowd[0]["value"] = crowd[0]["value"][:1_500]
    assert len(parse_plan({"steps": steps}).steps[0].audience[0][0]["value"]) == 1_500


def test_the_largest_plan_reaches_the_ledger(desk):
    crowd = [{"attribute": "user", "op": "in", "value": [f"customer-{n:08}" for n in range(1_900)]}]
    steps = [{"share": 0.05, "min_time_s": 10, "audience": crowd}, {"share": 1, "min_time_s": 10}]
    rollout = begun(desk, steps=steps)
    assert desk.act(service.abort, rollout).state is State.ABORTED


DETECT = {"metric": "error", "from": 0.01, "to": 0.05}


@pytest.mark.parametrize(
    ("form", "where"),
    [
        ({"strategy": "blue_green"}, "preview"),
        ({"strategy": "blue_green", "preview": {}}, "preview.audience"),
        ({"strategy": "blue_green", "steps": [{"share": 1, "min_time_s": 0}]}, "steps"),
        ({**AB_TEST, "experiment": None}, "experiment"),
        ({**AB_TEST, "experiment": {"primary": "speed"}}, "experiment.primary"),
        ({**AB_TEST, "experiment": {"primary": "error", "metrics": ["joy"]}}, "experiment.metrics"),
        ({**AB_TEST, "experiment": {"primary": "error", "mode": "planned"}}, "experiment.units"),
        ({**AB_TEST, "steps": [{"share": 1, "min_time_s": 0}]}, "steps"),
        ({"steps": [{"share": 0, "min_time_s": 0}, {"share": 1, "min_time_s": 0}]}, "steps[0].share"),
        ({"steps": [{"share": 1, "min_time_s": 0, "audience": []}]}, "steps[0].audience"),
        ({"steps": [{"share": 1, "min_time_s": 0, "audience": [{"user": "x"}]}]}, "steps[0].audience[0]"),
        ({"steps": [{"share": 1, "min_time_s": 0, "audience": [{"all": []}]}]}, "steps[0].audience[0].all"),
        *(
            ({"steps": [{"share": 1, "min_time_s": 0, "audience": [condition]}]}, "steps[0].audience[0]")
            for condition in (
                {"attribute": "user", "op": "like", "value": "x"},
                {"attribute": "", "op": "equals", "value": "x"},
                {"attribute": "age", "op": "ge", "value": 1.5},
                {"attribute": "user", "op": "in", "value": [17]},
                {"attribute": "user", "op": "in", "value": [str(n) for n in range(10_001)]},
                {"attribute": "user", "op": "in_hashed", "value": {"key": "k", "hashes": ["0"]}},
                {"attribute": "user", "op": [], "value": "x"},
            )
        ),
        ({"strategy": "guess"}, "strategy"),
    ],
)
def test_every_fault_of_a_strategy_is_named_by_its_place(form, where):
    assert where in reasons_of(parse_plan, {"guards": [{"metric": "error"}], "detect": DETECT, **form})


def test_before_the_switch_only_the_preview_s_users_see_the_new_version(desk):
    rollout = begun(desk, **SWITCH)
    decide = compile_route(document_of(desk))
    assert decide("somebody", {}).value == rollout.stable
    assert decide("somebody", {"user": "somebody"}).value == rollout.stable
    for context in ({"user": "qa-2"}, {"preview": "green"}):
        seen = decide("somebody", context)
        assert (seen.value, seen.reason, seen.rule) == (
            rollout.subject, "rule", "audience-2" if "user" in context else "audience-1",
        )  # fmt: skip
    desk.clock.advance(11)
    assert desk.step(rollout, GOOD).move is Move.PAUSE  # the gate: a person switches
    switched = desk.act(service.promote, rollout)
    assert (switched.state, switched.share) == (State.RUNNING, 1)
    assert compile_route(document_of(desk))("somebody", {}).value == rollout.subject


def test_listed_people_travel_as_keyed_hashes(desk):
    rollout = begun(desk, **SWITCH)
    for audience in ("gateway", "sdk"):
        issue, read = desk.snapshot(audience=audience)
        route = read.payload.routes["support"]
        assert b"qa-1" not in base64.b64decode(json.loads(issue.envelope)["payload"])
        assert compile_route(route)("u", {"user": "qa-1"}).value == rollout.subject
        assert compile_route(route)("u", {"user": "qa-3"}).value == rollout.stable
    assert route["rules"][0]["when"] == [{"attribute": "preview", "op": "equals", "value": "green"}]


def test_after_the_switch_the_old_version_stays_warm_and_one_command_brings_it_back(desk):
    rollout = begun(desk, **SWITCH)
    desk.clock.advance(11)
    desk.act(service.promote, rollout)
    desk.clock.advance(61)
    assert desk.step(rollout, GOOD).move is Move.PROMOTE
    live = route_of(desk)
    assert (live.stable, live.previous, live.audience) == (rollout.subject, rollout.stable, ())
    assert set(payload(desk).versions) == {rollout.subject, rollout.stable}
    desk.clock.advance(99)
    cool(desk.runtime)
    assert route_of(desk).previous == rollout.stable
    desk.clock.advance(2)
    cool(desk.runtime)
    assert route_of(desk).previous is None
    cool(desk.runtime)  # nothing is left to do
    back = desk.act(service.roll_back, rollout)
    assert (back.state, route_of(desk).stable) == (State.ROLLED_BACK, rollout.stable)
    assert route_of(desk).previous is None


def test_a_broken_objective_takes_a_switch_back_where_the_plan_says_so(desk):
    rollout = begun(desk, **SWITCH)
    assert desk.step(rollout, BROKEN).move is Move.PAUSE  # before the switch it only freezes
    desk.step(rollout, GOOD)
    desk.act(service.resume, rollout, reason="looked at")
    desk.clock.advance(11)
    switched = desk.act(service.promote, rollout)
    stepped = desk.step(switched, BROKEN)
    assert (stepped.move, stepped.because, stepped.rollout.state) == (
        Move.ROLL_BACK,
        Because.SLO,
        State.ROLLED_BACK,
    )
    assert route_of(desk).stable == rollout.stable


def test_a_machine_takes_nothing_back_without_the_cause_that_it_names(desk):
    rollout = begun(desk, **SWITCH)
    facts = moves.Facts(route=route_of(desk), automatic=True, because=Because.SLO, judgement=GOOD)
    assert reasons_of(moves.roll_back, rollout, facts, desk.clock.now()) == {"verdict"}


def test_an_audience_sees_a_canary_beside_its_share(desk):
    steps = [
        {"share": 0.05, "min_time_s": 10, "max_time_s": 1000, "audience": [QA]},
        {"share": 1, "min_time_s": 10},
    ]
    rollout = begun(desk, steps=steps)
    decide = compile_route(document_of(desk))
    assert decide("anybody", {"user": "qa-1"}).value == rollout.subject
    by_chance = sum(decide(f"u{i}", {}).variant == "canary" for i in range(4000))
    assert 130 < by_chance < 270
    desk.clock.advance(11)
    desk.act(service.promote, rollout)
    assert route_of(desk).audience == ()


def test_an_ab_test_never_grows_and_waits_for_a_person_at_its_end(desk):
    rollout = begun(desk, **AB_TEST)
    with pytest.raises(Conflict, match="no further step"):
        desk.act(service.promote, rollout)
    with pytest.raises(Conflict, match="no further step"):
        moves.promote(rollout, moves.Facts(route=route_of(desk)), desk.clock.now())
    desk.clock.advance(500)
    assert desk.step(rollout, GOOD).move is Move.HOLD
    desk.clock.advance(501)
    stepped = desk.step(rollout, GOOD)
    assert (stepped.move, stepped.because) == (Move.PAUSE, Because.READ)
    assert desk.step(stepped.rollout, BAD).move is Move.ROLL_BACK  # guards stay on


def counted(n_canary, n_stable, **more):
    return {"experiment": {"metrics": [{"n_canary": n_canary, "n_stable": n_stable}], **more}}


def test_a_harm_that_only_a_judge_finds_takes_a_judge_of_live_calls(desk):
    desk.adopt()
    harm = {"metric": "judge", "from": 0.05, "to": 0.6}
    rollout = desk.file(guards=[{"metric": "judge"}], detect=harm)
    approve(desk, rollout)
    assert reasons_of(desk.act, service.start, rollout) == {"sampling"}


def test_a_winner_is_recorded_and_goes_out_by_a_release_of_its_own(desk):
    rollout = begun(desk, **AB_TEST)
    assert reasons_of(desk.do, service.conclude, ask_of(rollout), Winner.CANARY) == {"min_time", "unread"}
    desk.clock.advance(11)
    desk.step(rollout, Judgement(verdict=Verdict.PASS, figures=counted(400, 400)))
    concluded = desk.do(service.conclude, ask_of(rollout, "fewer thumbs down"), Winner.CANARY)
    row = desk.read(service.get_row, rollout.id)
    assert (concluded.state, row["winner"], concluded.share) == (State.CONCLUDED, "canary", 0)
    live = route_of(desk)
    assert (live.stable, live.canary, live.rollout) == (rollout.stable, None, None)
    assert desk.read(service.verdict, concluded)[0] == "pass"
    release = desk.do(service.release_winner, concluded, plan_form(), "it won")
    assert (release.state, release.subject) == (State.PLANNED, rollout.subject)
    with pytest.raises(Conflict):
        desk.do(service.conclude, ask_of(rollout), Winner.NONE)


def test_what_did_not_win_is_not_released_and_harm_does_not_win(desk):
    rollout = begun(desk, **AB_TEST)
    desk.clock.advance(11)
    figures = counted(400, 0, verdict="stable_better", exposure={"ok": False})
    desk.step(rollout, Judgement(verdict=Verdict.INCONCLUSIVE, figures=figures))
    told = reasons_of(desk.do, service.conclude, ask_of(rollout), Winner.CANARY)
    assert told == {"exposure", "unread", "winner"}
    concluded = desk.do(service.conclude, ask_of(rollout), Winner.STABLE)
    with pytest.raises(Conflict, match="did not win"):
        desk.do(service.release_winner, concluded, plan_form(), None)


def test_only_an_ab_test_is_concluded(desk):
    rollout = begun(desk)
    with pytest.raises(Conflict, match="no A/B test"):
        desk.do(service.conclude, ask_of(rollout), Winner.NONE)


def test_a_drill_changes_nothing_and_tells_what_each_replica_took(desk):
    desk.adopt()
    place = service.Place(project=PROJECT, environment="production", name="support")
    with pytest.raises(Conflict, match="No replica"):
        desk.do(service.drill, place, None)
    serial = payload(desk).serial
    for replica in ("gw-1", "gw-2"):
        desk.do(service.acknowledge, (PROJECT, "production"), replica, (1, serial))
    before = route_of(desk)
    drilled = desk.do(service.drill, place, "monthly")
    after = route_of(desk)
    assert replace(after, generation=before.generation) == before
    with pytest.raises(Conflict, match="on its way"):
        desk.do(service.drill, place, None)
    desk.clock.advance(0.12)
    desk.do(service.acknowledge, (PROJECT, "production"), "gw-1", (1, payload(desk).serial))
    measure_drills(desk.runtime)
    assert desk.read(service.get_drill, PROJECT, drilled["id"])["measured_at"] is None
    desk.clock.advance(31)
    measure_drills(desk.runtime)
    (found,) = desk.read(service.list_drills, PROJECT, "production", "support")
    assert (found["slowest_ms"], found["replicas"], found["silent"]) == (120, [["gw-1", 120]], ["gw-2"])
    assert desk.read(service.list_drills, PROJECT) == [found]
    measure_drills(desk.runtime)
    with pytest.raises(NotFound):
        desk.read(service.get_drill, PROJECT, "dr_none")


def test_a_route_that_keeps_nothing_warm_has_nothing_to_let_go(desk):
    desk.adopt()
    with pytest.raises(Conflict, match="keeps no version warm"):
        desk.do(service.cool, service.Place(project=PROJECT, environment="production", name="support"))


def ask_of(rollout, reason=None):
    return service.Ask(rollout=rollout.id, reason=reason)


def test_an_ab_test_passes_once_it_can_be_read(desk):
    rollout = begun(desk, **AB_TEST)
    desk.clock.advance(11)
    verdict, _, lacking = desk.read(service.verdict, rollout)
    assert (verdict, [reason.id for reason in lacking]) == ("inconclusive", ["detectable", "experiment"])
    figures = {"experiment": {"verdict": "no_difference", "because": "the interval is narrow"}}
    desk.step(rollout, replace(GOOD, figures=figures))
    assert desk.read(service.verdict, rollout)[0] == "pass"
