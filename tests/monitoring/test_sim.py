"""A fast form of `make sim`, and what makes its figures those of the product."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import betabinom, mannwhitneyu, norm
from statsmodels.stats.proportion import proportions_ztest

from assent.monitoring.domain import eprocess, proof, scores
from assent.monitoring.domain.detector import Detector, advance, stake_of
from assent.monitoring.domain.intervals import wilson
from benchmarks.sim import cells, traffic, watches
from benchmarks.sim.others import HOUR, fixed_threshold, mann_whitney, peeking_z
from benchmarks.sim.process import Arm, Product, Runs
from benchmarks.sim.proofs import Proofs, prove
from benchmarks.sim.traffic import Counts, Traffic

PAIRS = st.lists(st.tuples(st.integers(0, 256), st.integers(0, 30)), max_size=4)
SETTINGS = {(cell.name, cell.per_minute, cell.base): cell for cell in cells.cells()}
QUIET = Counts(np.zeros((1, 1440), int), np.zeros((1, 1440), int))


def arm(pairs) -> Arm:
    histogram = scores.tally(pairs)
    levels = [level for level, n in histogram.counts if 0 < level < 256 for _ in range(n)]
    whole = dict(histogram.counts).get(256, 0)
    return Arm(np.array([histogram.n]), np.array([whole]), np.zeros(len(levels), int), np.array(levels, int))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(PAIRS, PAIRS), max_size=6))
def test_the_vectors_equal_the_products_own_process(blocks):
    runs, product, process = Runs(1), Product(0), eprocess.Process()
    for canary, stable in blocks:
        runs.advance(arm(canary), arm(stable))
        log_e = product.advance(arm(canary), arm(stable))
        process = eprocess.advance(process, scores.Block(scores.tally(canary), scores.tally(stable)))
        assert product.process == process
        assert float(runs.log_e(0)) == pytest.approx(log_e, rel=1e-9, abs=1e-9)
        for log_limit in (log_e - 1e-6, log_e + 1e-6):
            assert runs.reached(log_limit)[0] == (log_e > log_limit)


@pytest.mark.parametrize(
    ("name", "per_minute", "base"),
    [
        ("no difference", 200, 0.005),
        ("ramp 1 to 50 %, drift", 200, 0.01),
        ("shared outage", 20, 0.01),
        ("sticky, 30 calls in 30 min", 200, 0.01),
    ],
)
def test_harmless_canaries_are_kept_where_peeking_rolls_them_back(name, per_minute, base):
    tally = cells.simulate(SETTINGS[name, per_minute, base], (20261126, 0), 150, 1)
    shares = tally.shares()
    assert tally.n_product == 1
    assert tally.gap < 1e-9
    assert shares["assent"][1] <= cells.ALPHA
    assert shares["peeking z"][0] > 0.2
    assert shares["fixed 0"][0] > 0.9


BITS = st.lists(st.tuples(*[st.integers(0, 20)] * 4), max_size=5)


@settings(max_examples=25, deadline=None)
@given(BITS, st.sampled_from(["0.005", "0.05"]))
def test_the_vectors_of_proofs_equal_the_products(blocks, margin):
    proofs, product = Proofs(1, float(margin)), proof.Proof(Decimal(margin))
    for good_c, bad_c, good_s, bad_s in blocks:
        canary, stable = [(0, good_c), (256, bad_c)], [(0, good_s), (256, bad_s)]
        proofs.advance(arm(canary), arm(stable))
        product = proof.advance(product, scores.Block(scores.tally(canary), scores.tally(stable)))
        want = float(eprocess.ARITHMETIC.ln(product.factor))
        assert float(proofs.log_e[0]) == pytest.approx(want, rel=1e-9, abs=1e-9)


def test_a_margin_that_is_not_kept_is_hardly_ever_proven():
    one = prove((0.01, 0.01, 200), (20261126, 0), 60)
    assert wilson(one.falsely, one.runs, 0.05).low <= 0.05
    assert one.rightly > 50


def test_harm_is_found_soon():
    one = cells.delay(0.01, 0.05, 20, (20261126, 0), 300)
    assert one.found == 1
    assert one.bound == pytest.approx(79.99, abs=0.5)
    assert one.ratio < 1.8
    assert one.mean < one.p95


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=8))
def test_the_vectors_of_watches_equal_the_products(blocks):
    runs, product, stake = watches.Detectors(1, 0.013), Detector(), stake_of(60)
    for block, (bad, good) in enumerate(blocks):
        runs.advance(np.array([bad + good]), np.array([bad]))
        histogram = scores.tally([(256, bad), (0, good)])
        product = advance(product, histogram, Decimal("0.013"), block, stake)
        want = float(eprocess.ARITHMETIC.ln(product.value)) if product.value else -np.inf
        assert float(runs.log_days()[0]) == pytest.approx(want, rel=1e-9, abs=1e-9)


def test_a_rise_is_found_after_quiet_days():
    one = watches.rise(0.01, 0.05, 20, (20261126, 0), 100)
    assert one.limit == pytest.approx(0.01335, abs=1e-4)
    assert one.found == 1
    assert one.ratio < 1.8
    assert one.mean < one.p95


def test_days_to_an_alarm_are_counted_to_the_end(monkeypatch):
    monkeypatch.setattr(watches, "LONGEST_DAYS", 1)
    quiet = watches.quiet(("as the reference", 20, 0.01), (20261126, 0), 20)
    assert (quiet.mean, quiet.ended, quiet.error) == (1.0, 1.0, 0.0)
    monkeypatch.setattr(watches, "PROMISED_DAYS", 1e-9)
    assert watches.quiet(("at the limit", 20, 0.01), (20261126, 0), 20).mean < 0.01


def test_sticky_users_fail_as_a_beta_mixture_says():
    for rate in (0.005, 0.01):
        want = betabinom.pmf(range(31), 30, rate * 4, (1 - rate) * 4)
        assert traffic.bad_calls(rate) == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("spread", [1, 30, 480])
def test_sticky_traffic_has_the_rate_it_should_in_calls_and_in_scores(spread):
    drawn = traffic.sticky_users(np.random.default_rng(1), 40, 200, 0.05, spread)
    assert drawn.stable.bad.sum() / drawn.stable.n.sum() == pytest.approx(0.05, rel=0.05)
    n = badness = 0
    for _, stable in drawn.blocks():
        n += stable.n.sum()
        badness += stable.badness().sum()
    assert badness / 256 / n == pytest.approx(0.05, rel=0.05)
    assert n / 40 / 1440 == pytest.approx(200 * 0.95 / 30, rel=0.02)


def counts(rng, n_runs: int, n: int, rate: float) -> Counts:
    calls = rng.poisson(n, (n_runs, 1440))
    return Counts(calls, rng.binomial(calls, rate))


def test_mann_whitney_equals_scipys():
    rng = np.random.default_rng(3)
    canary, baseline = counts(rng, 20, 10, 0.06), counts(rng, 20, 10, 0.05)
    got = mann_whitney(Traffic(canary, QUIET, baseline, iter, units_are_calls=True))
    rates = [(c.bad / np.maximum(c.n, 1)).reshape(-1, HOUR) for c in (canary, baseline)]
    want = mannwhitneyu(*rates, axis=1, method="asymptotic", use_continuity=False, alternative="greater")
    assert got.tolist() == (want.pvalue < 0.01).reshape(20, -1).any(axis=1).tolist()
    assert 0 < got.sum() < 20


def test_peeking_z_equals_statsmodels():
    rng = np.random.default_rng(4)
    canary, stable = counts(rng, 4, 10, 0.05), counts(rng, 4, 190, 0.05)
    got = peeking_z(Traffic(canary, stable, QUIET, iter, units_are_calls=True), every=360)
    for run in range(4):
        ends = (360, 720, 1080, 1440)
        p_values = [
            proportions_ztest(
                [arm.bad[run, :end].sum() for arm in (canary, stable)],
                [arm.n[run, :end].sum() for arm in (canary, stable)],
                alternative="larger",
            )[1]
            for end in ends
        ]
        assert got[run] == (min(p_values) < norm.sf(norm.isf(0.05)))


def test_a_fixed_threshold_counts_failed_checks():
    bad = np.zeros((1, 1440), int)
    bad[0, :50:10] = 1  # five checks of five minutes with one bad call in fifty
    watched = Traffic(Counts(np.full((1, 1440), 10), bad), QUIET, QUIET, iter, units_are_calls=True)
    assert fixed_threshold(watched, 0.019, 4).tolist() == [True]
    assert fixed_threshold(watched, 0.019, 5).tolist() == [False]
    assert fixed_threshold(watched, 0.02, 0).tolist() == [False]
