"""Intervals that are drawn beside a verdict, each valid at every look unless its name says otherwise."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Interval:
    """A range and the method that gave it."""

    low: float
    high: float
    method: str


def rate_interval(badness: float, n: int, alpha: float) -> Interval:
    """Give the confidence sequence of a mean score in [0,1], valid at every look, by a Beta(1,1) mixture.

    The mixture's likelihood ratio B(1+S, 1+n-S) / (p^S (1-p)^(n-S)) is a martingale for 0/1 scores; for
    scores between, each factor is below the linear one (weighted means), so it holds all the more.
    Source: Robbins (1970), "Statistical methods related to the law of the iterated logarithm"; Ville (1939).
    """
    if n <= 0:
        return Interval(0.0, 1.0, "none")
    badness = min(max(badness, 0.0), float(n))
    mixture = math.lgamma(1 + badness) + math.lgamma(1 + n - badness) - math.lgamma(2 + n)
    limit = math.log(1 / alpha)

    def excess(p: float) -> float:
        return mixture - _xlogy(badness, p) - _xlogy(n - badness, 1 - p) - limit

    mean = badness / n
    low = 0.0 if excess(0.0) <= 0 else _root(excess, 0.0, mean)
    high = 1.0 if excess(1.0) <= 0 else _root(excess, 1.0, mean)
    return Interval(low, high, "beta confidence sequence")


def wilson(badness: float, n: int, alpha: float) -> Interval:
    """Give Wilson's interval, for one look only (a finished period). Source: Wilson (1927)."""
    if n <= 0:
        return Interval(0.0, 1.0, "none")
    z = NormalDist().inv_cdf(1 - alpha / 2)
    mean = badness / n
    centre = (mean + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(mean * (1 - mean) / n + z * z / (4 * n * n))
    return Interval(max(0.0, centre - half), min(1.0, centre + half), "wilson")


def mixture_half_width(n: float, deviation: float, alpha: float, best_at: int) -> float:
    """Give the half-width of the asymptotic confidence sequence of a mean after `n` values.

    `best_at` is the number of values at which the two-sided sequence is tightest.
    Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2024), "Time-uniform central limit theory", eq. 15.
    Raises: ValueError.
    """
    rho2, spread = _mixture(n, alpha, best_at)
    return deviation * math.sqrt(2 * spread / (n * n * rho2) * math.log(math.sqrt(spread) / alpha))


def mixture_e_value(standardised: float, n: float, alpha: float, best_at: int) -> float:
    """Give the evidence against a mean of 0, for a mean in deviations of one value; inf beyond a float.

    It is at least 1/alpha exactly where `mixture_half_width` is at most the mean. Raises: ValueError.
    """
    rho2, spread = _mixture(n, alpha, best_at)
    return exp_or_inf(n * n * rho2 * standardised**2 / (2 * spread) - math.log(spread) / 2)


def exp_or_inf(value: float) -> float:
    """Give e to a power; inf where no float holds it."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def mixture_precision(alpha: float, best_at: int) -> float:
    """Give rho^2 for which the two-sided mixture is tightest after `best_at` values. Raises: ValueError."""
    if not 0 < alpha < 1 or best_at <= 0:
        raise ValueError("needs n >= 1, alpha in (0,1) and best_at >= 1")
    return (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / best_at


def _mixture(n: float, alpha: float, best_at: int) -> tuple[float, float]:
    rho2 = mixture_precision(alpha, best_at)
    if n <= 0:
        raise ValueError("needs n >= 1, alpha in (0,1) and best_at >= 1")
    return rho2, n * rho2 + 1


def mean_interval(mean: float, deviation: float, n: int, alpha: float, *, best_at: int = 5000) -> Interval:
    """Give the asymptotic confidence sequence of an unbounded mean (cost, tokens, log latency)."""
    half = mixture_half_width(n, deviation, alpha, best_at)
    return Interval(mean - half, mean + half, "asymptotic confidence sequence")


def _xlogy(x: float, y: float) -> float:
    if x == 0:
        return 0.0
    return x * math.log(y) if y > 0 else -math.inf


def _root(f: Callable[[float], float], outside: float, inside: float) -> float:
    """Bisect between a point where f > 0 and one where f <= 0; gives a point on the outer side."""
    while (middle := (outside + inside) / 2) not in (outside, inside):
        if f(middle) > 0:
            outside = middle
        else:
            inside = middle
    return outside
