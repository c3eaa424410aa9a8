import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from statsmodels.stats.power import NormalIndPower

from assent.monitoring.domain.difference import Moments, Stratum, moments
from assent.monitoring.domain.group_sequential import (
    GroupPlan,
    crossing_chance,
    obrien_fleming,
    planned_units,
    planned_verdict,
)

ONCE = NormalDist().inv_cdf(0.975)


@pytest.mark.parametrize(
    ("looks", "constant"), [(1, 1.960), (2, 1.977), (5, 2.040), (10, 2.087), (20, 2.126)]
)
def test_the_bounds_have_the_published_constants(looks, constant):
    bounds = obrien_fleming(looks)
    assert bounds[-1] == pytest.approx(constant, abs=6e-4)
    assert [bound * math.sqrt((k + 1) / looks) for k, bound in enumerate(bounds)] == pytest.approx(
        [bounds[-1]] * looks
    )


@pytest.mark.parametrize(("looks", "chance"), [(1, 0.05), (5, 0.142), (20, 0.248), (100, 0.374)])
def test_repeated_tests_at_5_percent_are_false_as_often_as_published(looks, chance):
    assert crossing_chance([ONCE] * looks) == pytest.approx(chance, abs=5e-4)


@pytest.mark.parametrize(
    ("bounds", "drift"),
    [
        ([2.0, 2.5, 2.2], 0.0),
        ([2.0, 2.5, 2.2], 1.3),
        ([3.0, 3.0 / math.sqrt(2)], 2.0),
        ([1.5, 1.5, 1.5 * 0.8], -0.7),
    ],
)
def test_the_chance_equals_that_of_a_normal_box(bounds, drift):
    times = np.arange(1, len(bounds) + 1) / len(bounds)
    covariance = np.minimum.outer(times, times) / np.sqrt(np.outer(times, times))
    box = multivariate_normal(drift * np.sqrt(times), covariance, abseps=1e-9, releps=1e-9)
    inside = box.cdf(np.array(bounds), lower_limit=-np.array(bounds), rng=np.random.default_rng(1))
    assert crossing_chance(bounds, drift) == pytest.approx(1 - inside, abs=2e-6)


def test_bounds_whose_edges_change_and_then_stay_equal_the_normal_box_too():
    edges = np.array([1.0, 1.4, 1.4, 1.4, 1.2])  # of W at information k/5
    times = np.arange(1, 6) / 5
    bounds = edges / np.sqrt(times)
    box = multivariate_normal(np.zeros(5), np.minimum.outer(times, times), maxpts=2_000_000, abseps=1e-6)
    inside = box.cdf(edges, lower_limit=-edges, rng=np.random.default_rng(1))
    assert crossing_chance(bounds.tolist()) == pytest.approx(1 - inside, abs=2e-5)


def test_one_look_needs_the_units_of_a_z_test():
    got = planned_units(0.02, 0.2, GroupPlan(units=1, looks=1), power=0.8, share=0.25)
    treatment = NormalIndPower().solve_power(effect_size=0.1, alpha=0.05, power=0.8, ratio=3)
    assert got == math.ceil(4 * treatment)


@pytest.mark.parametrize(("looks", "more"), [(2, 1.008), (5, 1.028), (10, 1.040), (20, 1.047)])
def test_looks_cost_few_units(looks, more):
    # Jennison, Turnbull (2000), table 2.4, power .8
    once, often = (
        planned_units(0.01, 0.5, GroupPlan(units=100, looks=k), power=0.8, share=0.5) for k in (1, looks)
    )
    assert often / once == pytest.approx(more, abs=6e-4)


def blocks(rng, n_blocks: int, n: int, rates) -> list[Stratum]:
    bad = (rng.binomial(n, rate, n_blocks) for rate in rates)
    return [Stratum(Moments(n, c, c), Moments(n, t, t)) for c, t in zip(*bad, strict=True)]


def test_a_planned_experiment_errs_and_finds_as_often_as_it_says():
    rng = np.random.default_rng(12)
    plan = GroupPlan(
        units=planned_units(0.05, 0.3, GroupPlan(units=5, looks=5), power=0.8, share=0.5), rate=True
    )
    n = plan.units // 40
    got = {}
    for name, rates in (("same", (0.1, 0.1)), ("better", (0.125, 0.075))):
        verdicts = [planned_verdict(blocks(rng, 21, n, rates), plan) for _ in range(150)]
        assert all(verdict.ended for verdict in verdicts)
        got[name] = [verdict.direction for verdict in verdicts]
    assert sum(map(abs, got["same"])) <= 150 * 0.08
    assert 150 * 0.72 <= -sum(got["better"]) <= 150 * 0.9


def test_looking_between_the_planned_looks_changes_nothing():
    rng = np.random.default_rng(9)
    drawn = blocks(rng, 60, 20, (0.1, 0.2))
    plan = GroupPlan(units=2_000, looks=4, rate=True)
    verdicts = [planned_verdict(drawn[:k], plan) for k in range(len(drawn) + 1)]
    last = verdicts[-1]
    assert last.ended
    for k, verdict in enumerate(verdicts):
        n = len(verdict.looks)
        assert verdict.looks == last.looks[:n]
        assert verdict.ended == (verdict.looks == last.looks)
        if n:
            assert verdict.looks[-1].n_control <= 20 * k
    assert [look.number for look in last.looks] == list(range(1, len(last.looks) + 1))
    assert last.direction == 1
    assert last.looks[-1].low > 0
    assert last.looks[-1].z == pytest.approx(
        last.looks[-1].estimate * last.looks[-1].bound / (last.looks[-1].high - last.looks[-1].estimate)
    )


def test_looks_that_fall_together_or_have_too_few_units_are_left_out():
    plan = GroupPlan(units=1_000, looks=5)
    small = Stratum(moments([0.0, 1.0] * 40), moments([0.0, 1.0] * 60))
    large = Stratum(moments([0.0, 1.0] * 250), moments([0.0, 1.0] * 250))
    first = planned_verdict([small], plan)
    assert (first.looks, first.direction, first.ended) == ((), 0, False)
    both = planned_verdict([small, large], plan)
    assert [look.number for look in both.looks] == [5]
    assert (both.direction, both.ended) == (0, True)
    worse = Stratum(moments([0.0, 1.0] * 250), moments([-1.0, 0.0] * 250))
    assert planned_verdict([small, worse], plan).direction == -1
    assert planned_verdict([], plan).ended is False
    never = Stratum(moments([1.0] * 500), moments([1.0] * 500))
    assert planned_verdict([never], plan).ended is True


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"units": 10, "looks": 0}, "looks"),
        ({"units": 4, "looks": 5}, "looks"),
        ({"units": 4_000, "looks": 101}, "looks"),
        ({"units": 10, "alpha": 0.0}, "alpha"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(plan, message):
    with pytest.raises(ValueError, match=message):
        GroupPlan(**plan)


@pytest.mark.parametrize(
    "change",
    [{"effect": 0.0}, {"deviation": 0.0}, {"power": 0.05}, {"power": 1.0}, {"share": 0.0}, {"share": 1.0}],
)
def test_units_for_what_cannot_be_are_refused(change):
    asked = {"effect": 0.1, "deviation": 1.0, "power": 0.8, "share": 0.5} | change
    with pytest.raises(ValueError, match="needs an effect"):
        planned_units(
            asked["effect"],
            asked["deviation"],
            GroupPlan(units=5),
            power=asked["power"],
            share=asked["share"],
        )
