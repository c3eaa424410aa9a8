"""Intervals for shares, alone and paired. `tail` is the probability left out on each side.

`tail=0.05` gives bounds that hold one-sided at 95 %, together a two-sided interval at 90 %;
`tail=0.025` gives the two-sided interval at 95 %.
"""

import math
from dataclasses import dataclass

from assent.evaluation.domain.quantiles import incomplete_beta, normal_quantile

_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`."""

    low: float
    high: float

    def mirrored(self) -> "Interval":
        """Give the interval of the negated quantity."""
        return Interval(-self.high, -self.low)


@dataclass(frozen=True, slots=True)
class Discordant:
    """Pairs of right and wrong: `gained` only by the candidate, `lost` only by the baseline, of `n`."""

    gained: float
    lost: float
    n: float

    @property
    def difference(self) -> float:
        """Candidate's share minus baseline's."""
        return (self.gained - self.lost) / self.n


def wilson(k: float, n: float, tail: float) -> Interval:
    """Give Wilson's score interval of k of n. Source: Wilson 1927, JASA 22, p. 209."""
    z2 = normal_quantile(tail) ** 2
    share = k / n
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def zero_event_bound(n: float, tail: float) -> float:
    """Give the exact upper bound of a share that was seen 0 times in n: 1 - tail^(1/n)."""
    return -math.expm1(math.log(tail) / n)


def share_interval(k: float, n: float, tail: float) -> Interval:
    """Bound a share: Wilson's interval; at 0 % and 100 % the exact bound, which is the wider one."""
    interval = wilson(k, n, tail)
    if k == 0:
        return Interval(0.0, max(interval.high, zero_event_bound(n, tail)))
    if k == n:
        return Interval(min(interval.low, 1.0 - zero_event_bound(n, tail)), 1.0)
    return interval


def tango(pairs: Discordant, tail: float) -> Interval:
    """Give the score interval for the difference of two paired shares.

    The set of Δ that the score test does not reject; never of zero width, also without any discordant pair.
    Source: Tango 1998, Statistics in Medicine 17, pp. 891-908, equations 6 and 8.
    """
    z = -normal_quantile(tail)
    at = pairs.difference
    return Interval(_root(pairs, z, -1.0, at), _root(pairs, -z, at, 1.0))


def _score(pairs: Discordant, delta: float) -> float:
    b, c, n = pairs.gained, pairs.lost, pairs.n
    distance = b - c - n * delta
    linear = (2 * n - b + c) * delta - b - c
    root = math.sqrt(max(0.0, linear * linear + 8 * n * c * delta * (1 - delta)))
    lost_share = (root - linear) / (4 * n)
    variance = n * (2 * lost_share + delta * (1 - delta))
    return distance / math.sqrt(max(variance, _TINY))


def _root(pairs: Discordant, target: float, low: float, high: float) -> float:
    """Find where the statistic, which falls in delta, crosses `target`."""
    middle = (low + high) / 2
    while low < middle < high:
        low, high = (middle, high) if _score(pairs, middle) > target else (low, middle)
        middle = (low + high) / 2
    return middle


def mcnemar(gained: int, lost: int) -> float:
    """Give the exact two-sided p-value of McNemar's test. Source: McNemar 1947, by the binomial at 1/2."""
    n, fewer = gained + lost, min(gained, lost)
    if n == 2 * fewer:
        return 1.0
    return min(1.0, 2.0 * incomplete_beta(n - fewer, fewer + 1, 0.5))
