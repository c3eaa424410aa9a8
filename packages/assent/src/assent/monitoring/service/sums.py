"""What a batch adds up to: per series and slot, and per unit of a rollout."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from assent.monitoring.domain.latency import LAST_BUCKET, buckets_of
from assent.monitoring.domain.scores import Arm, block_index
from assent.monitoring.store import observations as store
from assent.monitoring.store.blocks import Watch

SLOT_S = 10
_BUCKETS = LAST_BUCKET + 1
_PRODUCTS = frozenset(store.ROLLUP_SUMS.index(name) for name in ("in_in", "in_out", "out_out"))
Numbers = Sequence[float] | npt.NDArray[Any]
UnitKey = tuple[str, str]  # rollout, unit


class Outcome(NamedTuple):
    """What one call (or bare exposure: no call) says about its unit."""

    at: float
    rollout: str
    unit: str
    variant: str
    n_calls: int
    failed: bool = False
    refused: bool = False
    slow: bool = False
    latency_s: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0


class SeriesKey(NamedTuple):
    """What live figures are told apart by."""

    project: str
    environment: str
    route: str
    variant: str
    version: str

    @property
    def id(self) -> int:
        """Give the key's number: 63 bits of its hash, so nobody has to look it up."""
        text = "\x1f".join(self)
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


class SeriesSums:
    """Sums per series and slot of ten seconds, in the order of `ROLLUP_SUMS`."""

    def __init__(self) -> None:
        self._rows: dict[tuple[int, int], list[float]] = defaultdict(lambda: [0] * len(store.ROLLUP_SUMS))

    def add_calls(self, series: int, at: Numbers, columns: Sequence[Numbers]) -> None:
        """Add calls of one series: times, then a column for each sum between `n_calls` and `n_feedback`."""
        slots, which = np.unique(np.asarray(at) // SLOT_S, return_inverse=True)
        sums = [np.bincount(which, minlength=len(slots))]
        sums += [np.bincount(which, np.asarray(column, float), len(slots)) for column in columns]
        for i, slot in enumerate(slots):
            row = self._rows[series, int(slot)]
            for k, column in enumerate(sums):
                row[k] += column[i].item() if k in _PRODUCTS else int(column[i])

    def add_feedback(self, series: int, at: float, n: int, badness: float) -> None:
        """Add an opinion, or the change of one."""
        row = self._rows[series, int(at // SLOT_S)]
        row[-2] += n
        row[-1] += badness

    def write(self, conn: sa.Connection) -> None:
        """Add all of it to the table."""
        store.add_to_rollups(conn, [(*key, *sums) for key, sums in self._rows.items()])


def duration_rows(series: int, kind: int, at: Numbers, seconds: Numbers) -> list[tuple[int, ...]]:
    """Give the histogram rows of durations: series, slot, kind, bucket, n."""
    return bucket_rows(series, kind, at, buckets_of(seconds))


def bucket_rows(series: int, kind: int, at: Numbers, buckets: npt.NDArray[np.int64]) -> list[tuple[int, ...]]:
    """Give the histogram rows of what has its bucket already."""
    slots = (np.asarray(at, float) // SLOT_S).astype(np.int64)
    # One number for slot and bucket: sorting numbers is five times as fast as sorting pairs.
    both, counts = np.unique(slots * _BUCKETS + buckets, return_counts=True)
    return [
        (series, key // _BUCKETS, kind, key % _BUCKETS, n)
        for key, n in zip(both.tolist(), counts.tolist(), strict=True)
    ]


class UnitSums:
    """Outcomes of units, within their windows or late. A row has the columns of `monitoring_units`."""

    ARM, FIRST_AT, BLOCK, CALLS, ERRORS, REFUSALS, SLOW, FEEDBACK, BADNESS, LATE, LATE_BADNESS = range(2, 13)
    LATENCY, TOKENS_IN, TOKENS_OUT = range(13, 16)
    NOTHING = (0, 0, 0, 0, 0, 0.0, 0, 0.0, 0.0, 0, 0)

    def __init__(self, watches: Mapping[str, Watch]) -> None:
        self._watches = watches
        self._rows: dict[UnitKey, list[Any]] = {}

    def find(self, conn: sa.Connection, keys: Iterable[UnitKey]) -> None:
        """Find which units were exposed before."""
        wanted: dict[str, set[str]] = defaultdict(set)
        for rollout, unit in keys:
            wanted[rollout].add(unit)
        for rollout, names in wanted.items():
            for state in store.find_units(conn, rollout, names):
                self._rows[rollout, state.unit] = [*state, *self.NOTHING]

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Sum outcomes up; the earliest of a new unit fixes its arm, its window and its block."""
        for one in sorted(outcomes):
            at, rollout, unit, variant, n_calls, failed, refused, slow, latency_s, into, out = one
            row = self._rows.get((rollout, unit))
            if row is None:
                row = self._first(rollout, unit, variant, at)
            if self._counts(row, at):
                row[self.CALLS] += n_calls
                row[self.ERRORS] += failed
                row[self.REFUSALS] += refused
                row[self.SLOW] += slow
                row[self.LATENCY] += latency_s
                row[self.TOKENS_IN] += into
                row[self.TOKENS_OUT] += out
            else:
                row[self.LATE] += n_calls

    def _first(self, rollout: str, unit: str, variant: str, at: float) -> list[Any]:
        watch = self._watches[rollout]
        arm = Arm.CANARY.value if variant == Arm.CANARY else Arm.STABLE.value
        block = block_index(at + watch.window_s, watch.block_s)
        row = self._rows[rollout, unit] = [rollout, unit, arm, at, block, *self.NOTHING]
        return row

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
        row[self.FEEDBACK if counts else self.LATE] += n
        row[self.BADNESS if counts else self.LATE_BADNESS] += badness
        return counts

    def write(self, conn: sa.Connection) -> None:
        """Add what changed to the table."""
        store.add_to_units(conn, [tuple(row) for row in self._rows.values()])
