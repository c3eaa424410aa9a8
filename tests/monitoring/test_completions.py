"""Calls are found by their completion: the newest, those of long ago, and none that only looks like one."""

from zlib import crc32

import pytest
import sqlalchemy as sa

from assent.kernel.db import is_sqlite
from assent.monitoring.store import completions, observations, tables
from assent.monitoring.store.completions import BATCHES_AT_ONCE, PART

ALIKE = ("plumless", "buckeroo")  # two words of one CRC-32


def found(desk, *names):
    with desk.session.read() as reader:
        return {name: one.unit for name, one in observations.find_calls(reader.conn, names).items()}


def test_calls_are_found_however_many_batches_came_since(running):
    names = []
    assert found(running, "cmpl-1") == {}
    for n in range(2 * BATCHES_AT_ONCE + 3):
        names.append(f"c{n}")
        running.send(running.call(f"u{n}", completion_id=names[-1]))
        assert found(running, *names, "nobody") == {f"c{k}": f"u{k}" for k in range(n + 1)}


def test_a_batch_without_calls_leaves_none_out(running):
    for n in range(2 * BATCHES_AT_ONCE):
        running.send(*[running.call("u1", completion_id=f"c{n}")] * (n % BATCHES_AT_ONCE == 2))
    assert set(found(running, *(f"c{n}" for n in range(20)))) == {"c2", "c10"}


def test_calls_whose_completions_have_one_hash_are_told_apart(running):
    assert len({crc32(name.encode()) for name in ALIKE}) == 1
    running.send(*(running.call(name, completion_id=name) for name in ALIKE))
    for _ in range(BATCHES_AT_ONCE):
        running.send()
    assert found(running, ALIKE[0]) == {ALIKE[0]: ALIKE[0]}
    assert found(running, *ALIKE) == {name: name for name in ALIKE}


def test_of_two_calls_with_one_completion_the_newest_is_found(running):
    running.send(running.call("late", completion_id="c1"))
    running.send(running.call("early", completion_id="c1", ago_s=60))
    assert found(running, "c1") == {"c1": "late"}
    for _ in range(BATCHES_AT_ONCE):
        running.send()
    assert found(running, "c1") == {"c1": "late"}


def test_a_call_counts_once_however_many_batches_came_since(running):
    call = running.call("u1")
    for n in range(BATCHES_AT_ONCE + 2):
        assert running.send(call)["n_accepted"] == (n == 0)
    assert [row.unit for row in running.rows("calls")] == ["u1"]


@pytest.mark.parametrize("seq", [PART // tables.ROWS_PER_BATCH + n for n in (-1, 0, 7)])
def test_calls_are_found_in_every_part_of_the_ring_and_whole_parts_are_forgotten(running, seq):
    running.send(running.call("u1", completion_id="first"))
    with running.writing() as tx:
        values = {"batch": "b", "digest": "sha256:" + "0" * 64, "instance": "gw", "received_at": 0.0}
        tx.conn.execute(sa.insert(tables.batches).values(seq=seq, **values))
        if not is_sqlite(tx.conn):
            tx.conn.execute(sa.text(f"SELECT setval('monitoring_batches_seq_seq', {seq})"))
        completions.keep(tx.conn, BATCHES_AT_ONCE)
    for n in range(2 * BATCHES_AT_ONCE):
        running.send(running.call(f"v{n}", completion_id=f"c{n}"))
    assert found(running, "first", "c0", "c9", "c15") == {
        "first": "u1", "c0": "v0", "c9": "v9", "c15": "v15"
    }  # fmt: skip
    with running.writing() as tx:
        kept = {row.n for row in running.rows("completions")}
        tx.conn.execute(sa.delete(tables.completions).where(completions.are_before(sa.literal(PART))))
    assert {row.n for row in running.rows("completions")} == {n for n in kept if n >= PART}
