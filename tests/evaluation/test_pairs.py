"""All ordered pairs of four real models: verdicts and bounds of the same tests by scipy and statsmodels."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.weightstats import DescrStatsW

from assent.evaluation.domain.gate import Direction, Gate, Rule, Sample, judge

GSM8K = Path(__file__).parents[3] / "shared" / "data" / "gsm8k" / "example_model_solutions.jsonl"
MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
PAIRS = list(itertools.permutations(MODELS, 2))
LIMITS = (0.005, 0.02, 0.1, 0.15, 0.25)
ALPHA = 0.05
pytestmark = pytest.mark.skipif(not GSM8K.exists(), reason="../shared/data/gsm8k is not here")


@pytest.fixture(scope="module")
def right():
    rows = [json.loads(line) for line in GSM8K.read_text().splitlines()]
    return {name: np.array([float(row[name]["is_correct"]) for row in rows]) for name in MODELS}


def gates():
    for rule, direction, limit in itertools.product(Rule, Direction, LIMITS):
        if rule is Rule.NON_INFERIOR or (rule is Rule.SUPERIOR and limit == LIMITS[0]):
            yield Gate("correct", rule, direction, limit, ALPHA, "live")


def expected_verdict(gate, low, high):
    sign = 1 if gate.direction is Direction.HIGHER else -1
    low, high = (low, high) if sign > 0 else (-high, -low)
    bar = -gate.limit if gate.rule is Rule.NON_INFERIOR else 0.0
    return "pass" if low > bar else "fail" if high < bar else "inconclusive"


def score_bounds(gained, lost, n):
    """Invert the score test of two paired shares by scipy's root finder; the nuisance share by its optimum."""

    def statistic(delta):
        # The likelihood is largest where q (lost only) solves its score equation; found, not written down.
        def slope(q):
            p = q + delta
            return gained / p + lost / q - 2 * (n - gained - lost) / (1 - p - q)

        low, high = max(0.0, -delta), (1 - delta) / 2
        edge = 1e-9 * (high - low)
        q = scipy.optimize.brentq(slope, low + edge, high - edge, xtol=1e-16, rtol=8.9e-16)
        return (gained - lost - n * delta) / math.sqrt(n * (2 * q + delta - delta**2))

    z = scipy.stats.norm.ppf(1 - ALPHA)
    at = (gained - lost) / n
    return (
        scipy.optimize.brentq(lambda d: statistic(d) - z, -0.999, at, xtol=1e-13),
        scipy.optimize.brentq(lambda d: statistic(d) + z, at, 0.999, xtol=1e-13),
    )


@pytest.mark.parametrize(("candidate", "baseline"), PAIRS)
def test_paired_shares_get_the_bounds_and_verdicts_of_scipys_score_test(candidate, baseline, right):
    a, b = right[candidate], right[baseline]
    gained, lost, n = int(np.sum(a > b)), int(np.sum(a < b)), len(a)
    low, high = score_bounds(gained, lost, n)
    table = [[int(np.sum((a == 1) & (b == 1))), gained], [lost, int(np.sum((a == 0) & (b == 0)))]]
    verdicts = set()
    for gate in gates():
        said = judge(gate, Sample(a, b, None, binary=True))
        assert said.estimate == pytest.approx(float(np.mean(a) - np.mean(b)), abs=1e-9)
        assert (said.interval.low, said.interval.high) == (
            pytest.approx(low, abs=1e-9),
            pytest.approx(high, abs=1e-9),
        )
        assert said.p_value == pytest.approx(float(statsmodels_mcnemar(table, exact=True).pvalue), rel=1e-9)
        assert said.verdict == expected_verdict(gate, low, high)
        verdicts.add(str(said.verdict))
    assert {"pass", "fail"} <= verdicts


@pytest.mark.parametrize(("candidate", "baseline"), PAIRS)
def test_differences_of_scores_get_the_bounds_and_verdicts_of_statsmodels_t_test(candidate, baseline, right):
    a, b = right[candidate], right[baseline]
    reference = DescrStatsW(a - b)
    low, high = reference.tconfint_mean(alpha=2 * ALPHA)
    scipys = scipy.stats.ttest_1samp(a - b, 0.0).confidence_interval(1 - 2 * ALPHA)
    assert (scipys.low, scipys.high) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))
    for gate in gates():
        said = judge(gate, Sample(a, b, None, binary=False))
        assert said.estimate == pytest.approx(float(reference.mean), abs=1e-9)
        assert (said.interval.low, said.interval.high) == (
            pytest.approx(low, abs=1e-9),
            pytest.approx(high, abs=1e-9),
        )
        assert said.verdict == expected_verdict(gate, low, high)
        bar = -gate.limit if gate.rule is Rule.NON_INFERIOR else 0.0
        sign = 1 if gate.direction is Direction.HIGHER else -1
        _, p_pass, _ = DescrStatsW(sign * (a - b)).ttest_mean(bar, alternative="larger")
        assert (said.verdict == "pass") is bool(p_pass < ALPHA)
