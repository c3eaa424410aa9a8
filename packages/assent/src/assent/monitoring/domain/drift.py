"""Drift: whether what is asked and answered now is distributed as in a reference window.

Two histograms are compared: by the population stability index, which says how much differs, and by a test,
which says whether chance would do that: Kolmogorov-Smirnov where buckets have an order, chi-squared where
they are categories. The tests of one check are corrected together by Holm's method.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from assent.monitoring.domain.kinds import CATEGORIES, Kind

ALPHA = 0.01
PSI_LIMIT = 0.2
"""From here on a shift is worth a look; below .1 is usually called none. Source: Siddiqi (2006), ch. 6."""

ENOUGH = 200
N_BINS = 10
LEAST_EXPECTED = 5
FLOOR = 1e-4
"""A share that is not seen counts as this much: the index of an empty bin would be infinite."""

Counts = Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How one distribution differs from its reference; `p` is corrected for all that were compared."""

    kind: Kind
    n_reference: int
    n_present: int
    psi: float | None = None
    statistic: float | None = None
    p: float | None = None
    test: str = "none"
    drifted: bool | None = None  # None: too little to tell


def compare(kind: Kind, reference: Counts, present: Counts) -> Shift:
    """Compare two histograms of a kind, not yet corrected."""
    n_reference, n_present = sum(reference.values()), sum(present.values())
    shift = Shift(kind=kind, n_reference=n_reference, n_present=n_present)
    if min(n_reference, n_present) < ENOUGH:
        return shift
    if kind in CATEGORIES:
        statistic, p = chi_squared(reference, present)
        name, edges = "chi-squared", sorted({*reference, *present})
    else:
        statistic, p = kolmogorov_smirnov(reference, present)
        name, edges = "Kolmogorov-Smirnov", _deciles(reference)
    return replace(shift, psi=psi(reference, present, edges), statistic=statistic, p=p, test=name)


def correct(shifts: Sequence[Shift]) -> list[Shift]:
    """Correct the p-values together; drifted is what is neither chance nor small.

    Source: Holm (1979), "A simple sequentially rejective multiple test procedure".
    """
    known = sorted((one.p, i) for i, one in enumerate(shifts) if one.p is not None)
    found, worst = list(shifts), 0.0
    for rank, (p, i) in enumerate(known):
        worst = max(worst, min(1.0, p * (len(known) - rank)))
        large = (shifts[i].psi or 0.0) >= PSI_LIMIT
        found[i] = replace(shifts[i], p=worst, drifted=worst <= ALPHA and large)
    return found


def psi(reference: Counts, present: Counts, edges: Sequence[int]) -> float:
    """Give the population stability index; `edges` are the last buckets of bins, ascending."""
    first, second = _binned(reference, edges), _binned(present, edges)
    return sum((b - a) * math.log(b / a) for a, b in zip(first, second, strict=True))


def _binned(counts: Counts, edges: Sequence[int]) -> list[float]:
    n = sum(counts.values())
    bins = [0] * (len(edges) + 1)
    for bucket, m in counts.items():
        bins[sum(bucket > edge for edge in edges)] += m
    return [max(m / n, FLOOR) for m in bins]


def _deciles(counts: Counts) -> list[int]:
    buckets = sorted(counts)
    reached = list(accumulate(counts[bucket] for bucket in buckets))
    wanted = (share * reached[-1] / N_BINS for share in range(1, N_BINS))
    found = {next(b for b, seen in zip(buckets, reached, strict=True) if seen >= least) for least in wanted}
    return sorted(found)


def kolmogorov_smirnov(reference: Counts, present: Counts) -> tuple[float, float]:
    """Give the largest difference of the two distributions and its asymptotic p; ties make p too large.

    Source: Smirnov (1948), "Table for estimating the goodness of fit of empirical distributions".
    """
    n, m = sum(reference.values()), sum(present.values())
    largest, a, b = 0.0, 0, 0
    for bucket in sorted({*reference, *present}):
        a, b = a + reference.get(bucket, 0), b + present.get(bucket, 0)
        largest = max(largest, abs(a / n - b / m))
    x = largest * math.sqrt(n * m / (n + m))
    if x < 0.2:  # noqa: PLR2004 -- the series below is 1 to fifteen digits there, and slow to say so
        return largest, 1.0
    total = sum((-1) ** (k - 1) * math.exp(-2 * k * k * x * x) for k in range(1, 101))
    return largest, min(1.0, max(0.0, 2 * total))


def chi_squared(reference: Counts, present: Counts) -> tuple[float, float]:
    """Give the statistic of homogeneity and its p; categories that are rare in both are put together."""
    n, m = sum(reference.values()), sum(present.values())
    rows: list[tuple[int, int]] = []
    rare = (0, 0)
    for bucket in sorted({*reference, *present}):
        pair = reference.get(bucket, 0), present.get(bucket, 0)
        if sum(pair) * min(n, m) / (n + m) >= LEAST_EXPECTED:
            rows.append(pair)
        else:
            rare = rare[0] + pair[0], rare[1] + pair[1]
    rows += [rare] if sum(rare) else []
    statistic = 0.0
    for a, b in rows:
        for seen, size in ((a, n), (b, m)):
            expected = (a + b) * size / (n + m)
            statistic += (seen - expected) ** 2 / expected
    return statistic, tail_of_chi_squared(statistic, len(rows) - 1)


def tail_of_chi_squared(x: float, freedom: int) -> float:
    """Give P(chi-squared > x) for whole degrees of freedom, in closed form.

    Source: Abramowitz, Stegun (1964), 26.4.4 and 26.4.5.
    """
    if freedom <= 0 or x <= 0:
        return 1.0
    half = x / 2
    if freedom % 2 == 0:
        terms = (i * math.log(half) - math.lgamma(i + 1) for i in range(freedom // 2))
        return min(1.0, sum(math.exp(term - half) for term in terms))
    terms = ((j - 0.5) * math.log(half) - math.lgamma(j + 0.5) for j in range(1, (freedom - 1) // 2 + 1))
    return min(1.0, math.erfc(math.sqrt(half)) + sum(math.exp(term - half) for term in terms))
