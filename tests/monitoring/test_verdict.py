import math
from dataclasses import replace
from decimal import Decimal

import pytest
from statsmodels.stats.proportion import proportion_confint

from assent.delivery.domain.judgement import Verdict
from assent.monitoring.domain import intervals
from assent.monitoring.domain.eprocess import Weighing
from assent.monitoring.domain.verdict import Look, judge, threshold, units_to_detect

QUIET = Weighing(Decimal("0.5"), "error", {"error": Decimal("0.5")})
LOOK = Look(n_canary=30, n_stable=600, weighing=QUIET, proofs={"error": Decimal(20), "slow": Decimal(21)})


def test_all_guards_proven_is_a_pass():
    assert judge(LOOK, 0.05) is Verdict.PASS


def test_enough_evidence_fails_whatever_else_is_open():
    loud = replace(LOOK, weighing=Weighing(Decimal(20), "slow", {}), missing=("judge",))
    assert judge(loud, 0.05) is Verdict.FAIL
    assert (
        judge(replace(loud, missing=(), weighing=Weighing(Decimal("19.999"), "slow", {})), 0.05)
        is Verdict.PASS
    )


@pytest.mark.parametrize(
    "change",
    [
        {"n_stable": 0},
        {"n_canary": 0},
        {"missing": ("judge",)},
        {"proofs": {}},
        {"proofs": {"error": Decimal(20), "slow": Decimal("19.9")}},
    ],
)
def test_anything_missing_is_inconclusive(change):
    assert judge(replace(LOOK, **change), 0.05) is Verdict.INCONCLUSIVE


def test_the_threshold_is_exact():
    assert threshold(0.05) == 20


@pytest.mark.parametrize(
    ("low", "high", "bound"),
    [(0.01, 0.0125, 10243), (0.01, 0.015, 2737), (0.01, 0.02, 766), (0.01, 0.05, 73)],
)
def test_units_to_detect_lie_between_once_and_twice_the_bound_of_any_test(low, high, bound):
    got = units_to_detect(low, high, 0.05, 19)
    assert bound < got < 2 * bound


def test_what_cannot_be_bet_on_is_never_found():
    assert units_to_detect(0.05, 0.6, 0.05, 3) == pytest.approx(7.36, abs=0.01)
    assert units_to_detect(0.5, 0.4, 0.05, 3) == math.inf
    assert units_to_detect(0.99, 0.995, 0.05, 0) == math.inf


def test_the_beta_sequence_has_the_published_value():
    got = intervals.rate_interval(12, 1000, 0.05)
    assert (round(got.low, 5), round(got.high, 5)) == (0.00298, 0.03091)


def test_the_beta_sequence_at_the_ends():
    none = intervals.rate_interval(0, 0, 0.05)
    assert (none.low, none.high, none.method) == (0.0, 1.0, "none")
    clean = intervals.rate_interval(0, 100, 0.05)
    assert clean.low == 0
    assert 0.05 < clean.high < 0.1
    dirty = intervals.rate_interval(100, 100, 0.05)
    assert dirty.high == 1
    assert dirty.low == pytest.approx(1 - clean.high, abs=1e-12)
    assert intervals.rate_interval(101, 100, 0.05) == dirty
    assert intervals.rate_interval(0, 2, 0.05).high == 1.0 or intervals.rate_interval(0, 2, 0.05).high > 0.8


@pytest.mark.parametrize(("n", "half"), [(100, 0.669439), (1000, 0.106375), (5000, 0.042924)])
def test_the_mixture_has_the_published_half_widths(n, half):
    assert intervals.mixture_half_width(n, 1.0, 0.05, 5000) == pytest.approx(half, abs=1e-6)
    got = intervals.mean_interval(2.0, 1.0, n, 0.05)
    assert (got.high - got.low) / 2 == pytest.approx(half, abs=1e-6)


@pytest.mark.parametrize(("n", "alpha", "best_at"), [(0, 0.05, 10), (5, 0.0, 10), (5, 0.05, 0)])
def test_a_mixture_without_values_is_refused(n, alpha, best_at):
    with pytest.raises(ValueError, match="needs n"):
        intervals.mixture_half_width(n, 1.0, alpha, best_at)


def test_wilson_equals_statsmodels():
    for bad, n in ((0, 10), (3, 17), (12, 1000), (10, 10)):
        got = intervals.wilson(bad, n, 0.05)
        assert (got.low, got.high) == pytest.approx(proportion_confint(bad, n, 0.05, "wilson"), abs=1e-12)
    assert intervals.wilson(0, 0, 0.05).method == "none"
