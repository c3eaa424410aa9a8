"""Quantiles of latency and cost with intervals that hold at every look, whatever the distribution.

The number S of values at or below the true quantile of share p is binomial (ties broken at random, which
moves no order statistic). So S stays, at all times at once, where the Beta mixture of binomials is below
1/alpha of the binomial itself,

    B(a + S, b + n - S) / B(a, b) < p^S (1 - p)^(n - S) / alpha,    a = p r, b = (1 - p) r,

with chance 1 - alpha; the quantile then lies between the order statistics of the least and of one above the
largest such S. An end beyond the sample is open.
Source: Howard, Ramdas (2022), "Sequential estimation of quantiles with applications to A/B testing and
best-arm identification", Bernoulli 28(3), the beta-binomial sequence for a fixed quantile.

Values are independent: one a unit. Calls of one unit are alike, and make the interval too narrow.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from assent.monitoring.domain.intervals import Interval, mixture_precision
from assent.monitoring.domain.latency import edges_at

BEST_AT = 1_000
METHOD = "quantile confidence sequence"


@dataclass(frozen=True, slots=True)
class Ranks:
    """Order statistics (1 = least value) between which a quantile lies; 0 and n + 1 are open ends."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile with its always-valid interval; an open end is infinite, without values all are."""

    value: float
    low: float
    high: float
    n: int
    method: str = METHOD


def quantile_ranks(n: int, share: float, alpha: float, *, best_at: int = BEST_AT) -> Ranks:
    """Give the order statistics that bound the quantile of `share` after `n` values.

    `best_at` is the n at which they are nearest to each other. Raises: ValueError.
    """
    if n < 0 or not 0 < share < 1:
        raise ValueError("needs n >= 0 and a share between 0 and 1")
    strength = 1 / mixture_precision(alpha, best_at)
    a, b = share * strength, (1 - share) * strength
    limit = -math.log(alpha) + _log_beta(a, b)

    def too_far(below: int) -> bool:
        chance = below * math.log(share) + (n - below) * math.log1p(-share)
        return _log_beta(a + below, b + n - below) - chance >= limit

    middle = round(n * share)  # never too far: there the mixture is below the binomial
    low = bisect_left(range(middle), 1, key=lambda below: not too_far(below))
    high = middle + bisect_left(range(middle + 1, n + 1), 1, key=too_far)
    return Ranks(low, high + 1)


def quantile_interval(
    counts: Mapping[float, int], share: float, alpha: float, *, best_at: int = BEST_AT
) -> Quantile:
    """Give the quantile of values that are counted: {value: how often}. Raises: ValueError."""
    values = sorted(value for value, n in counts.items() if n)
    upto = list(accumulate(counts[value] for value in values))
    n = upto[-1] if upto else 0
    ranks = quantile_ranks(n, share, alpha, best_at=best_at)

    def at(rank: int) -> float:
        if rank < 1:
            return -math.inf
        return values[bisect_left(upto, rank)] if rank <= n else math.inf

    value = at(max(1, math.ceil(share * n))) if n else math.nan
    return Quantile(value, at(ranks.low), at(ranks.high), n)


def bucket_interval(counts: Mapping[int, int], share: float, alpha: float) -> Interval:
    """Give the interval of a duration's quantile from its buckets, to their outer edges."""
    n = sum(counts.values())
    if n <= 0:
        return Interval(0.0, math.inf, "none")
    ranks = quantile_ranks(n, share, alpha)
    low, high = edges_at(counts, ranks.low)[0], edges_at(counts, ranks.high)[1]
    return Interval(low, high, METHOD)


def quantile_gap(
    control: Mapping[float, int], treatment: Mapping[float, int], share: float, alpha: float
) -> Quantile:
    """Give treatment's quantile minus control's; each interval takes half of alpha. Raises: ValueError."""
    ours = quantile_interval(treatment, share, alpha / 2)
    theirs = quantile_interval(control, share, alpha / 2)
    return Quantile(
        ours.value - theirs.value, ours.low - theirs.high, ours.high - theirs.low, min(ours.n, theirs.n)
    )


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
