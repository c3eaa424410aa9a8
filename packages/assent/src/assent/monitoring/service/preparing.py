"""Getting a batch ready before the write lock is taken: its rows, its sums, and what it says of units."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from assent.kernel.canonical import digest_bytes
from assent.kernel.tx import Reader
from assent.monitoring.domain.kinds import TOKENS_PER_S, Kind, finish_bucket, language_bucket
from assent.monitoring.domain.latency import buckets_of
from assent.monitoring.domain.scores import Arm
from assent.monitoring.service.batch import Batch, Call, Exposure
from assent.monitoring.service.sums import (
    Outcome,
    SeriesKey,
    Slots,
    UnitSums,
    bucket_rows,
    sum_rows,
)
from assent.monitoring.store import blocks
from assent.monitoring.store.blocks import Watch

REFUSALS = frozenset({"content_filter", "refusal"})
CLIENT_LEFT = 499  # the caller hung up: nobody's fault that a version could be blamed for
SERVER_ERROR = 500
_CANARY = Arm.CANARY.value
_KEPT = attrgetter(
    "serial", "rule", "reason", "rollout", "unit", "sticky", "stream", "status", "error_class", "latency_s",
    "ttft_s", "tokens_in", "tokens_out", "finish_reason", "response_model", "as_approved", "application",
)  # fmt: skip
_PARTS = attrgetter("environment", "route", "variant", "version")
_JUDGED = attrgetter("status", "error_class", "finish_reason")
_OF_UNIT = attrgetter(
    "rollout", "rule", "reason", "variant", "unit", "latency_s", "tokens_in", "tokens_out"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls by column: key in the store, time in seconds, series, the call, and how it ended."""

    completions: Sequence[str]
    at: Sequence[float]
    series: Sequence[int]
    calls: Sequence[Call]
    failed: Sequence[bool]
    refused: Sequence[bool]

    def __len__(self) -> int:
        """Give the number of calls."""
        return len(self.calls)

    def pick(self, places: Iterable[int]) -> Self:
        """Give some of them."""
        columns = (self.completions, self.at, self.series, self.calls, self.failed, self.refused)
        wanted = list(places)
        return type(self)(*([column[i] for i in wanted] for column in columns))


@dataclass(frozen=True, slots=True)
class Tally:
    """What calls and exposures add up to: roll-ups, histograms and units."""

    sums: Sequence[tuple[Any, ...]]
    histograms: Sequence[tuple[int, ...]]
    outcomes: Sequence[Outcome]
    units: UnitSums


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch with all that can be known of it without the write lock."""

    batch: Batch
    digest: str
    series: Mapping[int, SeriesKey]
    calls: Calls
    rows: Sequence[tuple[Any, ...]]
    """The columns of `monitoring_calls` but the first."""
    watches: Mapping[str, Watch]
    tally: Tally


def prepare(reader: Reader, batch: Batch, body: bytes) -> Prepared:
    """Get a batch ready."""
    series, calls = _place(batch)
    watches = {}
    for rollout in rollouts_of(batch):
        watch = blocks.find_watch(reader.conn, rollout)
        if watch is not None:
            watches[rollout] = watch
    rows = list(call_rows(calls))
    return Prepared(
        batch, digest_bytes(body), series, calls, rows, watches, add_up(calls, batch.exposures, watches)
    )


def rollouts_of(batch: Batch) -> list[str]:
    """List the rollouts that calls and exposures of a batch name, in one order for everybody."""
    named = {call.rollout for _, _, call in batch.calls} | {one.rollout for one in batch.exposures}
    return sorted(rollout for rollout in named if rollout is not None)


def add_up(calls: Calls, exposures: Sequence[Exposure], watches: Mapping[str, Watch]) -> Tally:
    """Add calls and exposures up."""
    outcomes = _outcomes(calls, exposures, watches)
    units = UnitSums(watches)
    units.add(outcomes)
    if not calls:
        return Tally([], [], outcomes, units)
    slots = Slots(calls.series, calls.at)
    return Tally(sum_rows(slots, _columns(calls)), _histograms(slots, calls), outcomes, units)


def _place(batch: Batch) -> tuple[dict[int, SeriesKey], Calls]:
    """Give calls their key and series; of two calls with one key the first stands.

    A call is its completion and its time: some upstreams give one id to many answers.
    """
    numbers: dict[tuple[str, str, str, str], int] = {}
    series: dict[int, SeriesKey] = {}
    ids = []
    for _, _, call in batch.calls:
        parts = _PARTS(call)
        number = numbers.get(parts)
        if number is None:
            key = SeriesKey(batch.project, *parts)
            number = numbers[parts] = key.id
            series[number] = key
        ids.append(number)
    completions = [call.completion_id or f"{batch.id}:{index}" for index, _, call in batch.calls]
    at = [when for _, when, _ in batch.calls]
    calls = [call for _, _, call in batch.calls]
    failed, refused = [], []
    for status, error, finish in map(_JUDGED, calls):
        failed.append(status != CLIENT_LEFT and (error is not None or status >= SERVER_ERROR))
        refused.append(finish in REFUSALS)
    placed = Calls(completions, at, ids, calls, failed, refused)
    first: dict[tuple[str, float], int] = {}
    for place, key_of_call in enumerate(zip(completions, at, strict=True)):
        first.setdefault(key_of_call, place)
    return series, placed if len(first) == len(placed) else placed.pick(first.values())


def call_rows(calls: Calls) -> Iterable[tuple[Any, ...]]:
    """Give the columns of `monitoring_calls` but the first.

    Truth is 0 or 1: the driver of SQLite takes a bool for a foreign type, and looks for an adapter each time.
    """
    keys = zip(calls.completions, calls.at, calls.series, calls.calls, strict=True)
    for completion, at, series, call in keys:
        serial, rule, reason, rollout, unit, sticky, stream, status, error, *rest, approved, who = _KEPT(call)
        stopped = ",".join(call.guardrails) if call.guardrails else None
        yield (
            completion, at, series, serial, rule, reason, rollout, unit, +sticky, +stream, status, error,
            *rest, None if approved is None else +approved, who, stopped, call.language,
        )  # fmt: skip


def _outcomes(calls: Calls, exposures: Sequence[Exposure], watches: Mapping[str, Watch]) -> list[Outcome]:
    """Give what the calls and exposures of watched rollouts say about their units, in order of time.

    Left out is who did not fall to a version by chance: a rule chose them, or a preview has all others
    on the stable version. They are shown with their version and compared with nobody.
    """
    outcomes: list[Outcome] = []
    limits = {rollout: watch.slow_above_s for rollout, watch in watches.items()}
    said = zip(calls.at, calls.failed, calls.refused, map(_OF_UNIT, calls.calls), strict=True)
    for at, failed, refused, (rollout, rule, reason, variant, unit, latency_s, into, out) in said:
        if rollout in limits and _fell(rule, reason, variant):
            limit = limits[rollout]
            slow = limit is not None and latency_s > limit
            outcomes.append(
                (at, rollout, unit, variant, 1, failed, refused, slow, latency_s, into or 0, out or 0)
            )
    for one in exposures:
        if one.rollout in limits and _fell(one.rule, one.reason, one.variant):
            at = one.at.timestamp()
            outcomes.append((at, one.rollout, one.unit, one.variant, 0, False, False, False, 0.0, 0, 0))
    outcomes.sort()
    return outcomes


def _fell(rule: str | None, reason: str, variant: str) -> bool:
    """Tell whether chance decided, or all traffic goes to the new version."""
    return rule is None and (reason == "split" or variant == _CANARY)


def _columns(calls: Calls) -> list[npt.NDArray[np.float64]]:
    """Give what is summed of calls, in the order of `ROLLUP_SUMS` between `n_calls` and `n_feedback`."""
    into = _numbers([call.tokens_in for call in calls.calls])
    out = _numbers([call.tokens_out for call in calls.calls])
    counted = ~(np.isnan(into) | np.isnan(out))
    known_in, known_out = np.where(counted, into, 0.0), np.where(counted, out, 0.0)
    return [
        np.array(calls.failed, float),
        np.array(calls.refused, float),
        np.array([call.as_approved is False for call in calls.calls], float),
        np.nan_to_num(into),
        np.nan_to_num(out),
        np.array([bool(call.guardrails) for call in calls.calls], float),
        counted.astype(float),
        known_in * known_in,
        known_in * known_out,
        known_out * known_out,
    ]


def _histograms(slots: Slots, calls: Calls) -> list[tuple[int, ...]]:
    measured = (
        (Kind.LATENCY, [call.latency_s for call in calls.calls], 1),
        (Kind.FIRST_TOKEN, [call.ttft_s for call in calls.calls], 1),
        (Kind.TOKENS_IN, [call.tokens_in for call in calls.calls], TOKENS_PER_S),
        (Kind.TOKENS_OUT, [call.tokens_out for call in calls.calls], TOKENS_PER_S),
    )
    rows: list[tuple[int, ...]] = []
    for kind, values, scale in measured:
        known = _numbers(values) / scale
        there = ~np.isnan(known)
        rows += bucket_rows(slots, kind, slots.which[there], buckets_of(known[there]))
    finishes: dict[tuple[str | None, bool], int] = {}
    ends = []
    for call, failed in zip(calls.calls, calls.failed, strict=True):
        end = (call.finish_reason, failed)
        if end not in finishes:
            finishes[end] = finish_bucket(call.finish_reason, failed=failed)
        ends.append(finishes[end])
    rows += bucket_rows(slots, Kind.FINISH, slots.which, np.array(ends))
    told = [(place, call.language) for place, call in enumerate(calls.calls) if call.language]
    if told:
        spoken = slots.which[[place for place, _ in told]]
        rows += bucket_rows(slots, Kind.LANGUAGE, spoken, np.array([language_bucket(one) for _, one in told]))
    return rows


def _numbers(values: Sequence[float | None]) -> npt.NDArray[np.float64]:
    """Give numbers as an array; what is None is not a number there."""
    return np.array(values, float)
