import itertools
import math
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.monitoring.domain.exposure import check_exposure, exposure_e_value, exposure_over_periods


def slow_e_value(arrivals: list[int], shares: list[Fraction], strength: int) -> Fraction:
    """One unit after another, in exact arithmetic: the chance that the bet gave it, over the planned share."""
    counts = [0] * len(shares)
    e = Fraction(1)
    for variant in arrivals:
        predicted = (strength * shares[variant] + counts[variant]) / (strength + sum(counts))
        e *= predicted / shares[variant]
        counts[variant] += 1
    return e


@given(
    st.lists(st.integers(0, 2), max_size=60),
    st.sampled_from([(1, 1, 2), (1, 9, 10), (19, 1, 180)]),
    st.sampled_from([1, 50, 10_000]),
)
def test_the_evidence_equals_the_bet_on_each_unit_in_exact_arithmetic(arrivals, parts, strength):
    shares = [Fraction(part, sum(parts)) for part in parts]
    counts = [arrivals.count(variant) for variant in range(3)]
    got = exposure_e_value(counts, [float(share) for share in shares], prior_strength=strength)
    assert got == pytest.approx(float(slow_e_value(arrivals, shares, strength)), rel=1e-9)


def test_every_path_of_ten_units_weighs_one_in_expectation():
    shares = [0.3, 0.7]
    total = sum(
        math.prod(shares[v] for v in path)
        * exposure_e_value([path.count(0), path.count(1)], shares, prior_strength=5)
        for path in itertools.product((0, 1), repeat=10)
    )
    assert total == pytest.approx(1, abs=1e-12)


def test_large_counts_keep_their_digits():
    even = exposure_e_value([500_000_000, 500_000_000], [0.5, 0.5])
    assert 0 < even < 1
    assert exposure_e_value([500_200_000, 499_800_000], [0.5, 0.5]) > 1e10
    assert exposure_e_value([600_000_000, 400_000_000], [0.5, 0.5]) == math.inf


def test_a_split_as_planned_is_called_broken_by_few_runs_at_any_of_its_looks():
    rng = random.Random(11)
    broken = 0
    for _ in range(200):
        canary = n = 0
        worst = 0.0
        for _ in range(60):
            canary += sum(rng.random() < 0.05 for _ in range(50))
            n += 50
            worst = max(worst, exposure_e_value([canary, n - canary], [0.05, 0.95], prior_strength=500))
        broken += worst >= 20
    assert broken <= 200 * 0.05


def test_a_split_that_loses_one_treated_unit_in_ten_is_found():
    assert check_exposure({"a": 5_000, "b": 5_000}, {"a": 0.5, "b": 0.5}).broken is False
    found = check_exposure({"a": 10_000, "b": 9_000}, {"a": 0.5, "b": 0.5})
    assert found.broken
    assert found.expected == {"a": 9_500, "b": 9_500}
    assert found.e_value > 1_000


def test_a_variant_without_a_share_that_was_served_is_broken_at_once():
    found = check_exposure({"a": 10, "b": 10, "off": 1}, {"a": 0.5, "b": 0.5, "spare": 0.0})
    assert (found.e_value, found.broken) == (math.inf, True)
    assert found.counts == {"a": 10, "b": 10, "off": 1, "spare": 0}


def test_no_units_say_nothing():
    assert check_exposure({}, {"a": 0.5, "b": 0.5}).e_value == 1


def test_periods_with_different_shares_multiply():
    first, second = ([60, 940], [0.05, 0.95]), ([480, 520], [0.5, 0.5])
    assert exposure_over_periods([first, second]) == pytest.approx(
        exposure_e_value(*first) * exposure_e_value(*second)
    )
    assert exposure_over_periods([]) == 1
    assert exposure_over_periods([first, ([1, 1], [0.0, 1.0])]) == math.inf
    pooled = exposure_e_value([540, 1460], [0.275, 0.725])
    assert exposure_over_periods([first, second]) != pytest.approx(pooled)


@pytest.mark.parametrize(
    ("counts", "shares", "strength", "message"),
    [
        ([1], [0.5, 0.5], 10, "a count and a share"),
        ([], [], 10, "a count and a share"),
        ([-1, 2], [0.5, 0.5], 10, "0 or more"),
        ([1, 2], [0.5, 0.4], 10, "sum to 1"),
        ([1, 2], [1.5, -0.5], 10, "sum to 1"),
        ([1, 2], [math.nan, 0.5], 10, "sum to 1"),
        ([1, 2], [0.5, 0.5], 0, "positive"),
        ([1, 2], [0.5, 0.5], math.inf, "positive"),
    ],
)
def test_counts_and_shares_that_cannot_be_are_refused(counts, shares, strength, message):
    with pytest.raises(ValueError, match=message):
        exposure_e_value(counts, shares, prior_strength=strength)


@pytest.mark.parametrize("alpha", [0, 1])
def test_an_alpha_outside_0_and_1_is_refused(alpha):
    with pytest.raises(ValueError, match="between 0 and 1"):
        check_exposure({"a": 1}, {"a": 1.0}, alpha)


def test_a_split_that_is_far_off_is_found_within_dozens_of_units_and_a_little_one_later():
    shares = {"a": 0.6, "b": 0.4}
    assert check_exposure({"a": 20, "b": 60}, shares).broken
    assert not check_exposure({"a": 48, "b": 32}, shares).broken
    assert not check_exposure({"a": 5_900, "b": 4_100}, shares).broken
    assert check_exposure({"a": 59_000, "b": 41_000}, shares).broken
