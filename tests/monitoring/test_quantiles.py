import math
import random
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaln
from ville import QuantileCS

from assent.monitoring.domain.quantiles import Ranks, quantile_gap, quantile_interval, quantile_ranks


def slow_ranks(n: int, share: float, alpha: float, best_at: int) -> Ranks:
    """Every possible count, by scipy's beta function."""
    strength = best_at / (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha)))
    a, b = share * strength, (1 - share) * strength
    below = np.arange(n + 1)
    log_e = betaln(a + below, b + n - below) - betaln(a, b)
    log_e -= below * math.log(share) + (n - below) * math.log(1 - share)
    kept = below[log_e < -math.log(alpha)]
    return Ranks(int(kept.min()), int(kept.max()) + 1)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95, 0.99])
@pytest.mark.parametrize("n", [0, 1, 2, 19, 100, 1_000, 4_321])
@pytest.mark.parametrize(("alpha", "best_at"), [(0.05, 1_000), (0.01, 50)])
def test_the_ranks_are_the_ends_of_every_count_that_the_bet_allows(n, share, alpha, best_at):
    assert quantile_ranks(n, share, alpha, best_at=best_at) == slow_ranks(n, share, alpha, best_at)


def test_the_bet_is_fair_on_every_path():
    # In exact arithmetic: the mean over all counts of B(a+S, b+n-S)/B(a,b) / (p^S q^(n-S)) is 1.
    a, b, p, n = 3, 2, Fraction(3, 5), 8

    def rising(x: int, k: int) -> int:
        return math.prod(range(x, x + k))

    total = sum(
        math.comb(n, s)
        * p**s
        * (1 - p) ** (n - s)
        * (Fraction(rising(a, s) * rising(b, n - s), rising(a + b, n)) / (p**s * (1 - p) ** (n - s)))
        for s in range(n + 1)
    )
    assert total == 1


def test_the_interval_is_no_wider_than_another_librarys_for_the_95th_percentile():
    values = np.random.default_rng(2).lognormal(size=3_000)
    theirs = QuantileCS(0.95, alpha=0.05, t_opt=1_000, intersect=False).fit(values)
    ours = quantile_interval(Counter(values.tolist()), 0.95, 0.05)
    assert ours.value == theirs.estimate_[-1]
    assert theirs.lower_[-1] <= ours.low < ours.value < ours.high <= theirs.upper_[-1]


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60), st.floats(0.01, 0.99))
def test_ends_are_order_statistics(values, share):
    got = quantile_interval(Counter(map(float, values)), share, 0.3, best_at=20)
    ranks = quantile_ranks(len(values), share, 0.3, best_at=20)
    line = [-math.inf, *sorted(values), math.inf]
    assert (got.low, got.high, got.n) == (line[ranks.low], line[ranks.high], len(values))
    assert got.value == line[math.ceil(share * len(values))]
    assert got.low <= got.value <= got.high


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_the_true_quantile_is_left_by_few_runs_at_any_look_though_values_tie(share):
    rng = random.Random(8)
    truth = math.ceil(share * 10)  # values 1..10, equally often
    left = 0
    for _ in range(150):
        counts: Counter[float] = Counter()
        missed = False
        for _ in range(40):
            counts.update(rng.randint(1, 10) for _ in range(10))
            got = quantile_interval(counts, share, 0.05, best_at=200)
            missed |= not got.low <= truth <= got.high
        left += missed
    assert left <= 150 * 0.05


def test_without_values_nothing_is_known():
    got = quantile_interval({1.0: 0}, 0.5, 0.05)
    assert math.isnan(got.value)
    assert (got.low, got.high, got.n) == (-math.inf, math.inf, 0)


def test_a_slower_arm_shows_in_the_gap():
    rng = np.random.default_rng(3)
    fast, slow = (Counter((rng.lognormal(size=4_000) * scale).tolist()) for scale in (1.0, 1.5))
    gap = quantile_gap(fast, slow, 0.95, 0.05)
    assert 0 < gap.low < gap.value < gap.high
    assert gap.n == 4_000
    same = quantile_gap(fast, fast, 0.95, 0.05)
    assert same.low < same.value == 0 < same.high


@pytest.mark.parametrize(
    ("n", "share", "alpha"), [(-1, 0.5, 0.05), (1, 0.0, 0.05), (1, 1.0, 0.05), (1, 0.5, 0.0)]
)
def test_what_cannot_be_is_refused(n, share, alpha):
    with pytest.raises(ValueError, match="needs n"):
        quantile_ranks(n, share, alpha)
