"""Exposure check: were units split as the route says (sample-ratio mismatch)? Valid at every look.

A split that does not come out as planned means that assignment or recording is broken, so the groups are not
alike; then the verdict stops, the traffic does not. Counted are units, each once, in its first variant.

The bet is a Dirichlet prior around the planned shares p with weight k: after counts x the e-value is

    Gamma(k) / Gamma(k + n) * prod_i Gamma(k p_i + x_i) / Gamma(k p_i) / prod_i p_i^x_i,

a Bayes factor of "some other shares" against "these shares". It depends on the counts alone, and is a
martingale while the shares hold: by Ville's inequality it ever reaches 1/alpha with chance at most alpha.
Source: Lindon, Malek (2022), "Anytime-valid inference for multinomial count data", NeurIPS 35.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assent.monitoring.domain.intervals import exp_or_inf

PRIOR_STRENGTH = 10_000.0
PRIOR_STRENGTHS = (10.0, 300.0, PRIOR_STRENGTH)
"""Together they find a split that is far off within dozens of units, a hundredth off after thousands."""
EXPOSURE_ALPHA = 0.001  # a broken split is a defect, not a finding: it is called one only when certain
_SHARES_SUM = 1e-6  # six decimals, as routes state shares


@dataclass(frozen=True, slots=True)
class Exposure:
    """What the counts of a fixed split say.

    `e_value` is inf where it exceeds a float, or where a variant without a share was served.
    """

    counts: Mapping[str, int]
    expected: Mapping[str, float]
    e_value: float
    broken: bool


def exposure_e_value(
    counts: Sequence[int], shares: Sequence[float], *, prior_strength: float = PRIOR_STRENGTH
) -> float:
    """Give the evidence against "units fall to variants by these shares"; 1 before the first unit.

    `counts` are units so far, `shares` the plan's, summing to 1. `prior_strength` says how near to the plan
    a broken split is looked for: 10,000 finds deviations of about a hundredth of a share soonest.

    Raises: ValueError for counts or shares that cannot be.
    """
    _check(counts, shares, prior_strength)
    if any(n and not share for n, share in zip(counts, shares, strict=True)):
        return math.inf
    log_e = math.lgamma(prior_strength) - math.lgamma(prior_strength + sum(counts))
    for n, share in zip(counts, shares, strict=True):
        if n:
            prior = prior_strength * share
            log_e += math.lgamma(prior + n) - math.lgamma(prior) - n * math.log(share)
    return exp_or_inf(log_e)


def exposure_over_periods(
    periods: Sequence[tuple[Sequence[int], Sequence[float]]], *, prior_strength: float = PRIOR_STRENGTH
) -> float:
    """Give the evidence of periods with different shares: their product, which is an e-value again.

    `periods` are (counts, shares), in order; the last one is still open. Raises: ValueError.
    """
    values = [exposure_e_value(counts, shares, prior_strength=prior_strength) for counts, shares in periods]
    if math.inf in values:
        return math.inf
    return exp_or_inf(math.fsum(map(math.log, values)))


def check_exposure(
    counts: Mapping[str, int],
    shares: Mapping[str, float],
    alpha: float = EXPOSURE_ALPHA,
) -> Exposure:
    """Check a fixed split by variant. Variants without a share or a count are taken as 0.

    The evidence is the mean over `PRIOR_STRENGTHS`: a mean of e-values is one again.

    Raises: ValueError for an alpha outside (0,1), and as `exposure_e_value`.
    """
    if not 0 < alpha < 1:
        raise ValueError("alpha lies between 0 and 1")
    variants = sorted({*counts, *shares})
    seen = [counts.get(variant, 0) for variant in variants]
    planned = [shares.get(variant, 0.0) for variant in variants]
    e_values = [exposure_e_value(seen, planned, prior_strength=strength) for strength in PRIOR_STRENGTHS]
    e_value = sum(e_values) / len(e_values)
    n = sum(seen)
    return Exposure(
        counts=dict(zip(variants, seen, strict=True)),
        expected={variant: share * n for variant, share in zip(variants, planned, strict=True)},
        e_value=e_value,
        broken=e_value >= 1 / alpha,
    )


def _check(counts: Sequence[int], shares: Sequence[float], prior_strength: float) -> None:
    if len(counts) != len(shares) or not counts:
        raise ValueError("every variant needs a count and a share")
    if any(n < 0 for n in counts):
        raise ValueError("a count is 0 or more")
    if any(not 0 <= share <= 1 for share in shares) or abs(math.fsum(shares) - 1) > _SHARES_SUM:
        raise ValueError("shares lie between 0 and 1 and sum to 1")
    if not 0 < prior_strength < math.inf:
        raise ValueError("the prior's strength is a positive number")
