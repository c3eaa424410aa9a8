import dataclasses
from decimal import Decimal

import msgspec
import pytest
import sqlalchemy as sa

from assent.delivery.domain import Move, State, Verdict
from assent.monitoring import service, store
from assent.monitoring.domain import state as states
from assent.monitoring.service.looking import GRACE_S
from assent.monitoring.service.watching import incident_of

ROLLOUT = "ro_1"
PLAN = {
    "steps": [{"share": 0.25, "min_time_s": 10, "min_units": 5}, {"share": 1, "min_time_s": 10}],
    "guards": [{"metric": "thumbs_down", "margin": 0.1}],
    "detect": {"metric": "thumbs_down", "from": 0.05, "to": 0.6},
    "window_s": 3,
    "block_s": 1,
    "expected_units_per_s": 100,
}


def test_a_quiet_rollout_is_neither_passed_nor_failed(running):
    sight = running.look()
    assert sight.judgement.verdict is Verdict.INCONCLUSIVE
    assert sight.judgement.n_canary_units == 0
    assert sight.blocks == ()


def test_a_block_closes_once_its_window_and_the_grace_are_over(running):
    start = running.clock.now().timestamp()
    running.send(running.call("u1"), running.call("u2", "canary", status=500))
    running.clock.advance(3 + 1 + GRACE_S - 0.1)
    assert running.look().blocks == ()
    running.clock.advance(0.1)
    (block,) = running.look().blocks
    assert block.block == int(start + 3)
    assert (block.closed_at - block.opened_at).total_seconds() == 1
    by_metric = {g.metric: g for g in block.guards}
    assert by_metric["error"].canary == ((256, 1),)
    assert by_metric["error"].stable == ((0, 1),)
    assert by_metric["thumbs_down"].canary == ((0, 1),)


def test_each_unit_has_one_score_however_often_it_comes(running):
    calls = [running.call("u1", "canary", status=status) for status in (500, 200, 200, 200)]
    running.send(*calls)
    running.clock.advance(20)
    running.tick()
    running.send(running.call("u1", "canary", status=500))
    running.clock.advance(20)
    running.tick()
    (row,) = running.rows("blocks")
    assert [g["canary"] for g in row.guards if g["metric"] == "error"] == [[[64, 1]]]


def test_past_blocks_are_never_rewritten(running):
    running.send(running.call("u1"), running.call("u2", "canary"))
    running.clock.advance(10)
    running.tick()
    before = running.rows("blocks")
    running.send(running.call("u3", "canary", ago_s=10), running.call("u1", ago_s=10, status=500))
    running.clock.advance(10)
    running.tick()
    assert running.rows("blocks") == before
    late = {row.unit: row.n_late for row in running.rows("units")}
    assert late == {"u1": 1, "u2": 0, "u3": 1}
    figures = running.read(service.live.rollout_figures, "acme", ROLLOUT)
    assert figures["arms"]["canary"] == {
        "n_units": 2,
        "n_scored_units": 1,
        "n_calls": 1,
        "n_late": 1,
        "late_badness": 0.0,
    }


def test_harm_is_rolled_back_within_seconds_and_opens_an_incident(running):
    assert Move.ROLL_BACK not in running.traffic(8, canary_down=0.05)
    moves = running.traffic(30, canary_down=0.6)
    assert moves[-1] is Move.ROLL_BACK
    assert len(moves) <= 12
    assert running.rollout().state is State.ROLLED_BACK
    (incident,) = running.rows("incidents")
    assert (incident.guard, incident.threshold, incident.route) == ("thumbs_down", "20", "assistant")
    assert Decimal(incident.total) >= 20
    assert incident.summary.startswith("thumbs_down: canary 0.")
    assert {g["metric"] for g in incident.guards} == {"error", "thumbs_down"}


def test_without_harm_it_goes_on_to_the_next_step(running):
    moves = running.traffic(25, canary_down=0.05)
    assert Move.ADVANCE in moves
    assert Move.ROLL_BACK not in moves
    assert running.rows("incidents") == []


def test_a_verdict_is_replayed_to_the_bit(running):
    running.traffic(8, canary_down=0.05)
    running.traffic(30, canary_down=0.6)
    (incident,) = running.rows("incidents")
    evidence = running.read(service.evidence.replay, "acme", ROLLOUT)
    assert evidence.matches
    assert evidence.total == incident.total
    assert evidence.failed_at == incident.last_block
    document = running.read(service.evidence.evidence_document, evidence)
    assert document["guards"] == incident.guards
    assert len(document["blocks"]) == evidence.n_blocks == len(running.rows("blocks"))


def test_after_its_end_a_rollout_keeps_its_figures(running):
    running.traffic(8, canary_down=0.05)
    running.traffic(30, canary_down=0.6)
    before = running.read(service.live.rollout_figures, "acme", ROLLOUT)
    running.clock.advance(60)
    assert running.read(service.live.rollout_figures, "acme", ROLLOUT) == before
    assert (before["verdict"], before["alarms"]) == ("fail", [])


def test_an_edited_block_is_found_by_the_replay(running):
    running.traffic(8, canary_down=0.05)
    running.traffic(30, canary_down=0.6)
    (first, *_) = running.rows("blocks")
    edited = [{**g, "canary": [[256, 50]]} for g in first.guards]
    blocks = store.tables.blocks
    with running.writing() as tx:
        tx.conn.execute(sa.update(blocks).where(blocks.c.block == first.block).values(guards=edited))
    evidence = running.read(service.evidence.replay, "acme", ROLLOUT)
    assert not evidence.matches
    assert evidence.wrong_digests == (first.block,)


def test_the_kept_state_equals_the_one_computed_from_the_blocks(running):
    running.traffic(12, canary_down=0.2)
    (watch,) = running.rows("watches")
    terms = states.terms_of(running.rollout().plan)
    kept = states.load(watch.state, terms)
    blocks = running.read(lambda reader: store.blocks.closed_blocks(reader.conn, ROLLOUT))
    assert states.replay(terms, (b.guards for b in blocks)) == kept
    watches = store.tables.watches
    with running.writing() as tx:
        tx.conn.execute(sa.update(watches).values(state=None))
    assert running.look().watched == kept


def test_two_workers_close_a_block_once(running):
    running.send(running.call("u1"), running.call("u2", "canary"))
    running.tick()
    running.clock.advance(10)
    found, sight = running.rollout(), running.look()
    with running.writing() as tx:
        assert service.apply(tx, found, sight) is Move.HOLD
    with running.writing() as tx:
        assert service.apply(tx, found, sight) is None
    assert len(running.rows("blocks")) == 1


def test_a_look_that_finds_nothing_writes_nothing(running):
    running.tick()
    found, sight = running.rollout(), running.look()
    assert not running.read(service.needs_writing, found, sight)


def test_a_metric_that_cannot_be_computed_is_unknown_and_alarms(desk):
    desk.plan({**PLAN, "guards": [{"metric": "judge"}, {"metric": "slow"}, {"metric": "thumbs_down"}]})
    sight = desk.look()
    assert sight.judgement.unknown == ("judge", "slow")
    assert sight.judgement.verdict is Verdict.INCONCLUSIVE
    figures = desk.read(service.live.rollout_figures, "acme", ROLLOUT)
    assert figures["alarms"] == [
        "judge cannot be computed: no judge is set for assistant in production: assent quality set",
        "slow cannot be computed: no scores arrive for it",
    ]


def test_slow_means_slower_than_95_of_100_stable_calls_before_the_start(desk):
    desk.send(*(desk.call(f"v{i}", rollout=None, latency_s=i / 100, ttft_s=0.01) for i in range(1, 101)))
    desk.plan({**PLAN, "guards": [{"metric": "slow"}], "detect": {"metric": "slow", "from": 0.05, "to": 0.6}})
    desk.send(desk.call("u1", latency_s=0.9), desk.call("u2", "canary", latency_s=1.0))
    (watch,) = desk.rows("watches")
    assert watch.slow_above_s == pytest.approx(0.95, rel=0.011)
    desk.clock.advance(10)
    (block,) = desk.look().blocks
    assert (block.guards[0].canary, block.guards[0].stable) == (((256, 1),), ((0, 1),))


def test_refusals_are_a_guard(desk):
    desk.plan(
        {**PLAN, "guards": [{"metric": "refusal"}], "detect": {"metric": "refusal", "from": 0.05, "to": 0.6}}
    )
    desk.send(desk.call("u1", "canary", finish_reason="content_filter"), desk.call("u1", "canary"))
    desk.clock.advance(10)
    (block,) = desk.look().blocks
    assert block.guards[0].canary == ((128, 1),)


def test_an_outage_of_both_arms_freezes_the_ramp_and_blames_nobody(desk):
    desk.plan({**PLAN, "slo": [{"metric": "error", "max": 0.2}]})
    for _ in range(8):
        desk.send(
            *(desk.call(f"u{desk.n}", "canary" if i % 4 == 0 else "stable", status=503) for i in range(20))
        )
        desk.clock.advance(1)
        move = desk.tick()
        if move is Move.PAUSE:
            break
    assert move is Move.PAUSE
    assert (desk.rollout().state, desk.rollout().because) == (State.PAUSED, "slo")
    assert desk.rows("incidents") == []
    assert (
        "over its limit in both arms" in desk.read(service.live.rollout_figures, "acme", ROLLOUT)["alarms"][0]
    )


def test_a_plan_without_guards_has_no_verdict_but_counts_units(desk):
    plan = {"steps": [{"share": 1, "min_time_s": 10}], "window_s": 3, "block_s": 1}
    desk.plan(plan)
    desk.send(desk.call("u1", "canary"))
    desk.clock.advance(8)
    sight = desk.look()
    assert sight.judgement.verdict is Verdict.INCONCLUSIVE
    assert sight.judgement.guard is None
    assert sight.judgement.n_canary_units == 1
    with pytest.raises(ValueError, match="without guards"):
        incident_of(desk.rollout(), sight)


def test_weights_that_a_rounding_error_carries_above_one_are_scaled_down(running):
    plan = running.rollout().plan
    guards = tuple(dataclasses.replace(g, weight=0.5000000001) for g in plan.guards)
    terms = states.terms_of(dataclasses.replace(plan, guards=guards))
    assert sum(terms.weights.values()) <= 1


def test_live_units_to_detect_follow_the_split(running):
    running.traffic(8, canary_down=0.05)
    figures = running.read(service.live.rollout_figures, "acme", ROLLOUT)
    assert 5 < figures["units_to_detect"] < 15
    assert figures["threshold"] == "20"
    guard = next(g for g in figures["guards"] if g["metric"] == "thumbs_down")
    low, high = map(float, guard["canary_interval"])
    assert low <= float(guard["canary_rate"]) <= high
    assert figures["blocks"]


def test_errors_of_a_version_with_all_the_traffic_take_it_back_and_open_an_incident(desk):
    slo = [{"metric": "error", "max": 0.2, "then": "roll_back"}]
    steps = [{"share": 1, "min_time_s": 100}]
    desk.plan({"steps": steps, "slo": slo, "window_s": 3, "block_s": 1})
    for _ in range(8):
        desk.send(
            *(
                desk.call(f"u{desk.n}", "canary", reason="static", status=503 if i % 2 else 200)
                for i in range(20)
            )
        )
        desk.clock.advance(1)
        move = desk.tick()
        if move is Move.ROLL_BACK:
            break
    assert (move, desk.rollout().state, desk.rollout().because) == (Move.ROLL_BACK, State.ROLLED_BACK, "slo")
    (incident,) = desk.rows("incidents")
    assert (incident.guard, incident.threshold) == ("error", "0.2")
    assert 0.2 < float(incident.total) < 0.5
    assert incident.summary.endswith("of the newest units, 0.2 allowed")


def test_who_was_chosen_by_a_rule_or_saw_a_preview_s_stable_version_is_compared_with_nobody(running):
    chosen = running.call("qa", "canary", reason="rule", rule="audience-1")
    waiting = running.call("u1", "stable", reason="static")
    by_chance = running.call("u2", "canary")
    exposed = msgspec.structs.replace(running.exposure("u3", "stable"), rule="audience-1")
    running.send(chosen, waiting, by_chance, exposed)
    assert [(row.unit, row.arm) for row in running.rows("units")] == [("u2", "canary")]


GUARDED = {**PLAN, "guards": [{"metric": "error", "weight": 0.5}, {"metric": "guardrail", "weight": 0.5}],
           "detect": {"metric": "guardrail", "from": 0.05, "to": 0.6}}  # fmt: skip


def guarded(desk, seconds, *, canary_hits, looked=("canary", "stable")):
    """Send calls that guardrails look at: those of `looked`, and hit one in twenty of the stable ones."""
    for _ in range(seconds):
        rows = []
        for i in range(20):
            variant = "canary" if i % 4 == 0 else "stable"
            rate = canary_hits if variant == "canary" else 0.05
            hit = ("pii",) if (desk.n * 0.6180339887) % 1 < rate else ()
            rows.append(desk.call(f"g{desk.n}", variant, guardrails=hit if variant in looked else None))
        desk.send(*rows)
        desk.clock.advance(1)
        if desk.tick() is Move.ROLL_BACK:
            return True
    return False


def test_a_canary_that_guardrails_stop_more_often_is_taken_back(desk):
    desk.plan(GUARDED)
    assert guarded(desk, 40, canary_hits=0.6)
    (incident,) = desk.rows("incidents")
    assert incident.guard == "guardrail"
    assert desk.read(service.evidence.replay, "acme", ROLLOUT).matches


def test_a_guard_that_no_guardrail_feeds_is_unknown_and_none_is_blamed_for_being_looked_at(desk):
    desk.plan(GUARDED)
    assert not guarded(desk, 10, canary_hits=0.6, looked=())
    sight = desk.look()
    assert sight.judgement.unknown == ("guardrail",)
    assert sight.judgement.n_canary_units > 0
    assert not guarded(desk, 10, canary_hits=0.9, looked=("canary",))
    assert desk.look().judgement.unknown == ()
    assert desk.look().judgement.guard in {"error", "guardrail"}
    assert desk.rollout().state is State.RUNNING
