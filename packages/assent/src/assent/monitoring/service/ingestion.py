"""Taking observations in: durable when acknowledged, each batch and each call once."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from assent.flags import service as flags
from assent.kernel.canonical import digest_bytes
from assent.kernel.errors import Conflict
from assent.kernel.tx import Tx
from assent.monitoring.domain.kinds import TOKENS_PER_S, Kind, finish_bucket, language_bucket
from assent.monitoring.domain.scores import Arm
from assent.monitoring.service.batch import MAX_SHOWN_REJECTIONS, Batch, Call, Exposure, Feedback
from assent.monitoring.service.sums import (
    Outcome,
    SeriesKey,
    SeriesSums,
    UnitSums,
    bucket_rows,
    duration_rows,
)
from assent.monitoring.service.watching import watch_of
from assent.monitoring.store import observations as store
from assent.monitoring.store.blocks import Watch

REFUSALS = frozenset({"content_filter", "refusal"})
CLIENT_LEFT = 499  # the caller hung up: nobody's fault that a version could be blamed for
SERVER_ERROR = 500


class Placed(NamedTuple):
    """A call with its key in the store, its series and its time in seconds."""

    completion: str
    series: int
    at: float
    call: Call


def take(tx: Tx, batch: Batch, body: bytes) -> dict[str, Any]:
    """Take a batch in; the same batch again changes nothing and gets the same receipt.

    Raises: Conflict when another batch came under this id.
    """
    digest = digest_bytes(body)
    known = store.find_batch(tx.conn, batch.id)
    if known is not None:
        return _receipt_of(known, digest, batch.id)
    now_s = tx.now().timestamp()
    received = {"batch": batch.id, "digest": digest, "instance": batch.instance, "received_at": now_s}
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
    placed = _write_calls(tx.conn, batch, seq)
    _count(tx, placed, batch.exposures, batch.feedback)
    if batch.exposures:
        given = Counter((one.environment, one.route, one.variant) for one in batch.exposures)
        flags.see(tx, batch.project, given, tx.now())
    receipt = {
        "batch": batch.id,
        "n_accepted": len(placed) + len(batch.feedback) + len(batch.exposures),
        "n_duplicates": len(batch.calls) - len(placed),
        "n_rejected": len(batch.rejections),
        "rejections": [
            {"index": r.index, "reason": r.reason} for r in batch.rejections[:MAX_SHOWN_REJECTIONS]
        ],
    }
    store.finish_batch(tx.conn, seq, receipt)
    return receipt


def _receipt_of(known: sa.Row[str, Any], digest: str, batch: str) -> dict[str, Any]:
    if known.digest != digest:
        raise Conflict(
            f"Another batch came under the id {batch}.", remedy="Give every batch an id of its own."
        )
    return dict(known.receipt)


def _write_calls(conn: sa.Connection, batch: Batch, seq: int) -> list[Placed]:
    """Write the calls into the raw ring; give those that were not known.

    A call is its completion and its time: some upstreams give one id to many answers.
    """
    numbers: dict[tuple[str, str, str, str], int] = {}
    keys = []
    placed: dict[tuple[str, float], Placed] = {}
    for index, call in batch.calls:
        parts = (call.environment, call.route, call.variant, call.version)
        number = numbers.get(parts)
        if number is None:
            key = SeriesKey(batch.project, *parts)
            number = numbers[parts] = key.id
            keys.append({"id": number, **key._asdict()})
        completion = call.completion_id or f"{batch.id}:{index}"
        at = call.at.timestamp()
        placed.setdefault((completion, at), Placed(completion, number, at, call))
    store.add_series(conn, keys)
    calls = list(placed.values())
    first = seq * store.ROWS_PER_BATCH
    if store.add_calls(conn, [_call_row(first + i, one) for i, one in enumerate(calls)]) == len(calls):
        return calls
    written = store.written(conn, first)
    return [one for i, one in enumerate(calls) if first + i in written]


def _call_row(n: int, placed: Placed) -> tuple[Any, ...]:
    """Give the columns of `monitoring_calls`: they follow the fields of `Call` from serial to application."""
    fields = msgspec.structs.astuple(placed.call)
    stopped = ",".join(placed.call.guardrails) if placed.call.guardrails else None
    return (
        n,
        placed.completion,
        placed.at,
        placed.series,
        *fields[5:12],
        *fields[13:23],
        stopped,
        fields[24],
    )


def _count(tx: Tx, placed: Sequence[Placed], exposures: Sequence[Exposure], said: Sequence[Feedback]) -> None:
    opinions = _opinions(tx.conn, placed, said)
    found = store.find_calls(tx.conn, list(opinions))
    watches = _watches(tx, placed, exposures, found)
    outcomes = _outcomes(placed, exposures, watches)
    units, sums = UnitSums(watches), SeriesSums()
    keys = {(one.rollout, one.unit) for one in outcomes}
    keys |= {(one.rollout, one.unit) for one in found.values() if one.rollout in watches}
    units.find(tx.conn, keys)
    units.add(outcomes)
    _count_calls(tx.conn, placed, sums)
    _count_feedback(tx.conn, opinions, found, units, sums)
    units.write(tx.conn)
    sums.write(tx.conn)


def _watches(
    tx: Tx, placed: Sequence[Placed], exposures: Sequence[Exposure], found: dict[str, store.Called]
) -> dict[str, Watch]:
    rollouts = {one.call.rollout for one in placed}
    rollouts |= {one.rollout for one in exposures}
    rollouts |= {one.rollout for one in found.values()}
    watched = ((rollout, watch_of(tx, rollout)) for rollout in sorted(r for r in rollouts if r is not None))
    return {rollout: watch for rollout, watch in watched if watch is not None}


def _outcomes(
    placed: Sequence[Placed], exposures: Sequence[Exposure], watches: dict[str, Watch]
) -> list[Outcome]:
    """Give what the calls and exposures of watched rollouts say about their units.

    Left out is who did not fall to a version by chance: a rule chose them, or a preview has all others
    on the stable version. They are shown with their version and compared with nobody.
    """
    outcomes = []
    for _, _, at, call in placed:
        rollout = call.rollout
        if rollout in watches and _fell(call):
            limit = watches[rollout].slow_above_s
            slow = limit is not None and call.latency_s > limit
            flags = (_failed(call), call.finish_reason in REFUSALS, slow)
            amounts = (call.latency_s, call.tokens_in or 0, call.tokens_out or 0)
            outcomes.append(Outcome(at, rollout, call.unit, call.variant, 1, *flags, *amounts))
    for one in exposures:
        if one.rollout in watches and _fell(one):
            at = one.at.timestamp()
            outcomes.append(Outcome(at, one.rollout, one.unit, one.variant, 0))
    return outcomes


def _fell(one: Call | Exposure) -> bool:
    """Tell whether chance decided, or all traffic goes to the new version."""
    return one.rule is None and (one.reason == "split" or one.variant == Arm.CANARY)


def _failed(call: Call) -> bool:
    return call.status != CLIENT_LEFT and (call.error_class is not None or call.status >= SERVER_ERROR)


def _count_calls(conn: sa.Connection, placed: Sequence[Placed], sums: SeriesSums) -> None:
    """Add calls to the sums and histograms of their series."""
    by_series: dict[int, list[Placed]] = defaultdict(list)
    for one in placed:
        by_series[one.series].append(one)
    histograms: list[tuple[int, ...]] = []
    for series, ones in by_series.items():
        at = np.array([one.at for one in ones])
        calls = [one.call for one in ones]
        sums.add_calls(series, at, _columns(calls))
        histograms += _histograms(series, at, calls)
    store.add_to_latencies(conn, histograms)


def _columns(calls: Sequence[Call]) -> list[npt.NDArray[np.float64]]:
    """Give what is summed of calls, in the order of `ROLLUP_SUMS` between `n_calls` and `n_feedback`."""
    into = np.array([np.nan if call.tokens_in is None else call.tokens_in for call in calls], float)
    out = np.array([np.nan if call.tokens_out is None else call.tokens_out for call in calls], float)
    counted = ~(np.isnan(into) | np.isnan(out))
    known_in, known_out = np.where(counted, into, 0.0), np.where(counted, out, 0.0)
    return [
        np.array([_failed(call) for call in calls], float),
        np.array([call.finish_reason in REFUSALS for call in calls], float),
        np.array([call.as_approved is False for call in calls], float),
        np.nan_to_num(into),
        np.nan_to_num(out),
        np.array([bool(call.guardrails) for call in calls], float),
        counted.astype(float),
        known_in * known_in,
        known_in * known_out,
        known_out * known_out,
    ]


def _histograms(series: int, at: npt.NDArray[np.float64], calls: Sequence[Call]) -> list[tuple[int, ...]]:
    rows = duration_rows(series, Kind.LATENCY, at, np.array([call.latency_s for call in calls]))
    measured = (
        (Kind.FIRST_TOKEN, [call.ttft_s for call in calls], 1),
        (Kind.TOKENS_IN, [call.tokens_in for call in calls], TOKENS_PER_S),
        (Kind.TOKENS_OUT, [call.tokens_out for call in calls], TOKENS_PER_S),
    )
    for kind, values, scale in measured:
        known = np.array([np.nan if value is None else value for value in values], float) / scale
        there = ~np.isnan(known)
        rows += duration_rows(series, kind, at[there], known[there])
    finishes = np.array([finish_bucket(call.finish_reason, failed=_failed(call)) for call in calls])
    rows += bucket_rows(series, Kind.FINISH, at, finishes)
    told = [(when, call.language) for when, call in zip(at.tolist(), calls, strict=True) if call.language]
    languages = np.array([language_bucket(language) for _, language in told], int)
    return rows + bucket_rows(series, Kind.LANGUAGE, np.array([when for when, _ in told]), languages)


class Opinion(NamedTuple):
    """Feedback on a completion: when, how bad (1 = bad), and from which application."""

    at: float
    badness: float
    application: str


def _opinions(conn: sa.Connection, placed: Sequence[Placed], said: Sequence[Feedback]) -> dict[str, Opinion]:
    """Gather the feedback of this batch, and the earlier one that waited for a call of this batch."""
    opinions: dict[str, Opinion] = {}
    if placed and store.has_unmatched_feedback(conn):
        waiting = store.find_feedback(conn, [one.completion for one in placed])
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
    units: UnitSums,
    sums: SeriesSums,
) -> None:
    """Count feedback where its call is known; the last word stands while the window is open."""
    earlier = store.find_feedback(conn, list(opinions))
    rows = []
    for completion, said in opinions.items():
        call, before = found.get(completion), earlier.get(completion)
        in_window = False
        if call is not None:
            counted = before is not None and before.matched
            n, badness = (0, said.badness - before.badness) if before and counted else (1, said.badness)
            in_window = units.add_feedback((call.rollout or "", call.unit), said.at, n, badness)
            sums.add_feedback(call.series, said.at, n, badness)
        rows.append((completion, said.at, said.badness, said.application, call is not None, in_window))
    store.put_feedback(conn, rows)
