"""Keeping what is observed small: rows for days, sums of ten seconds for a week, then hours."""

from itertools import takewhile

from assent.kernel.tx import Tx
from assent.monitoring.service import regressions, samples, span_export
from assent.monitoring.service.sums import SLOT_S
from assent.monitoring.store import compaction
from assent.monitoring.store import observations as store

CALLS_KEPT_S = 2 * 86_400.0
FEEDBACK_KEPT_S = 30 * 86_400.0
BATCHES_KEPT_S = 8 * 86_400.0  # longer than the age up to which rows are taken, so none is taken twice
USAGE_KEPT_S = 92 * 86_400.0
SLOTS_KEPT_S = BATCHES_KEPT_S  # until then rows come in late
SLOTS_PER_HOUR = 3_600 // SLOT_S
HOURS_AT_ONCE = 2
ROWS_AT_ONCE = 2_000  # a few milliseconds of the write lock


def prune(tx: Tx) -> int:
    """Delete and fold a bounded number of what is too old; give how many rows went and hours were folded."""
    now_s = tx.now().timestamp()
    before = {
        "calls": now_s - CALLS_KEPT_S,
        "feedback": now_s - FEEDBACK_KEPT_S,
        "batches": now_s - BATCHES_KEPT_S,
        "usage": now_s - USAGE_KEPT_S,
    }
    span_export.drop(tx, before["calls"])
    gone = store.prune(tx.conn, before, ROWS_AT_ONCE) + regressions.forget(tx, ROWS_AT_ONCE)
    gone += samples.forget(tx, ROWS_AT_ONCE)
    return gone + _fold(tx, int((now_s - SLOTS_KEPT_S) // SLOT_S))


def _fold(tx: Tx, before_slot: int) -> int:
    """Fold some hours; give how many."""
    return sum(
        1
        for _ in takewhile(
            bool, (compaction.fold(tx.conn, before_slot, SLOTS_PER_HOUR) for _ in range(HOURS_AT_ONCE))
        )
    )
