"""Keeping the raw ring small: recent rows stay, sums and blocks stay longer or for good."""

from assent.kernel.tx import Tx
from assent.monitoring.service import regressions
from assent.monitoring.store import observations as store

CALLS_KEPT_S = 2 * 86_400.0
FEEDBACK_KEPT_S = 30 * 86_400.0
BATCHES_KEPT_S = 8 * 86_400.0  # longer than the age up to which rows are taken, so none is taken twice
ROWS_AT_ONCE = 2_000  # a few milliseconds of the write lock


def prune(tx: Tx) -> int:
    """Delete a bounded number of rows that are too old; give how many went."""
    now_s = tx.now().timestamp()
    before = {
        "calls": now_s - CALLS_KEPT_S,
        "feedback": now_s - FEEDBACK_KEPT_S,
        "batches": now_s - BATCHES_KEPT_S,
    }
    return store.prune(tx.conn, before, ROWS_AT_ONCE) + regressions.forget(tx, ROWS_AT_ONCE)
