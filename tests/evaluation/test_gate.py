"""Verdicts: three of them, decided by intervals, honest at the edges."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.evaluation.domain.gate import Direction, Gate, Rule, Sample, Verdict, judge
from assent.evaluation.domain.proportions import Discordant, tango

GSM8K = Path(__file__).parents[3] / "shared" / "data" / "gsm8k" / "example_model_solutions.jsonl"


def gate(rule="non_inferior", limit=0.02, direction="higher", alpha=0.05):
    return Gate("correct", Rule(rule), Direction(direction), limit, alpha, "live")


def pairs(gained, lost, both, neither):
    candidate = [1.0] * gained + [0.0] * lost + [1.0] * both + [0.0] * neither
    baseline = [0.0] * gained + [1.0] * lost + [1.0] * both + [0.0] * neither
    return Sample(np.array(candidate), np.array(baseline), None, binary=True)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 400), st.sampled_from([0.01, 0.02, 0.05, 0.1]))
def test_a_binary_verdict_is_read_off_tangos_interval(gained, lost, both, margin):
    said = judge(gate(limit=margin), pairs(gained, lost, both, 0))
    interval = tango(Discordant(gained, lost, gained + lost + both), 0.05)
    expected = "pass" if interval.low > -margin else "fail" if interval.high < -margin else "inconclusive"
    assert said.verdict == expected
    assert said.method == "tango"


def test_the_same_answers_pass_only_with_enough_of_them():
    few, many = judge(gate(limit=0.02), pairs(0, 0, 100, 0)), judge(gate(limit=0.02), pairs(0, 0, 135, 0))
    assert few.verdict == "inconclusive"
    assert many.verdict == "pass"
    assert few.interval.high - few.interval.low > 0
    assert few.n + few.more_samples == pytest.approx(133, abs=1)


def test_so_many_more_samples_would_decide():
    undecided = judge(gate(limit=0.02), pairs(15, 17, 200, 100))
    assert undecided.verdict == "inconclusive"
    scale = (undecided.n + undecided.more_samples) / undecided.n
    interval = tango(Discordant(15 * scale, 17 * scale, undecided.n * scale), 0.05)
    assert interval.low > -0.02
    before = (undecided.n + undecided.more_samples - 1) / undecided.n
    assert tango(Discordant(15 * before, 17 * before, undecided.n * before), 0.05).low <= -0.02


def test_a_difference_that_equals_the_margin_is_decided_by_no_number():
    said = judge(gate(limit=0.02), pairs(0, 2, 98, 0))
    assert said.verdict == "inconclusive"
    assert said.more_samples is None


def test_where_lower_is_better_the_same_data_turn_the_verdict():
    harmful = pairs(40, 2, 5, 153)
    assert judge(gate(direction="higher"), harmful).verdict == "pass"
    assert judge(gate(direction="lower"), harmful).verdict == "fail"


def test_superiority_asks_for_a_bound_above_zero():
    assert judge(gate("superior"), pairs(30, 5, 100, 100)).verdict == "pass"
    assert judge(gate("superior"), pairs(6, 5, 100, 100)).verdict == "inconclusive"
    assert judge(gate("superior"), pairs(5, 30, 100, 100)).verdict == "fail"


def test_a_threshold_is_judged_by_its_bound_and_not_by_the_share():
    def level(k, n, **how):
        return judge(
            gate("threshold", **how), Sample(np.array([1.0] * k + [0.0] * (n - k)), None, None, binary=True)
        )

    assert level(95, 100, limit=0.9).verdict == "pass"
    assert level(92, 100, limit=0.9).verdict == "inconclusive"
    assert level(50, 100, limit=0.9).verdict == "fail"
    nothing = level(0, 30, limit=0.05, direction="lower")
    assert nothing.verdict == "inconclusive"
    assert nothing.interval.high == pytest.approx(0.095, abs=5e-4)
    assert level(0, 59, limit=0.05, direction="lower").verdict == "pass"
    assert level(30, 30, limit=0.95).verdict == "inconclusive"


def test_a_threshold_met_exactly_by_the_bound_is_met():
    said = judge(gate("threshold", limit=0.0), Sample(np.zeros(40), None, None, binary=True))
    assert said.verdict == "pass"


def test_graded_scores_use_students_interval_and_need_thirty_clusters():
    rng = np.random.default_rng(7)
    baseline = rng.uniform(0.3, 0.7, 400)
    better, worse = baseline + rng.normal(0.02, 0.05, 400), baseline - rng.normal(0.2, 0.05, 400)
    assert judge(gate(), Sample(better, baseline, None, binary=False)).verdict == "pass"
    assert judge(gate(), Sample(worse, baseline, None, binary=False)).verdict == "fail"
    few = judge(gate(), Sample(better[:29], baseline[:29], None, binary=False))
    assert few.verdict == "inconclusive"
    assert few.more_samples == 1
    near = judge(
        gate(limit=0.001), Sample(baseline + rng.normal(0.0, 0.2, 400), baseline, None, binary=False)
    )
    assert near.verdict == "inconclusive"
    assert near.more_samples is None or near.more_samples > 0
    flat = judge(gate(), Sample(baseline, baseline, None, binary=False))
    assert flat.verdict == "inconclusive"
    assert flat.interval is None


def test_clusters_take_the_place_of_cases_even_for_right_or_wrong():
    sample = pairs(0, 0, 400, 0)
    in_two = Sample(sample.candidate, sample.baseline, ["a", "b"] * 200, binary=True)
    assert judge(gate(), in_two).verdict == "inconclusive"
    rng = np.random.default_rng(3)
    noisy = Sample(
        rng.integers(0, 2, 400) * 1.0, np.ones(400), [str(i // 4) for i in range(400)], binary=True
    )
    said = judge(gate(), noisy)
    assert (said.method, said.verdict) == ("student", "fail")


def test_a_graded_level_is_judged_too():
    rng = np.random.default_rng(5)
    said = judge(gate("threshold", limit=0.5), Sample(rng.uniform(0.6, 0.9, 50), None, None, binary=False))
    assert (said.method, said.verdict) == ("student", "pass")


def test_without_cases_or_baseline_nothing_is_decided():
    empty = judge(gate(), Sample(np.array([]), np.array([]), None, binary=True))
    assert (empty.verdict, empty.n) == (Verdict.INCONCLUSIVE, 0)
    alone = judge(gate(), Sample(np.ones(50), None, None, binary=True))
    assert alone.verdict == "inconclusive"
    assert "no baseline" in alone.reasons[0]


def test_real_models_get_the_verdicts_of_an_independent_score_test():
    if not GSM8K.exists():
        pytest.skip("../shared/data/gsm8k is not here")
    rows = [json.loads(line) for line in GSM8K.read_text().splitlines()]
    names = ["6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"]
    right = {name: np.array([float(row[name]["is_correct"]) for row in rows]) for name in names}
    for candidate in names:
        for baseline in set(names) - {candidate}:
            said = judge(gate(limit=0.02), Sample(right[candidate], right[baseline], None, binary=True))
            gained = int(np.sum(right[candidate] > right[baseline]))
            lost = int(np.sum(right[candidate] < right[baseline]))
            grid = np.linspace(-1, 1, 400_001)[1:-1]
            n = len(rows)
            linear = (2 * n - gained + lost) * grid - gained - lost
            share = (np.sqrt(linear**2 + 8 * n * lost * grid * (1 - grid)) - linear) / (4 * n)
            score = (gained - lost - n * grid) / np.sqrt(n * (2 * share + grid * (1 - grid)))
            kept = grid[np.abs(score) <= 1.6448536269514722]
            assert said.interval.low == pytest.approx(kept[0], abs=1e-5)
            assert said.interval.high == pytest.approx(kept[-1], abs=1e-5)
            expected = "pass" if kept[0] > -0.02 else "fail" if kept[-1] < -0.02 else "inconclusive"
            assert said.verdict == expected
