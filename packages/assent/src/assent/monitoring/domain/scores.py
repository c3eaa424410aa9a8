"""Scores: each unit's one number per guard, and the histograms that a block keeps of them.

A score is badness in [0,1], 1 = bad, quantised to 1/256, so that a block is a small table of integers
from which a verdict can be computed again to the bit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

LEVELS = 256
MAX_WINDOW_S = 7 * 86_400
MAX_BLOCK_S = 3_600


class Arm(StrEnum):
    """The two sides of a rollout."""

    STABLE = "stable"
    CANARY = "canary"


def quantise(total: float, n: int) -> int:
    """Give the mean of `n` outcomes that sum to `total`, in 1/256, rounded half up; 0 when there are none.

    `total` is a sum of badness in [0,1], so the mean is clipped to what it can be.
    """
    if n <= 0:
        return 0
    return int(min(max(total / n, 0.0), 1.0) * LEVELS + 0.5)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many units have which score: (score in 1/256, units), ascending and without zeros."""

    counts: tuple[tuple[int, int], ...] = ()

    @property
    def n(self) -> int:
        """Give the number of units."""
        return sum(n for _, n in self.counts)

    @property
    def badness(self) -> int:
        """Give the sum of the scores, in 1/256."""
        return sum(score * n for score, n in self.counts)

    def __add__(self, other: "Histogram") -> "Histogram":
        """Merge two."""
        return tally((*self.counts, *other.counts))


def tally(pairs: Iterable[tuple[int, int]]) -> Histogram:
    """Make a histogram of (score, units) in any order. Raises: ValueError for an impossible one."""
    counts: dict[int, int] = {}
    for score, n in pairs:
        if not 0 <= score <= LEVELS or n < 0:
            raise ValueError(f"not a score in 1/{LEVELS} with a count: {score}, {n}")
        counts[score] = counts.get(score, 0) + n
    return Histogram(tuple(sorted((score, n) for score, n in counts.items() if n)))


@dataclass(frozen=True, slots=True)
class Block:
    """What one stretch of time says about one guard: the scores of the units whose window closed in it."""

    canary: Histogram
    stable: Histogram


def block_index(closes_at_s: float, block_s: float) -> int:
    """Give the block in which a window closes; blocks lie on a fixed grid since 1970, `block_s` wide."""
    return int(closes_at_s // block_s)


Blocks = Mapping[str, Block]
"""One block for each guard, by metric."""
