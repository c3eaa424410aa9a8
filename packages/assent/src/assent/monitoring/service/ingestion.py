"""Taking observations in: durable when acknowledged, each batch and each call once."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from assent.flags import service as flags
from assent.kernel.errors import Conflict
from assent.kernel.tx import Tx
from assent.monitoring.service import samples
from assent.monitoring.service.batch import MAX_SHOWN_REJECTIONS, Batch, Feedback
from assent.monitoring.service.facets import Calls
from assent.monitoring.service.live_units import LiveUnits
from assent.monitoring.service.preparing import Prepared, add_up, prepare, rollouts_of
from assent.monitoring.service.sums import SeriesSums, UnitSums
from assent.monitoring.service.watching import watch_of
from assent.monitoring.store import observations as store
from assent.monitoring.store.blocks import Watch


def take(tx: Tx, batch: Batch, body: bytes, prepared: Prepared | None = None) -> dict[str, Any]:
    """Take a batch in; the same batch again changes nothing and gets the same receipt.

    `prepared` is the batch made ready before this transaction, so that the write lock is held for less;
    it serves once. Raises: Conflict when another batch came under this id.
    """
    ready = prepared or prepare(tx, batch, body)
    known = store.find_batch(tx.conn, batch.id)
    if known is not None:
        return _receipt_of(known, ready.digest, batch.id)
    now_s = tx.now().timestamp()
    received = {
        "batch": batch.id,
        "digest": ready.digest,
        "instance": batch.instance,
        "received_at": now_s,
    }
    seq = store.insert_batch(tx.conn, received)
    store.put_instance(
        tx.conn,
        {
            "instance": batch.instance,
            "project": batch.project,
            "n_dropped": batch.n_dropped,
            "seen_at": now_s,
        },
    )
    calls = _write_calls(tx.conn, ready.calls, seq, now_s)
    _count(tx, ready, calls)
    if batch.exposures:
        given = Counter((one.environment, one.route, one.variant) for one in batch.exposures)
        flags.see(tx, batch.project, given, tx.now())
    n_samples, refused = samples.take(tx, batch.project, batch.samples)
    rejections = sorted([*batch.rejections, *refused])
    receipt = {
        "batch": batch.id,
        "n_accepted": len(calls) + len(batch.feedback) + len(batch.exposures) + n_samples,
        "n_duplicates": len(batch.calls) - len(calls) + len(batch.samples) - n_samples - len(refused),
        "n_rejected": len(rejections),
        "rejections": [{"index": r.index, "reason": r.reason} for r in rejections[:MAX_SHOWN_REJECTIONS]],
    }
    store.finish_batch(tx.conn, seq, receipt)
    return receipt


def _receipt_of(known: sa.Row[str, Any], digest: str, batch: str) -> dict[str, Any]:
    if known.digest != digest:
        raise Conflict(
            f"Another batch came under the id {batch}.", remedy="Give every batch an id of its own."
        )
    return dict(known.receipt)


def _write_calls(conn: sa.Connection, calls: Calls, seq: int, now_s: float) -> Calls:
    """Write calls into the raw ring; give those that were not known."""
    store.add_series(conn, {facet.key.id: facet.key for facet in calls.shared})
    store.add_facets(conn, [(facet.id, *facet.row) for facet in calls.shared], now_s)
    if store.add_calls(conn, seq, calls.rows(store.numbers(seq, len(calls)))) == len(calls):
        return calls
    return calls.pick(store.written(conn, seq))


def _count(tx: Tx, ready: Prepared, calls: Calls) -> None:
    opinions = _opinions(tx.conn, calls, ready.batch.feedback)
    found = store.find_calls(tx.conn, list(opinions))
    watches = _watches(tx, {*rollouts_of(ready.batch), *(one.rollout for one in found.values())})
    live = LiveUnits(tx.conn, ready.batch.project)
    tally, is_same = ready.tally, live.ids == ready.live.ids
    if len(calls) < len(ready.calls) or not watches.keys() <= ready.watches.keys() or not is_same:
        tally = add_up(calls, ready.batch.exposures, watches, live)
    rated = {(key, one.unit) for one in found.values() for key in _kept_under(one, live)}
    known = {**watches, **live.by_key(ready.live.by_key() if is_same else ())}
    tally.units.meet(tx.conn, known, tally.outcomes, [one for one in rated if one[0] in known])
    sums = SeriesSums(tally.sums)
    _count_feedback(tx.conn, opinions, found, live, (tally.units, sums))
    tally.units.write(tx.conn)
    sums.write(tx.conn)
    store.add_to_latencies(tx.conn, tally.histograms)
    store.add_to_usage(tx.conn, tally.usage)


def _kept_under(call: store.Called, live: LiveUnits) -> list[str]:
    """Give what the unit of a call is kept under: its rollout first, then the watches over its version."""
    return [call.rollout or "", *live.keys(call.series, call.at)]


def _watches(tx: Tx, rollouts: set[str | None]) -> dict[str, Watch]:
    watched = ((rollout, watch_of(tx, rollout)) for rollout in sorted(r for r in rollouts if r is not None))
    return {rollout: watch for rollout, watch in watched if watch is not None}


class Opinion(NamedTuple):
    """Feedback on a completion: when, how bad (1 = bad), and from which application."""

    at: float
    badness: float
    application: str


def _opinions(conn: sa.Connection, calls: Calls, said: Sequence[Feedback]) -> dict[str, Opinion]:
    """Gather the feedback of this batch, and the earlier one that waited for a call of this batch."""
    opinions: dict[str, Opinion] = {}
    if calls and store.has_unmatched_feedback(conn):
        waiting = store.find_feedback(conn, calls.completions)
        opinions = {
            one.completion: Opinion(one.at, one.badness, "") for one in waiting.values() if not one.matched
        }
    for one in sorted(said, key=lambda s: s.at):
        opinions[one.completion_id] = Opinion(one.at.timestamp(), 1 - one.value, one.application)
    return opinions


def _count_feedback(
    conn: sa.Connection,
    opinions: dict[str, Opinion],
    found: dict[str, store.Called],
    live: LiveUnits,
    sums: tuple[UnitSums, SeriesSums],
) -> None:
    """Count feedback where its call is known; the last word stands while the window is open."""
    earlier = store.find_feedback(conn, list(opinions))
    rows = []
    units, series = sums
    for completion, said in opinions.items():
        call, before = found.get(completion), earlier.get(completion)
        in_window = False
        if call is not None:
            counted = before is not None and before.matched
            n, badness = (0, said.badness - before.badness) if before and counted else (1, said.badness)
            in_window, *_ = [
                units.add_feedback((key, call.unit), said.at, n, badness) for key in _kept_under(call, live)
            ]
            series.add_feedback(call.series, said.at, n, badness)
        rows.append((completion, said.at, said.badness, said.application, call is not None, in_window))
    store.put_feedback(conn, rows)
