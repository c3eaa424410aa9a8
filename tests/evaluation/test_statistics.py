"""The statistics against published check values, against scipy and statsmodels, and at their edges."""

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import statsmodels.api as sm
from hypothesis import example, given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.proportion import proportion_confint

from assent.evaluation.domain.paired import Noise, detectable_difference, mean, sample_size
from assent.evaluation.domain.proportions import (
    Discordant,
    mcnemar,
    share_interval,
    tango,
    wilson,
    zero_event_bound,
)
from assent.evaluation.domain.quantiles import (
    incomplete_beta,
    normal_cdf,
    normal_quantile,
    student_quantile,
    student_tail,
)


@pytest.mark.parametrize("df", [1, 1.5, 2, 3, 5, 10, 29, 30, 100, 411.7, 999, 1000, 1318, 5000, 1e6])
@pytest.mark.parametrize(
    "p", [1e-6, 0.001, 0.025, 0.05, 0.1, 0.4, 0.499, 0.5, 0.6, 0.95, 0.975, 0.999, 1 - 1e-6]
)
def test_student_quantiles_equal_scipy(p, df):
    assert student_quantile(p, df) == pytest.approx(scipy.stats.t.ppf(p, df), rel=1e-9, abs=1e-10)


@pytest.mark.parametrize(("p", "df"), [(0.0, 5), (1.0, 5), (0.5, 0.5), (-1, 5)])
def test_a_quantile_outside_its_domain_is_an_error(p, df):
    with pytest.raises(ValueError, match="no quantile"):
        student_quantile(p, df)


@settings(deadline=None)
@given(st.floats(0.1, 500), st.floats(0.1, 500), st.floats(0, 1))
@example(2.0, 3.0, 0.0)
@example(2.0, 3.0, 1.0)
def test_the_incomplete_beta_function_equals_scipy(a, b, x):
    assert incomplete_beta(a, b, x) == pytest.approx(scipy.special.betainc(a, b, x), rel=1e-8, abs=1e-12)


def test_tails_and_normal_functions_equal_scipy():
    assert student_tail(2.5, 7) == pytest.approx(scipy.stats.t.sf(2.5, 7), rel=1e-12)
    assert normal_cdf(-1.3) == pytest.approx(scipy.stats.norm.cdf(-1.3), rel=1e-12)
    assert normal_quantile(0.975) == pytest.approx(scipy.stats.norm.ppf(0.975), rel=1e-12)


@pytest.mark.parametrize(
    ("counts", "tail", "low", "high", "digits"),
    [
        # Bentur et al. 2009 and Cavo et al. 2012, as printed by R's contingencytables (Fagerland, Lydersen, Laake).
        ((1, 7, 21), 0.025, -0.517, -0.026, 3),
        ((6, 16, 161), 0.025, -0.1240, -0.0054, 4),
        # R's PropCIs::scoreci.mp(25, 28, 618) at 90 %, its estimate being (28 - 25)/618.
        ((28, 25, 618), 0.05, -0.0148, 0.0247, 4),
    ],
)
def test_tango_gives_the_published_intervals(counts, tail, low, high, digits):
    interval = tango(Discordant(*counts), tail)
    assert round(interval.low, digits) == low
    assert round(interval.high, digits) == high


def slow_tango_score(gained: int, lost: int, n: int, delta: float) -> float:
    """The score statistic with the nuisance parameter found by maximising the likelihood numerically."""

    def unlikely(q):
        p = q + delta
        rest = 1 - p - q
        terms = [(gained, p), (lost, q), (n - gained - lost, rest)]
        return -sum(k * math.log(max(v, 1e-300)) for k, v in terms if k)

    low, high = max(0.0, -delta), (1 - delta) / 2
    found = scipy.optimize.minimize_scalar(
        unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-12}
    )
    return (gained - lost - n * delta) / math.sqrt(n * (2 * found.x + delta - delta**2))


@pytest.mark.parametrize(
    ("gained", "lost", "n"), [(1, 7, 21), (16, 6, 161), (50, 31, 900), (3, 9, 40), (40, 20, 160)]
)
def test_at_tangos_bounds_an_independent_score_test_just_rejects(gained, lost, n):
    interval = tango(Discordant(gained, lost, n), 0.05)
    z = scipy.stats.norm.ppf(0.95)
    assert slow_tango_score(gained, lost, n, interval.low) == pytest.approx(z, abs=2e-4)
    assert slow_tango_score(gained, lost, n, interval.high) == pytest.approx(-z, abs=2e-4)


@settings(deadline=None)
@given(
    st.integers(0, 60), st.integers(0, 60), st.integers(0, 300), st.sampled_from([0.005, 0.025, 0.05, 0.1])
)
def test_tangos_interval_holds_its_estimate_has_width_and_mirrors(gained, lost, rest, tail):
    n = max(1, gained + lost + rest)
    pairs = Discordant(gained, lost, n)
    interval = tango(pairs, tail)
    other = tango(Discordant(lost, gained, n), tail)
    assert -1 <= interval.low <= pairs.difference <= interval.high <= 1
    assert interval.high - interval.low > 0
    assert interval.low == pytest.approx(-other.high, abs=1e-9)


def test_without_discordant_pairs_tangos_bounds_are_those_of_no_event():
    z2 = scipy.stats.norm.ppf(0.95) ** 2
    interval = tango(Discordant(0, 0, 300), 0.05)
    assert interval.high == pytest.approx(z2 / (300 + z2), rel=1e-9)
    assert interval.low == pytest.approx(-z2 / (300 + z2), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 500), st.data(), st.sampled_from([0.005, 0.025, 0.05]))
def test_wilson_equals_statsmodels(n, draw, tail):
    k = draw.draw(st.integers(0, n))
    low, high = proportion_confint(k, n, alpha=2 * tail, method="wilson")
    interval = wilson(k, n, tail)
    assert interval.low == pytest.approx(low, abs=1e-12)
    assert interval.high == pytest.approx(high, abs=1e-12)


def test_nothing_in_thirty_reads_at_most_nine_and_a_half_percent():
    assert round(zero_event_bound(30, 0.05), 3) == 0.095
    assert share_interval(0, 30, 0.05).high == pytest.approx(1 - 0.05 ** (1 / 30))
    assert share_interval(30, 30, 0.05).low == pytest.approx(0.05 ** (1 / 30))


def test_at_the_edges_the_wider_bound_is_taken():
    # For two-sided 95 % and small n Wilson's bound at zero events is the wider one.
    for n in (1, 3, 30, 300):
        for tail in (0.005, 0.025, 0.05, 0.1):
            assert share_interval(0, n, tail).high >= max(wilson(0, n, tail).high, zero_event_bound(n, tail))
            assert share_interval(0, n, tail).low == 0.0
    assert share_interval(7, 30, 0.05) == wilson(7, 30, 0.05)


@pytest.mark.parametrize(
    ("gained", "lost"), [(0, 0), (1, 0), (0, 6), (6, 16), (50, 31), (400, 500), (7, 7), (8, 7)]
)
def test_exact_mcnemar_equals_statsmodels(gained, lost):
    expected = statsmodels_mcnemar([[5, gained], [lost, 5]], exact=True).pvalue
    assert mcnemar(gained, lost) == pytest.approx(float(expected) if gained + lost else 1.0, rel=1e-9)


def test_exact_mcnemar_gives_the_published_value():
    assert round(mcnemar(6, 16), 6) == 0.052479


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=3, max_size=60), st.randoms(use_true_random=False))
def test_clustered_errors_equal_statsmodels_and_plain_ones_scipy(values, random):
    data = np.array(values)
    if np.ptp(data) < 1e-6:
        return
    plain = mean(data)
    assert plain.value == pytest.approx(float(np.mean(data)), abs=1e-12)
    assert plain.se == pytest.approx(float(scipy.stats.sem(data)), rel=1e-9)
    low, high = scipy.stats.t.interval(0.9, len(data) - 1, np.mean(data), scipy.stats.sem(data))
    interval = plain.interval(0.05)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-9)
    groups = [random.randrange(max(2, len(data) // 3)) for _ in data]
    groups[:2] = [0, 1]
    clustered = mean(data, [str(g) for g in groups])
    fit = sm.OLS(data, np.ones(len(data))).fit(
        cov_type="cluster", cov_kwds={"groups": np.array(groups), "use_correction": False}
    )
    n_groups = len(set(groups))
    expected = float(fit.bse[0]) * math.sqrt(n_groups / (n_groups - 1))
    assert clustered.se == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert clustered.n_clusters == n_groups


def test_one_case_one_cluster_or_equal_scores_claim_no_certainty():
    assert mean(np.array([0.7])).interval(0.05) is None
    assert mean(np.array([0.1, 0.9, 0.4]), ["a", "a", "a"]).interval(0.05) is None
    same = mean(np.array([0.1 + 0.2] * 50))
    assert same.interval(0.05) is None
    assert not same.knows_its_error


def test_sample_sizes_equal_the_check_values():
    assert sample_size(Noise(1 / 9), 0.03, alpha=0.025) == 969
    one_sided = [sample_size(Noise(0.25**2), margin, alpha=0.05) for margin in (0.01, 0.02, 0.03, 0.05)]
    assert one_sided == [3865, 967, 430, 155]
    for repeats, points in ((1, 13.27), (10, 7.57)):
        noise = Noise(1 / 9, 1 / 6, 1 / 6, repeats, repeats)
        assert round(100 * detectable_difference(noise, 198, alpha=0.025), 2) == points
