import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ville import normal_mixture

from assent.monitoring.domain.difference import BURN_IN, Moments, Stratum, difference, merged, moments

values = st.lists(st.floats(-1e3, 1e3, allow_subnormal=False), max_size=30)


def stratum(control, treatment) -> Stratum:
    return Stratum(moments(control), moments(treatment))


def slow_difference(pairs, alpha, best_at, more=0.0):
    """The stratified difference by numpy, its boundary by another library."""
    n_c, n_t = sum(len(c) for c, _ in pairs), sum(len(t) for _, t in pairs)
    weights = np.array([len(c) * len(t) / (len(c) + len(t)) for c, t in pairs])
    gaps = np.array([np.mean(t) - np.mean(c) for c, t in pairs])
    spread = sum(
        w**2 * ((np.var(c, ddof=1) + more / n_c) / len(c) + (np.var(t, ddof=1) + more / n_t) / len(t))
        for w, (c, t) in zip(weights, pairs, strict=True)
    )
    total = weights.sum()
    estimate = float((weights * gaps).sum() / total)
    precision = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / best_at
    half = float(normal_mixture(spread, alpha, spread / total / precision) / total)
    return estimate, half


@given(values, values)
def test_moments_equal_numpys_and_merge(first, second):
    merged_both, both = moments(first) + moments(second), first + second
    assert merged_both.n == len(both)
    scale = 1e-9 * (1 + max(map(abs, both), default=0)) ** 2
    if both:
        assert merged_both.mean == pytest.approx(np.mean(both), abs=scale)
    if len(both) > 1:
        assert merged_both.variance == pytest.approx(np.var(both, ddof=1), abs=scale)
    assert Moments().mean == Moments(1, 3.0, 9.0).variance == 0


@pytest.mark.parametrize("rate", [False, True])
def test_the_interval_equals_another_librarys_boundary(rate):
    rng = np.random.default_rng(5)
    pairs = [(rng.random(40), rng.random(12) ** 2) for _ in range(15)]
    got = difference([stratum(c, t) for c, t in pairs], 0.05, rate=rate, best_at=800)
    estimate, half = slow_difference(pairs, 0.05, 800, more=4.0 if rate else 0.0)
    assert got.estimate == pytest.approx(estimate, abs=1e-12)
    assert (got.high - got.low) / 2 == pytest.approx(half, abs=1e-12)
    assert (got.n_control, got.n_treatment) == (600, 180)


def test_evidence_reaches_one_over_alpha_where_the_interval_leaves_nothing():
    rng = np.random.default_rng(6)
    control, noise = rng.normal(size=200), rng.normal(size=200)
    half = (
        difference([stratum(control, noise)], 0.05).high
        - difference([stratum(control, noise)], 0.05).estimate
    )
    for nearly, e_is_enough in ((0.999, False), (1.001, True)):
        shifted = noise - noise.mean() + control.mean() + nearly * half
        got = difference([stratum(control, shifted)], 0.05)
        assert (got.e_value >= 20) is e_is_enough
        assert got.direction == int(e_is_enough)
        back = difference([stratum(shifted, control)], 0.05)
        assert back.direction == -int(e_is_enough)
        assert back.e_value == pytest.approx(got.e_value)


def test_a_far_difference_has_evidence_beyond_any_float():
    got = difference([stratum([0.0] * 5000 + [0.001], [9.0] * 5000 + [9.001])], 0.05)
    assert got.e_value == math.inf
    assert got.direction == 1


def test_drift_and_a_changing_split_are_no_difference():
    rng = np.random.default_rng(7)
    blocks, pooled = [], [[], []]
    for day in range(20):
        level = 0.1 + 0.03 * day  # both arms get worse, while treatment grows from 5 to 62 %
        n_treatment = int(1000 * (0.05 + 0.03 * day))
        control = (rng.random(1000 - n_treatment) < level).astype(float)
        treatment = (rng.random(n_treatment) < level).astype(float)
        blocks.append(stratum(control, treatment))
        pooled[0].extend(control)
        pooled[1].extend(treatment)
    assert difference(blocks, 0.05, rate=True).direction == 0
    assert difference([stratum(*pooled)], 0.05, rate=True).direction == 1  # what pooling would have said


@pytest.mark.parametrize(
    ("rate_c", "rate_t", "times"), [(0.005, 0.005, 19), (0.05, 0.05, 1), (0.01, 0.05, 4), (0.05, 0.0, 1)]
)
def test_the_truth_is_left_by_few_runs_at_any_look(rate_c, rate_t, times):
    rng = np.random.default_rng(20261126)
    left = 0
    for _ in range(60):
        counts = zip(rng.binomial(10 * times, rate_c, 200), rng.binomial(10, rate_t, 200), strict=True)
        blocks = [Stratum(Moments(10 * times, c, c), Moments(10, t, t)) for c, t in counts]
        looks = (difference(blocks[:k], 0.05, rate=True) for k in (10, 15, 22, 33, 50, 75, 110, 160, 200))
        left += any(not look.low <= rate_t - rate_c <= look.high for look in looks)
    assert left <= 3


def test_blocks_are_joined_until_both_arms_have_ten_and_the_last_waits():
    ten, three, none = moments([1.0] * 10), moments([2.0] * 3), Moments()
    got = merged([Stratum(ten, three), Stratum(none, ten), Stratum(ten, ten), Stratum(ten, three)])
    assert got == (Stratum(ten, three + ten), Stratum(ten, ten))
    assert merged([]) == ()


def test_before_the_burn_in_nothing_is_said():
    few = difference([stratum([0.0, 1.0] * 80, [1.0, 1.0, 1.0] * 33)], 0.05)
    assert (few.low, few.high, few.e_value, few.direction) == (-math.inf, math.inf, 1.0, 0)
    assert few.estimate == 0.5
    assert few.waits_for == f"{BURN_IN} units in each arm: 160 and 99 so far"
    nothing = difference([], 0.05, rate=True)
    assert nothing.estimate == 0
    assert nothing.waits_for


def test_equal_values_have_no_variance_to_judge_by():
    alike = difference([stratum([1.0] * 200, [2.0] * 200)], 0.05)
    assert alike.waits_for == "values that differ: within every arm all are equal so far"
    clean = difference([stratum([0.0] * 200, [0.0] * 200)], 0.05, rate=True)
    assert clean.waits_for is None
    assert -0.2 < clean.low < 0 < clean.high < 0.2


def test_a_value_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="finite"):
        moments([1.0, math.nan])
    with pytest.raises(ValueError, match="alpha"):
        difference([stratum([0.0, 1.0] * 100, [0.0, 1.0] * 100)], 0.0)
