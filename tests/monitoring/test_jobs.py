import pytest
import sqlalchemy as sa

from assent.delivery.domain import State
from assent.monitoring import jobs, store
from assent.monitoring.service import looking


def test_the_tick_closes_blocks_and_rolls_back(running):
    for rate in (*[0.05] * 8, *[0.9] * 20):
        for i in range(20):
            call = running.call(f"u{running.n}", "canary" if i % 4 == 0 else "stable")
            bad = i % 4 == 0 and (running.n * 0.618) % 1 < rate
            running.send(call, running.thumb(call, 0.0 if bad else 1.0))
        running.clock.advance(1)
        jobs.watch(running.runtime)
        if running.rollout().state is State.ROLLED_BACK:
            break
    assert running.rollout().state is State.ROLLED_BACK
    assert len(running.rows("incidents")) == 1
    before = running.rows("blocks")
    running.clock.advance(30)
    jobs.watch(running.runtime)
    assert running.rows("blocks") == before


def test_one_rollouts_trouble_is_told_and_nothing_half_written(running):
    running.send(running.call("u1"), running.call("u2", "canary"))
    watches = store.tables.watches
    with running.writing() as tx:
        tx.conn.execute(sa.update(watches).values(state={"of": "another release"}))
    running.clock.advance(10)
    with pytest.raises(ExceptionGroup, match="could not be watched"):
        jobs.watch(running.runtime)
    assert running.rows("blocks") == []


def test_a_long_absence_is_made_up_for_in_parts(running, monkeypatch):
    monkeypatch.setattr(looking, "MAX_BLOCKS_PER_LOOK", 2)
    for _ in range(5):
        running.send(running.call(f"u{running.n}"), running.call(f"u{running.n}", "canary"))
        running.clock.advance(1)
    running.clock.advance(20)
    numbers = []
    for _ in range(3):
        jobs.watch(running.runtime)
        numbers.append(len(running.rows("blocks")))
    assert numbers == [2, 4, 5]


def test_pruning_ends_when_nothing_is_left_to_prune(running):
    running.send(running.call("u1"))
    running.clock.advance(40 * 86_400)
    jobs.prune(running.runtime)
    assert running.rows("calls") == running.rows("batches") == []
