from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from assent.delivery.domain import (
    EXPOSED,
    Because,
    Facts,
    Judgement,
    Move,
    Rollout,
    Route,
    State,
    Verdict,
    compile_route,
    events,
    moves,
    parse_plan,
    read_route,
)
from assent.delivery.domain.route import given_back_pins
from assent.kernel.errors import Conflict, Reason, Refused

T0 = datetime(2026, 3, 3, 9, tzinfo=UTC)
OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "1" * 64


def plan_of(**changes):
    form = {
        "steps": [
            {"share": 0.05, "min_time_s": 10, "min_units": 5, "max_time_s": 1000},
            {"share": 0.25, "min_time_s": 10, "max_time_s": 1000, "gate": True},
            {"share": 1, "min_time_s": 10},
        ],
        "guards": [{"metric": "thumbs_down"}],
        "detect": {"metric": "thumbs_down", "from": 0.05, "to": 0.6},
        "expected_units_per_s": 50,
        "window_s": 3,
    }
    return parse_plan({**form, **changes})


def rollout_of(state=State.PLANNED, step=-1, **changes):
    return Rollout(
        id="ro_1",
        project="shop",
        environment="production",
        name="support",
        kind="model",
        subject=NEW,
        ref="support@2.1.0",
        request="req_1",
        plan=changes.pop("plan", plan_of()),
        salt="s1",
        state=state,
        step=step,
        step_started_at=T0 if step >= 0 else None,
        stable=OLD if step >= 0 else None,
        receipt=compile_route(STABLE) if step >= 0 else None,
        **changes,
    )


STABLE = Route(key="support", kind="model", stable=OLD, unit="user", salt="s0", generation=1)
SPLIT = replace(STABLE, canary=NEW, share=0.05, salt="s1", rollout="ro_1", generation=2)
GOOD = Judgement(verdict=Verdict.INCONCLUSIVE, n_canary_units=50, figures={"rate": 0.25, "n": [1, 0.5]})
BAD = replace(GOOD, verdict=Verdict.FAIL, guard="thumbs_down", e_value=44.5)


def later(seconds):
    return T0 + timedelta(seconds=seconds)


def reasons_of(call, *args) -> set[str]:
    with pytest.raises(Refused) as caught:
        call(*args)
    return {reason.id for reason in caught.value.reasons}


def test_a_start_gives_the_canary_the_first_buckets_and_keeps_the_receipt():
    event = moves.start(rollout_of(), Facts(route=STABLE, decision="evt_1"), T0)
    assert isinstance(event, events.RolloutStarted)
    assert event.route["split"] == [
        {"variant": "canary", "start": 0, "end": 50_000},
        {"variant": "stable", "start": 50_000, "end": 1_000_000},
    ]
    assert event.receipt == compile_route(STABLE)
    assert (event.stable, event.decision, event.share, event.route_generation) == (OLD, "evt_1", "0.05", 2)
    assert read_route(event.route) == SPLIT
    assert SPLIT.digests == (OLD, NEW)


def test_a_shadow_answers_nobody_and_gives_way_to_the_first_share_by_time_and_calls():
    plan = plan_of(shadow={"share": 0.2, "min_time_s": 60, "min_units": 100})
    started = moves.start(rollout_of(plan=plan), Facts(route=STABLE, decision="evt_1"), T0)
    assert started.route["split"] == [{"variant": "stable", "start": 0, "end": 1_000_000}]
    assert started.route["shadow"] == {"variant": "canary", "end": 200_000}
    assert started.route["variants"] == {"stable": OLD, "canary": NEW}
    route = read_route(started.route)
    assert (route.shadow, route.share) == (0.2, 0)
    running = rollout_of(State.RUNNING, 0, plan=plan)
    few, enough = replace(GOOD, n_shadow=99), replace(GOOD, n_shadow=100)
    assert moves.decide(running, few, later(60)) == (Move.HOLD, None)
    assert moves.decide(running, enough, later(59)) == (Move.HOLD, None)
    assert moves.decide(running, enough, later(60)) == (Move.ADVANCE, None)
    assert moves.decide(running, few, later(86_400)) == (Move.PAUSE, Because.INCONCLUSIVE)
    facts = Facts(route=route, automatic=True, judgement=enough)
    advanced = moves.advance(running, facts, later(60))
    assert "shadow" not in advanced.route
    assert advanced.share == "0.05"
    assert "shadow" not in moves.roll_back(running, Facts(route=route), later(1)).route


def test_conversations_end_on_the_version_on_which_they_are_when_the_traffic_moves():
    plan = plan_of(unit="conversation", pin_s=600)
    first = moves.start(rollout_of(plan=plan), Facts(route=STABLE, decision="evt_1"), T0).route
    ms = int(T0.timestamp() * 1000)
    begun = {
        "variant": "stable",
        "start": 0,
        "end": 1_000_000,
        "salt": "s1",
        "before": ms,
        "until": ms + 600_000,
    }
    assert first["pins"] == [begun]
    facts = Facts(route=read_route(first), judgement=GOOD)
    running = rollout_of(State.RUNNING, 0, plan=plan)
    second = moves.advance(running, facts, later(60)).route
    grown = {**begun, "start": 50_000, "end": 250_000, "before": ms + 60_000, "until": ms + 660_000}
    assert second["pins"] == [begun, grown]
    third = moves.advance(
        rollout_of(State.RUNNING, 1, plan=plan), Facts(route=read_route(second), judgement=GOOD), later(620)
    ).route
    switched = {**begun, "start": 250_000, "before": ms + 620_000, "until": ms + 1_220_000}
    assert third["pins"] == [grown, switched]
    last = rollout_of(State.RUNNING, 2, plan=plan)
    promoted = moves.promote(last, Facts(route=read_route(third), judgement=GOOD), later(700)).route
    assert promoted["variants"] == {"stable": NEW, "ending": OLD}
    assert promoted["pins"] == [{**switched, "variant": "ending"}]
    assert read_route(compile_route(read_route(promoted))) == read_route(promoted)


def test_an_abort_by_a_person_lets_the_canarys_conversations_end_and_keeps_others_away():
    plan = plan_of(unit="conversation", pin_s=600)
    first = moves.start(rollout_of(plan=plan), Facts(route=STABLE, decision="evt_1"), T0).route
    running, facts = rollout_of(State.RUNNING, 0, plan=plan), Facts(route=read_route(first))
    aborted = moves.abort(running, facts, later(60)).route
    ms = int(T0.timestamp() * 1000)
    assert aborted["variants"] == {"stable": OLD, "ending": NEW}
    assert [(pin["variant"], pin["start"], pin["end"], pin["before"]) for pin in aborted["pins"]] == [
        ("stable", 0, 1_000_000, ms), ("ending", 0, 50_000, ms + 60_000),
    ]  # fmt: skip
    assert {pin["salt"] for pin in aborted["pins"]} == {"s1"}
    assert aborted["salt"] == "s0"


def test_a_rollback_and_a_kill_pin_nobody_and_a_new_rollout_drops_what_was_pinned():
    plan = plan_of(unit="conversation", pin_s=600)
    first = moves.start(rollout_of(plan=plan), Facts(route=STABLE, decision="evt_1"), T0).route
    running, facts = rollout_of(State.RUNNING, 0, plan=plan), Facts(route=read_route(first), judgement=BAD)
    assert "pins" not in moves.roll_back(running, facts, later(60)).route
    aborted = read_route(moves.abort(running, facts, later(60)).route)
    killed = moves.kill(aborted, "shop", "production")
    assert "pins" not in killed.route
    again = moves.start(rollout_of(plan=plan), Facts(route=aborted, decision="evt_2"), later(90)).route
    assert len(again["pins"]) == 1
    assert again["variants"] == {"stable": OLD, "canary": NEW}
    assert "pins" not in moves.start(rollout_of(), Facts(route=STABLE, decision="e"), T0).route


def test_a_refused_start_names_every_reason_at_once():
    blind = plan_of(expected_units_per_s=None)
    used = replace(SPLIT, rollout="ro_9", enabled=False, stable=NEW)
    facts = Facts(route=used, objections=(Reason("card", "There is no card."),))
    assert reasons_of(moves.start, rollout_of(plan=blind), facts, T0) == {
        "card", "other_rollout", "killed", "already_live", "detectability",
    }  # fmt: skip


def test_without_a_route_there_is_nothing_to_go_back_to():
    assert reasons_of(moves.start, rollout_of(), Facts(), T0) == {"rollback_target"}


def test_a_plan_that_accepts_being_blind_may_start():
    blind = plan_of(expected_units_per_s=None, accept_undetectable="a drill with known traffic")
    assert moves.start(rollout_of(plan=blind), Facts(route=STABLE), T0).TYPE == "delivery.rollout.started"


def test_a_start_before_its_time_waits_and_then_starts():
    timed = plan_of(start_at=later(60).isoformat())
    event = moves.start(rollout_of(plan=timed), Facts(route=STABLE), T0)
    assert isinstance(event, events.RolloutQueued)
    waiting = rollout_of(State.WAITING, plan=timed)
    with pytest.raises(Conflict):
        moves.start(waiting, Facts(route=STABLE), later(59))
    assert isinstance(moves.start(waiting, Facts(route=STABLE), later(60)), events.RolloutStarted)


def test_an_automatic_step_waits_for_time_units_and_the_detectable_harm():
    poor = Judgement(verdict=Verdict.INCONCLUSIVE, unknown=("error",))
    facts = Facts(route=SPLIT, automatic=True, judgement=poor)
    assert reasons_of(moves.advance, rollout_of(State.RUNNING, 0), facts, later(9)) == {
        "min_time", "min_units", "unknown", "detectable",
    }  # fmt: skip
    event = moves.advance(rollout_of(State.RUNNING, 0), replace(facts, judgement=GOOD), later(10))
    assert (event.step, event.share, event.n_canary_units) == (1, "0.25", 50)
    assert event.figures == {"rate": "0.25", "n": [1, "0.5"]}
    assert event.route["split"][0] == {"variant": "canary", "start": 0, "end": 250_000}


def test_units_of_earlier_steps_do_not_fill_the_minimum_of_this_one():
    rollout = rollout_of(State.RUNNING, 0, units_before=46)
    assert reasons_of(
        moves.advance, rollout, Facts(route=SPLIT, automatic=True, judgement=GOOD), later(10)
    ) == {"min_units"}


def test_a_step_by_proof_needs_the_bound_below_the_margin():
    plan = plan_of(
        steps=[
            {"share": 0.05, "min_time_s": 1, "max_time_s": 99, "advance": "proof"},
            {"share": 1, "min_time_s": 1},
        ]
    )
    rollout = rollout_of(State.RUNNING, 0, plan=plan)
    facts = Facts(route=SPLIT, automatic=True, judgement=GOOD)
    assert reasons_of(moves.advance, rollout, facts, later(10)) == {"proof"}
    passed = replace(facts, judgement=replace(GOOD, verdict=Verdict.PASS))
    assert moves.advance(rollout, passed, later(10)).step == 1


def test_a_person_decides_what_is_inconclusive_but_neither_haste_nor_harm():
    facts = Facts(route=SPLIT, judgement=Judgement(verdict=Verdict.INCONCLUSIVE))
    paused = rollout_of(State.PAUSED, 0)
    assert moves.advance(paused, facts, later(10)).automatic is False
    assert reasons_of(moves.advance, paused, facts, later(9)) == {"min_time"}
    harmed = replace(facts, judgement=replace(BAD, broken=("error",)))
    assert reasons_of(moves.advance, paused, harmed, later(10)) == {"guard", "slo"}


def test_a_gate_waits_for_a_person():
    facts = Facts(route=SPLIT, automatic=True, judgement=GOOD)
    assert reasons_of(moves.advance, rollout_of(State.RUNNING, 1), facts, later(10)) == {"person"}
    assert reasons_of(moves.advance, rollout_of(State.PAUSED, 0), facts, later(10)) == {"person"}


def test_the_last_step_is_promoted_and_only_the_last():
    facts = Facts(route=replace(SPLIT, share=1.0, generation=4), automatic=True, judgement=GOOD)
    with pytest.raises(Conflict):
        moves.advance(rollout_of(State.RUNNING, 2), facts, later(10))
    with pytest.raises(Conflict):
        moves.promote(rollout_of(State.RUNNING, 1), facts, later(10))
    assert reasons_of(moves.promote, rollout_of(State.RUNNING, 2), facts, later(9)) == {"min_time"}
    event = moves.promote(rollout_of(State.RUNNING, 2), facts, later(10))
    assert event.route["variants"] == {"stable": NEW}
    assert (event.stable, event.route["rollout"], event.route_generation) == (OLD, None, 5)


def test_an_abort_gives_the_traffic_back_and_before_the_start_touches_no_route():
    event = moves.abort(rollout_of(State.RUNNING, 1), Facts(route=replace(SPLIT, generation=7)), T0)
    assert event.route == compile_route(replace(STABLE, generation=8))
    assert moves.abort(rollout_of(), Facts(), T0).route is None


def test_a_kill_survives_the_rollback_that_follows_it():
    facts = Facts(route=replace(SPLIT, enabled=False), because=Because.PERSON)
    assert moves.roll_back(rollout_of(State.PAUSED, 0), facts, T0).route["enabled"] is False


def test_an_automatic_rollback_needs_a_failed_guard_and_carries_its_figures():
    facts = Facts(route=SPLIT, automatic=True, judgement=GOOD, because=Because.GUARD)
    assert reasons_of(moves.roll_back, rollout_of(State.RUNNING, 0), facts, T0) == {"verdict"}
    event = moves.roll_back(rollout_of(State.PAUSED, 0), replace(facts, judgement=BAD), T0)
    assert (event.guard, event.e_value, event.because) == ("thumbs_down", "44.5", "guard")
    assert event.route["variants"] == {"stable": OLD}


def test_a_promoted_version_goes_back_while_nothing_came_after_it():
    promoted = rollout_of(State.PROMOTED, 2)
    live = replace(STABLE, stable=NEW, generation=5)
    event = moves.roll_back(promoted, Facts(route=live), T0)
    assert (event.stable, event.route_generation, event.guard) == (OLD, 6, None)
    for moved_on in (replace(live, stable=OLD), replace(live, rollout="ro_2")):
        with pytest.raises(Conflict):
            moves.roll_back(promoted, Facts(route=moved_on), T0)


def test_a_rollout_without_receipt_or_route_says_so():
    with pytest.raises(Conflict, match="receipt"):
        moves.roll_back(replace(rollout_of(State.RUNNING, 0), receipt=None), Facts(route=SPLIT), T0)
    with pytest.raises(Conflict, match="route"):
        moves.roll_back(rollout_of(State.RUNNING, 0), Facts(), T0)


def test_a_paused_rollout_goes_on_only_by_a_person_and_without_harm():
    paused = rollout_of(State.PAUSED, 0)
    assert moves.resume(paused, Facts(), T0).generation == 2
    assert reasons_of(moves.resume, paused, Facts(automatic=True, judgement=BAD), T0) == {"person", "guard"}
    with pytest.raises(Conflict):
        moves.resume(rollout_of(State.RUNNING, 0), Facts(), T0)
    with pytest.raises(Conflict):
        moves.pause(paused, Facts(), T0)


@pytest.mark.parametrize(
    ("state", "step", "judgement", "seconds", "move"),
    [
        (State.PLANNED, -1, BAD, 10, (Move.HOLD, None)),
        (State.RUNNING, 0, BAD, 0, (Move.ROLL_BACK, Because.GUARD)),
        (State.PAUSED, 0, BAD, 0, (Move.ROLL_BACK, Because.GUARD)),
        (State.PAUSED, 0, GOOD, 10, (Move.HOLD, None)),
        (State.RUNNING, 0, replace(GOOD, broken=("error",)), 10, (Move.PAUSE, Because.SLO)),
        (State.RUNNING, 0, GOOD, 9, (Move.HOLD, None)),
        (State.RUNNING, 0, GOOD, 10, (Move.ADVANCE, None)),
        (State.RUNNING, 0, replace(GOOD, n_canary_units=1), 999, (Move.HOLD, None)),
        (State.RUNNING, 0, replace(GOOD, n_canary_units=1), 1000, (Move.PAUSE, Because.INCONCLUSIVE)),
        (State.RUNNING, 1, GOOD, 10, (Move.PAUSE, Because.GATE)),
        (State.RUNNING, 2, GOOD, 9, (Move.HOLD, None)),
        (State.RUNNING, 2, replace(GOOD, n_canary_units=0), 10, (Move.PROMOTE, None)),
    ],
)
def test_what_an_automatic_actor_does(state, step, judgement, seconds, move):
    assert moves.decide(rollout_of(state, step), judgement, later(seconds)) == move


@pytest.mark.parametrize(
    ("state", "step", "judgement", "seconds", "verdict", "lacking"),
    [
        (State.PROMOTED, 2, GOOD, 0, "pass", set()),
        (State.ROLLED_BACK, 0, BAD, 0, "fail", {"guard"}),
        (State.RUNNING, 0, BAD, 10, "fail", {"guard"}),
        (State.ABORTED, 0, GOOD, 0, "inconclusive", {"state"}),
        (State.RUNNING, 0, replace(GOOD, broken=("error",)), 9, "inconclusive", {"slo", "min_time"}),
        (State.RUNNING, 0, GOOD, 10, "pass", set()),
    ],
)
def test_the_verdict_of_a_step_says_what_is_missing(state, step, judgement, seconds, verdict, lacking):
    found, reasons = moves.verdict(rollout_of(state, step), judgement, later(seconds))
    assert (found, {reason.id for reason in reasons}) == (verdict, lacking)


def test_switching_off_and_on_is_refused_twice():
    off = moves.kill(SPLIT, "shop", "production")
    assert off.route["enabled"] is False
    on = moves.restore(read_route(off.route), "shop", "production")
    assert (on.route["enabled"], on.route_generation) == (True, 4)
    with pytest.raises(Conflict):
        moves.restore(SPLIT, "shop", "production")
    with pytest.raises(Conflict):
        moves.kill(replace(SPLIT, enabled=False), "shop", "production")


def test_a_kill_may_also_cut_what_is_under_way_and_does_so_later_too():
    off = read_route(moves.kill(SPLIT, "shop", "production").route)
    assert "cut" not in compile_route(off)
    cut = read_route(moves.kill(off, "shop", "production", cut=True).route)
    assert (cut.enabled, cut.cut) == (False, True)
    with pytest.raises(Conflict):
        moves.kill(cut, "shop", "production", cut=True)
    facts = Facts(route=replace(SPLIT, enabled=False, cut=True), because=Because.PERSON)
    assert moves.roll_back(rollout_of(State.PAUSED, 0), facts, T0).route["cut"] is True
    on = read_route(moves.restore(cut, "shop", "production").route)
    assert (on.enabled, on.cut) == (True, False)


def test_a_version_is_adopted_only_where_nothing_is_routed():
    event = events.VersionAdopted(
        project="shop", environment="production", name="support", kind="model", subject=OLD, ref="support@2.0.0",
        route=compile_route(STABLE), route_generation=1,
    )  # fmt: skip
    assert moves.adopt(None, event) is event
    with pytest.raises(Conflict):
        moves.adopt(STABLE, event)


class RolloutMachine(RuleBasedStateMachine):
    """Drives a rollout by people and by automatic actors; what must hold, holds after each move."""

    def __init__(self):
        super().__init__()
        self.rollout = rollout_of()
        self.route = STABLE
        self.now = T0
        self.generations = [STABLE.generation]

    def take(self, event):
        """Apply an event as the tables do."""
        states = {
            events.RolloutStarted: State.RUNNING, events.RolloutAdvanced: State.RUNNING,
            events.RolloutPaused: State.PAUSED, events.RolloutResumed: State.RUNNING,
            events.RolloutPromoted: State.PROMOTED, events.RolloutAborted: State.ABORTED,
            events.RolloutRolledBack: State.ROLLED_BACK,
        }  # fmt: skip
        before = self.rollout
        assert event.generation == before.generation + 1
        self.rollout = replace(before, state=states[type(event)], generation=event.generation)
        if isinstance(event, events.RolloutStarted):
            self.rollout = replace(
                self.rollout, step=0, stable=event.stable, receipt=event.receipt, step_started_at=self.now
            )
        if isinstance(event, events.RolloutAdvanced):
            self.rollout = replace(
                self.rollout, step=event.step, units_before=event.n_canary_units, step_started_at=self.now
            )
        if isinstance(event, events.RolloutResumed):
            self.rollout = replace(self.rollout, step_started_at=self.now)
        if getattr(event, "route", None):
            assert event.route_generation == self.route.generation + 1
            self.route = read_route(event.route)

    def attempt(self, move, facts):
        share = self.rollout.share
        try:
            event = move(self.rollout, facts, self.now)
        except (Conflict, Refused):
            return
        before = self.rollout
        self.take(event)
        if self.rollout.share > share and facts.automatic and before.state in EXPOSED:
            assert not before.current.gate
            assert facts.judgement.verdict is not Verdict.FAIL
            if before.current.share < 1:
                assert facts.judgement.n_canary_units >= 3

    judgements = st.builds(
        Judgement,
        verdict=st.sampled_from(Verdict),
        n_canary_units=st.sampled_from([0, 3, 4, 5, 100, 1000]),
        broken=st.sampled_from([(), ("error",)]),
        guard=st.just("thumbs_down"),
    )

    @rule(seconds=st.sampled_from([1, 9, 10, 1000]))
    def wait(self, seconds):
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.rollout.state is State.PLANNED)
    @rule(approved=st.booleans())
    def start(self, approved):
        objections = () if approved else (Reason("vote", "One vote is missing."),)
        self.attempt(moves.start, Facts(route=self.route, objections=objections))
        assert approved or self.rollout.state is State.PLANNED

    @rule(
        move=st.sampled_from([moves.advance, moves.pause, moves.resume, moves.promote, moves.roll_back]),
        judgement=judgements,
        automatic=st.booleans(),
    )
    def move(self, move, judgement, automatic):
        because = Because.GUARD if automatic else Because.PERSON
        self.attempt(move, Facts(route=self.route, judgement=judgement, automatic=automatic, because=because))

    @precondition(lambda self: self.rollout.state in EXPOSED)
    @rule()
    def abort(self):
        self.attempt(moves.abort, Facts(route=self.route))

    @rule(judgement=judgements)
    def tick(self, judgement):
        move, because = moves.decide(self.rollout, judgement, self.now)
        facts = Facts(
            route=self.route, judgement=judgement, automatic=True, because=because or Because.PERSON
        )
        if move is Move.HOLD:
            return
        generation = self.rollout.generation
        self.attempt(getattr(moves, move.value), facts)
        assert self.rollout.generation == generation + 1, "what decide says is always allowed"

    @invariant()
    def traffic_is_where_the_state_says(self):
        canary = next((r["end"] for r in compile_route(self.route)["split"] if r["variant"] == "canary"), 0)
        if self.rollout.state in EXPOSED:
            assert canary == round(self.rollout.current.share * 1_000_000)
            assert self.route.rollout == self.rollout.id
        else:
            assert canary == 0
            assert self.route.rollout is None
            assert self.route.stable == (NEW if self.rollout.state is State.PROMOTED else OLD)

    @invariant()
    def ranges_cover_every_bucket_once(self):
        position = 0
        for part in compile_route(self.route)["split"]:
            assert part["start"] == position < part["end"]
            position = part["end"]
        assert position == 1_000_000


RolloutMachine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestRollout = RolloutMachine.TestCase


def test_a_route_without_a_canary_has_no_conversations_to_give_back():
    assert given_back_pins(plan_of(unit="conversation", pin_s=600), STABLE, T0) == ()
