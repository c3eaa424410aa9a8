"""Quantiles of the normal and of Student's distribution, without scipy (which is tests' equipment only)."""

import math
import statistics

_NORMAL = statistics.NormalDist()
_TINY = 1e-300
_EPSILON = 1e-15
_SERIES_FROM_DF = 1000.0
_MAX_STEPS = 200


def normal_quantile(p: float) -> float:
    """Give z with P(Z ≤ z) = p, 0 < p < 1. Source: Wichura 1988, AS 241 (as `statistics.NormalDist`)."""
    return _NORMAL.inv_cdf(p)


def normal_cdf(z: float) -> float:
    """Give P(Z ≤ z)."""
    return 0.5 * math.erfc(-z / math.sqrt(2))


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Give the regularised incomplete beta function I_x(a, b), 0 ≤ x ≤ 1.

    Source: DLMF 8.17.22 (continued fraction), evaluated by Lentz's method.
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - incomplete_beta(b, a, 1.0 - x)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) * _beta_fraction(a, b, x) / a


def _beta_fraction(a: float, b: float, x: float) -> float:
    c = 1.0
    d = 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1))
    total = d
    m, step = 0, 0.0
    while abs(step - 1.0) > _EPSILON:  # it converges for every x that `incomplete_beta` lets through
        m += 1
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1.0 / _away_from_zero(1.0 + even * d)
        c = _away_from_zero(1.0 + even / c)
        total *= c * d
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1.0 / _away_from_zero(1.0 + odd * d)
        c = _away_from_zero(1.0 + odd / c)
        step = c * d
        total *= step
    return total


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def student_tail(t: float, df: float) -> float:
    """Give P(T > t) for t ≥ 0 with `df` > 0 degrees of freedom."""
    return 0.5 * incomplete_beta(df / 2, 0.5, df / (df + t * t))


def student_quantile(p: float, df: float) -> float:
    """Give t with P(T ≤ t) = p, 0 < p < 1, for `df` ≥ 1 degrees of freedom.

    Equal to scipy's to 1e-9 (tested). From 1,000 degrees on: the Cornish-Fisher series, exact there
    to the last digits; below: Newton's method on the logarithm of the tail, which stays stable far out.
    Source: Abramowitz and Stegun 26.7.5.
    """
    if not 0.0 < p < 1.0 or df < 1.0:
        raise ValueError(f"no quantile for p={p}, df={df}")
    if p == 0.5:  # noqa: PLR2004 -- the median of a symmetric distribution
        return 0.0
    if p < 0.5:  # noqa: PLR2004 -- the lower half mirrors the upper
        return -_upper_quantile(p, df)
    return _upper_quantile(1.0 - p, df)


def _upper_quantile(tail: float, df: float) -> float:
    z = -normal_quantile(tail)
    if df >= _SERIES_FROM_DF:
        return _cornish_fisher(z, df)
    if df == 1.0:
        return 1.0 / math.tan(math.pi * tail)
    log_norm = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(df * math.pi)
    log_target = math.log(tail)
    t = max(z, 1e-8)
    for _ in range(_MAX_STEPS):
        upper = student_tail(t, df)
        density = math.exp(log_norm - (df + 1) / 2 * math.log1p(t * t / df))
        step = (math.log(upper) - log_target) * upper / density
        following = t + step if t + step > 0 else t / 2
        if abs(following - t) <= 1e-14 * t:
            return following
        t = following
    return t


def _cornish_fisher(z: float, df: float) -> float:
    z2 = z * z
    g1 = z * (z2 + 1) / 4
    g2 = z * ((5 * z2 + 16) * z2 + 3) / 96
    g3 = z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384
    g4 = z * ((((79 * z2 + 776) * z2 + 1482) * z2 - 1920) * z2 - 945) / 92160
    return z + (g1 + (g2 + (g3 + g4 / df) / df) / df) / df
