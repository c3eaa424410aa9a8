"""The difference of two arms' means, valid at every look: rates, scores, cost, tokens, log latency.

Values are one a unit (its mean over a window), never one a call. Blocks are strata: each contributes the
difference of its own means, so drift, daily tides and changes of the split are no difference. With n_c
control and n_t treatment units a stratum weighs w = n_c n_t / (n_c + n_t); the estimate is sum(w d) / sum(w).
Its error is a martingale over the strata with variance V = sum(w^2 (s_c^2 / n_c + s_t^2 / n_t)). The normal
mixture holds in the time that V counts: W = sum(w) units of variance V / W each, so

    half-width = mixture_half_width(W, sqrt(V / W)) = sqrt(2 (V + r) log(sqrt(V / r + 1) / alpha)) / W.

Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2024), "Time-uniform central limit theory and asymptotic
confidence sequences", Annals of Statistics 52(6), for means that vary in time; r by its eq. 15.

It is asymptotic, so nothing is said before both arms have `BURN_IN` units. Rates of rare events look steadier
than they are (no event yet, no variance): for them the variance of each arm grows by RARE/n. Over 2,000 looks
the truth was left by 0.1-4.3 % of 1,500 runs at rates .001 to .95 and splits 1:1 to 19:1, without that by up
to 55 %.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from assent.monitoring.domain.intervals import mixture_e_value, mixture_half_width

BURN_IN = 100
ROUNDING = 1e-12  # of the sum of squares: sums of floats that should be equal differ by less
RARE = 4  # what as many more bad units would add to the variance
STRATUM = 10  # units of each arm; a variance within fewer is too rough
BEST_AT = 2_500  # 5,000 units in each of two even arms


@dataclass(frozen=True, slots=True)
class Moments:
    """Units of one arm in one block: how many, the sum of their values, and of the squares."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def __add__(self, other: "Moments") -> "Moments":
        """Merge two."""
        return Moments(self.n + other.n, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> float:
        """Give the mean; 0 without units."""
        return self.total / self.n if self.n else 0.0

    @property
    def variance(self) -> float:
        """Give the variance, n - 1 in the denominator; 0 below two units, and where only rounding differs."""
        if self.n <= 1:
            return 0.0
        spread = self.squares - self.total * self.mean
        return spread / (self.n - 1) if spread > ROUNDING * self.squares else 0.0


def moments(values: Iterable[float]) -> Moments:
    """Sum values up. Raises: ValueError for one that is not finite."""
    kept = list(values)
    if not all(map(math.isfinite, kept)):
        raise ValueError("a value is a finite number")
    return Moments(len(kept), math.fsum(kept), math.fsum(value * value for value in kept))


@dataclass(frozen=True, slots=True)
class Stratum:
    """Both arms in one block."""

    control: Moments
    treatment: Moments


@dataclass(frozen=True, slots=True)
class Difference:
    """Treatment minus control, with its always-valid interval.

    `e_value` is the evidence against "no difference": at least 1/alpha exactly when 0 lies outside the
    interval. While `waits_for` says what is missing, the interval is the whole line and `e_value` is 1.
    Units of the last, still open stratum are not counted.
    """

    estimate: float
    low: float
    high: float
    e_value: float
    n_control: int
    n_treatment: int
    waits_for: str | None = None
    method: str = "asymptotic confidence sequence"

    @property
    def direction(self) -> int:
        """Give 1 where treatment is higher for certain, -1 where it is lower, else 0."""
        return (self.low > 0) - (self.high < 0)


def difference(
    blocks: Sequence[Stratum], alpha: float, *, rate: bool = False, best_at: int = BEST_AT
) -> Difference:
    """Compare two arms over the blocks so far, in their order.

    `rate` says that values lie in [0,1] (rates, scores), so that rare events are allowed for.
    `best_at` is the W at which the interval is tightest: n/4 for n units in two even arms.
    With k treatments against one control, each takes alpha/k.

    Raises: ValueError for an alpha outside (0,1).
    """
    found = estimate(blocks, rate=rate)
    n_control, n_treatment = found.n_control, found.n_treatment
    if found.waits_for:
        return Difference(found.value, -math.inf, math.inf, 1.0, n_control, n_treatment, found.waits_for)
    half = mixture_half_width(found.weight, found.deviation, alpha, best_at)
    e_value = mixture_e_value(found.value / found.deviation, found.weight, alpha, best_at)
    return Difference(found.value, found.value - half, found.value + half, e_value, n_control, n_treatment)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The stratified difference: `weight` W values of `deviation` each would be as exact."""

    value: float
    weight: float
    deviation: float
    n_control: int
    n_treatment: int

    @property
    def error(self) -> float:
        """Give the standard error."""
        return self.deviation / math.sqrt(self.weight)

    @property
    def waits_for(self) -> str | None:
        """Say what is missing before anything can be said."""
        if min(self.n_control, self.n_treatment) < BURN_IN:
            return f"{BURN_IN} units in each arm: {self.n_control} and {self.n_treatment} so far"
        if self.deviation <= 0:
            return "values that differ: within every arm all are equal so far"
        return None


def estimate(blocks: Iterable[Stratum], *, rate: bool = False) -> Estimate:
    """Estimate treatment minus control over the strata that are full; all 0 before the first."""
    strata = merged(blocks)
    control = _sum(one.control for one in strata)
    treatment = _sum(one.treatment for one in strata)
    if not strata:
        return Estimate(0.0, 0.0, 0.0, 0, 0)
    weight = math.fsum(map(_weight, strata))
    value = math.fsum(_weight(one) * (one.treatment.mean - one.control.mean) for one in strata)
    more = (RARE / control.n, RARE / treatment.n) if rate else (0.0, 0.0)
    spread = math.fsum(_weight(one) ** 2 * _variance(one, more) for one in strata)
    return Estimate(value / weight, weight, math.sqrt(spread / weight), control.n, treatment.n)


def merged(blocks: Iterable[Stratum]) -> tuple[Stratum, ...]:
    """Join successive blocks until both arms have `STRATUM` units; what is left at the end waits.

    The cuts depend on the numbers of units alone, so they know nothing of the values.
    """
    strata = []
    control, treatment = Moments(), Moments()
    for block in blocks:
        control, treatment = control + block.control, treatment + block.treatment
        if min(control.n, treatment.n) >= STRATUM:
            strata.append(Stratum(control, treatment))
            control, treatment = Moments(), Moments()
    return tuple(strata)


def _weight(one: Stratum) -> float:
    return one.control.n * one.treatment.n / (one.control.n + one.treatment.n)


def _variance(one: Stratum, more: tuple[float, float]) -> float:
    control = (one.control.variance + more[0]) / one.control.n
    return control + (one.treatment.variance + more[1]) / one.treatment.n


def _sum(parts: Iterable[Moments]) -> Moments:
    total = Moments()
    for part in parts:
        total = total + part
    return total
