"""Figures of intervals and bounds beside implementations that are not ours."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from ville import MSPRT, BernoulliCS, normal_mixture

from assent.delivery.domain.detection import units_to_find
from assent.monitoring.domain.intervals import mixture_e_value, mixture_half_width, rate_interval


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_the_sequence_of_a_rate_equals_villes_at_every_look(alpha):
    values = (np.random.default_rng(1).random(400) < 0.07).astype(float)
    theirs = BernoulliCS(alpha=alpha, intersect=False).fit(values)
    for n in (1, 2, 10, 50, 399, 400):
        got = rate_interval(values[:n].sum(), n, alpha)
        assert (got.low, got.high) == pytest.approx((theirs.lower_[n - 1], theirs.upper_[n - 1]), abs=1e-9)


@pytest.mark.parametrize("n", [1, 100, 1_000, 5_000, 1_000_000])
@pytest.mark.parametrize(("alpha", "best_at"), [(0.05, 5_000), (0.001, 200)])
def test_the_normal_mixture_equals_villes(n, alpha, best_at):
    strength = best_at / (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha)))
    boundary = float(normal_mixture(2.5**2 * n, alpha, 2.5**2 * strength)) / n
    assert mixture_half_width(n, 2.5, alpha, best_at) == pytest.approx(boundary, rel=1e-12)
    e_value = mixture_e_value(boundary / 2.5, n, alpha, best_at)
    assert e_value == pytest.approx(1 / alpha, rel=1e-9)


def test_the_evidence_of_a_mean_equals_villes_sequential_ratio():
    values = np.random.default_rng(2).normal(0.2, 1.0, 300)
    strength = 1_000 / (-2 * math.log(0.05) + math.log(1 - 2 * math.log(0.05)))
    theirs = MSPRT(theta0=0.0, sigma=1.0, tau=1 / math.sqrt(strength), alpha=0.05).fit(values)
    for n in (1, 10, 300):
        ours = mixture_e_value(float(values[:n].mean()), n, 0.05, 1_000)
        assert math.log(ours) == pytest.approx(theirs.log_e_values_[n - 1], abs=1e-9)


@pytest.mark.parametrize(
    ("harmful", "units"), [("0.0125", 10_243), ("0.015", 2_737), ("0.02", 766), ("0.05", 73)]
)
def test_the_units_that_a_harm_takes_equal_decimal_arithmetic(harmful, units):
    with localcontext(prec=50):
        p, q = Decimal(harmful), Decimal("0.01")
        divergence = p * (p / q).ln() + (1 - p) * ((1 - p) / (1 - q)).ln()
        bound, halved = Decimal(20).ln() / divergence, Decimal(40).ln() / divergence
    assert abs(bound - units) < 1
    assert units_to_find(0.01, float(harmful), alpha=0.05) == math.ceil(bound)
    assert units_to_find(0.01, float(harmful), alpha=0.05, weight=0.5) == math.ceil(halved)
