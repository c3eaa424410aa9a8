"""What a batch adds up to: per series and slot, and per unit of a rollout."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from assent.monitoring.domain.latency import LAST_BUCKET
from assent.monitoring.domain.scores import Arm
from assent.monitoring.service.facets import Calls
from assent.monitoring.service.outcomes import Outcomes, UnitKey
from assent.monitoring.store import observations as store
from assent.monitoring.store.blocks import Watch
from assent_client.calls.choosing import may_cost

SLOT_S = 10
_BUCKETS = LAST_BUCKET + 1
_PRODUCTS = frozenset(store.ROLLUP_SUMS.index(name) for name in ("in_in", "in_out", "out_out"))
_CANARY, _STABLE = Arm.CANARY.value, Arm.STABLE.value
Numbers = Sequence[float] | npt.NDArray[Any]


class Slots:
    """Which series and slot of ten seconds each of many calls falls into.

    `places` holds, for each call, the place of its series in `series`, which may name one more than once.
    `keys` lists the pairs, ascending; `which` holds, for each call, its pair's place in `keys`.
    """

    def __init__(self, series: Sequence[int], places: Sequence[int], at: Sequence[float]) -> None:
        numbers, of_place = np.unique(np.array(series, np.int64), return_inverse=True)
        slots = (np.array(at, float) // SLOT_S).astype(np.int64)
        first = int(slots.min())
        span = int(slots.max()) - first + 1
        # One number for series and slot: sorting numbers is five times as fast as sorting pairs.
        pairs, self.which = np.unique(of_place[places] * span + (slots - first), return_inverse=True)
        self.keys = [(int(numbers[pair // span]), first + pair % span) for pair in pairs.tolist()]


def sum_rows(slots: Slots, columns: Sequence[Numbers]) -> list[tuple[Any, ...]]:
    """Sum calls up per series and slot: series, slot, then `ROLLUP_SUMS`.

    `columns` holds, for each call, what goes into each sum between `n_calls` and `n_feedback`.
    """
    n = len(slots.keys)
    sums: list[list[Any]] = [np.bincount(slots.which, minlength=n).tolist()]
    for k, column in enumerate(columns, start=1):
        added = np.bincount(slots.which, column, n)
        sums.append((added if k in _PRODUCTS else added.astype(np.int64)).tolist())
    return [(*key, *row, 0, 0.0) for key, *row in zip(slots.keys, *sums, strict=True)]


def bucket_rows(
    slots: Slots, kind: int, which: npt.NDArray[np.int64], buckets: npt.NDArray[np.int64]
) -> list[tuple[int, ...]]:
    """Give the rows of a histogram: series, slot, kind, bucket, n; `which` as in `slots`, for each bucket."""
    both, counts = np.unique(which * _BUCKETS + buckets, return_counts=True)
    return [
        (*slots.keys[key // _BUCKETS], kind, key % _BUCKETS, n)
        for key, n in zip(both.tolist(), counts.tolist(), strict=True)
    ]


def usage_rows(calls: Calls) -> list[tuple[Any, ...]]:
    """Add up what each application used by day and series: application, day, series, then `USAGE_SUMS`."""
    days = (np.array(calls.at, float) // store.DAY_S).astype(np.int64)
    first = int(days.min())
    span = int(days.max()) - first + 1
    pairs, which = np.unique(np.array(calls.facets, np.int64) * span + (days - first), return_inverse=True)
    into, out = np.array(calls.tokens_in, float), np.array(calls.tokens_out, float)
    free = np.array([not may_cost(facet.row.status, facet.row.error_class) for facet in calls.shared])
    counted = ~(np.isnan(into) | np.isnan(out)) | free[calls.facets]
    columns = (np.ones(len(which)), counted, np.nan_to_num(into), np.nan_to_num(out))
    sums = [np.bincount(which, column, len(pairs)).astype(np.int64).tolist() for column in columns]
    merged: dict[tuple[str, int, int], tuple[int, ...]] = {}
    for pair, *row in zip(pairs.tolist(), *sums, strict=True):
        facet = calls.shared[pair // span]
        key = (facet.row.application, first + pair % span, facet.row.series)
        merged[key] = tuple(map(sum, zip(merged.get(key, (0, 0, 0, 0)), row, strict=True)))
    return [(*key, *row) for key, row in merged.items()]


class SeriesSums:
    """Sums per series and slot, in the order of `ROLLUP_SUMS`: those of calls, and of feedback."""

    def __init__(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self._rows: dict[tuple[int, int], list[float]] = defaultdict(lambda: [0] * len(store.ROLLUP_SUMS))
        self._rows.update({(series, slot): sums for series, slot, *sums in rows})

    def add_feedback(self, series: int, at: float, n: int, badness: float) -> None:
        """Add an opinion, or the change of one."""
        row = self._rows[series, int(at // SLOT_S)]
        row[-2] += n
        row[-1] += badness

    def write(self, conn: sa.Connection) -> None:
        """Add all of it to the table."""
        store.add_to_rollups(conn, [(*key, *sums) for key, sums in self._rows.items()])


class UnitSums:
    """Outcomes of units, within their windows or late. A row has the columns of `monitoring_units`."""

    ARM, FIRST_AT, BLOCK, CALLS, ERRORS, REFUSALS, SLOW, FEEDBACK, BADNESS, LATE, LATE_BADNESS = range(2, 13)
    LATENCY, TOKENS_IN, TOKENS_OUT, GUARDED, HITS, JUDGED, JUDGED_BADNESS = range(13, 20)
    APPLICATION, LANGUAGE = range(20, 22)
    NOTHING = (0, 0, 0, 0, 0, 0.0, 0, 0.0, 0.0, 0, 0, 0, 0, 0, 0.0, None, None)

    def __init__(self, watches: Mapping[str, Watch]) -> None:
        self._watches = watches
        self._rows: dict[UnitKey, tuple[Any, ...]] = {}

    def add(self, outcomes: Outcomes) -> None:
        """Sum outcomes of new units up; the first of each fixes its arm, window and block."""
        if not outcomes.units:
            return
        first = np.unique(outcomes.which, return_index=True)[1]
        rollouts, units = zip(*outcomes.units, strict=True)
        first_at = outcomes.at[first]
        is_canary = np.array([one.variant == _CANARY for one in outcomes.said])[outcomes.kinds[first]]
        arms = np.where(is_canary, _CANARY, _STABLE).tolist()
        blocks = (first_at + self._of_watches(rollouts, "window_s")) // self._of_watches(rollouts, "block_s")
        self._sum(outcomes, (rollouts, units, arms, first_at.tolist(), blocks.astype(np.int64).tolist()))

    def meet(
        self,
        conn: sa.Connection,
        watches: Mapping[str, Watch],
        outcomes: Outcomes,
        others: Iterable[UnitKey],
    ) -> None:
        """Judge by what stands in the database: units known before (`others` too), blocks closed since."""
        self._watches = watches
        closed = {rollout: watch.closed_through for rollout, watch in watches.items()}
        for key in [key for key, row in self._rows.items() if row[self.BLOCK] <= closed[row[0]]]:
            row = self._rows[key]
            late = row[self.CALLS] + row[self.LATE]
            sums = (*self.NOTHING[:6], late, *self.NOTHING[7:-2])
            self._rows[key] = (*row[: self.CALLS], *sums, *row[self.APPLICATION :])
        wanted: dict[str, list[str]] = defaultdict(list)
        for rollout, unit in chain(self._rows, others):
            wanted[rollout].append(unit)
        known: dict[UnitKey, Sequence[Any]] = {}
        for rollout, names in wanted.items():
            for state in store.find_units(conn, rollout, names):
                known[rollout, state.unit] = state
        if not known:
            return
        self._rows |= {key: (*state, *self.NOTHING) for key, state in known.items()}
        theirs = outcomes.of(known)
        if theirs.units:
            self._sum(theirs, list(zip(*(known[key] for key in theirs.units), strict=True)))

    def _sum(self, outcomes: Outcomes, heads: Sequence[Sequence[Any]]) -> None:
        """Sum outcomes up by unit; `heads` are the first five columns of the units' rows."""
        rollouts, _, _, first_at, block = heads
        which, kinds, n = outcomes.which, outcomes.kinds, len(outcomes.units)
        is_open = np.array(block, np.int64) > self._of_watches(rollouts, "closed_through")
        ends_at = np.array(first_at, float) + self._of_watches(rollouts, "window_s")
        counts = (outcomes.at <= ends_at[which]) & is_open[which]
        calls, failed, refused, guarded, hit = np.array([one[1:6] for one in outcomes.said], float)[kinds].T

        def total(column: npt.NDArray[Any]) -> list[int]:
            summed: list[int] = np.bincount(which[counts], column[counts], n).astype(np.int64).tolist()
            return summed

        ints, floats = [0] * n, [0.0] * n
        late = np.bincount(which[~counts], calls[~counts], n).astype(np.int64).tolist()
        latency_s = np.bincount(which[counts], outcomes.latency_s[counts], n).tolist()
        sums = (
            *map(total, (calls, failed, refused, outcomes.slow)), ints, floats, late, floats,
            latency_s, *map(total, (outcomes.tokens_in, outcomes.tokens_out, guarded, hit)), ints, floats,
        )  # fmt: skip
        rows = zip(*heads, *sums, *_asked(outcomes), strict=True)
        self._rows |= zip(outcomes.units, rows, strict=True)

    def _of_watches(self, rollouts: Sequence[str], name: str) -> npt.NDArray[Any]:
        values = {rollout: getattr(self._watches[rollout], name) for rollout in set(rollouts)}
        return np.array([values[rollout] for rollout in rollouts])

    def _counts(self, row: Sequence[Any], at: float) -> bool:
        """Tell whether an outcome at this time still counts: its unit's window and block are open."""
        watch = self._watches[row[0]]
        return bool(at <= row[self.FIRST_AT] + watch.window_s and row[self.BLOCK] > watch.closed_through)

    def add_feedback(self, key: UnitKey, at: float, n: int, badness: float) -> bool:
        """Add an opinion, or the change of one, to a known unit; tell whether it counts."""
        row = self._rows.get(key)
        if row is None:
            return False
        counts = self._counts(row, at)
        places = (self.FEEDBACK, self.BADNESS) if counts else (self.LATE, self.LATE_BADNESS)
        self._rows[key] = _plus(row, places, (n, badness))
        return counts

    def add_judged(self, key: UnitKey, at: float, badness: float) -> bool:
        """Add what a judge said of a call of that time to a known unit; tell whether it counts."""
        row = self._rows[key]
        counts = self._counts(row, at)
        places = (self.JUDGED, self.JUDGED_BADNESS) if counts else (self.LATE, self.LATE_BADNESS)
        self._rows[key] = _plus(row, places, (1, badness))
        return counts

    def write(self, conn: sa.Connection) -> None:
        """Add what changed to the table."""
        store.add_to_units(conn, list(self._rows.values()))


def _plus(row: Sequence[Any], places: Sequence[int], added: Sequence[float]) -> tuple[Any, ...]:
    """Add to a row, which is a tuple because the collector of garbage walks through lists without end."""
    changed = list(row)
    for place, value in zip(places, added, strict=True):
        changed[place] += value
    return tuple(changed)


def _asked(outcomes: Outcomes) -> tuple[list[str | None], list[str | None]]:
    """Give each unit's application and language: those of its first call."""
    has = np.array([bool(one.asked) for one in outcomes.said])[outcomes.kinds]
    units, first = np.unique(outcomes.which[has], return_index=True)
    kinds = outcomes.kinds[has][first].tolist()
    applications: list[str | None] = [None] * len(outcomes.units)
    languages = applications.copy()
    for unit, kind in zip(units.tolist(), kinds, strict=True):
        applications[unit], languages[unit] = outcomes.said[kind].asked
    return applications, languages
