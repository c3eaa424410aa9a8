"""Mergeable histograms of durations: buckets 2 % wide, so a quantile is within 1 % of the truth."""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

GROWTH = 1.02
FLOOR_S = 1e-4
CEILING_S = 1e5
LAST_BUCKET = math.ceil(math.log(CEILING_S / FLOOR_S) / math.log(GROWTH))
_PER_E = 1 / math.log(GROWTH)
_OFFSET = -math.log(FLOOR_S) * _PER_E


def buckets_of(seconds: Sequence[float] | npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Give the bucket of each duration: 0 holds all up to 0.1 ms, the last one all from 100,000 s."""
    logs = np.log(np.maximum(np.asarray(seconds, float), FLOOR_S))
    buckets: npt.NDArray[np.int64] = np.clip(np.ceil(logs * _PER_E + _OFFSET), 0, LAST_BUCKET).astype(int)
    return buckets


def middle_of(bucket: int) -> float:
    """Give the geometric middle of a bucket, in seconds."""
    return FLOOR_S if bucket <= 0 else FLOOR_S * math.exp((bucket - 0.5) / _PER_E)


def edges_of(bucket: int) -> tuple[float, float]:
    """Give the two ends of a bucket, in seconds; the first begins at 0 and the last has no end."""
    low = 0.0 if bucket <= 0 else FLOOR_S * math.exp((bucket - 1) / _PER_E)
    return low, math.inf if bucket >= LAST_BUCKET else FLOOR_S * math.exp(max(bucket, 0) / _PER_E)


def edges_at(counts: Mapping[int, int], rank: int) -> tuple[float, float]:
    """Give the ends of the bucket with the value of a rank, 1 the least; beyond lie 0 and infinity."""
    if rank < 1:
        return 0.0, 0.0
    if rank > sum(counts.values()):
        return math.inf, math.inf
    return edges_of(_bucket_at(counts, rank))


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """Give the value below which `share` of the durations lie; None when there are none."""
    n = sum(counts.values())
    if not n:
        return None
    return middle_of(_bucket_at(counts, max(1, math.ceil(share * n))))


def _bucket_at(counts: Mapping[int, int], wanted: int) -> int:
    buckets = sorted(counts)
    reached = accumulate(counts[bucket] for bucket in buckets)
    return next(bucket for bucket, seen in zip(buckets, reached, strict=True) if seen >= wanted)
