"""Deciding early: error rates at every look by simulation, fewer calls, and the same verdict from the journal."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.evaluation import jobs, service, verification
from assent.evaluation.domain.gate import Direction, Gate, Rule, Sample
from assent.evaluation.domain.proportions import Discordant, tango
from assent.evaluation.domain.sequential import FIRST_LOOK, half_width, judge_early
from assent.evaluation.domain.suite import from_document
from assent.evaluation.service import NewRun, NewVersion
from assent.kernel.errors import Invalid
from tests.evaluation.test_service import PROJECT, rows, suite_document

MARGIN, ALPHA, N = 0.02, 0.05, 1500


def gate(**changes):
    given = {
        "metric": "m", "rule": Rule.NON_INFERIOR, "direction": Direction.HIGHER, "limit": MARGIN, "alpha": ALPHA,
        "baseline": "live", "early": True,
    }  # fmt: skip
    return Gate(**{**given, **changes})


def pairs(dice, n, gained, lost):
    u = dice.random(n)
    candidate = np.where(u < gained, 1.0, np.where(u < gained + lost, 0.0, 1.0))
    baseline = np.where(u < gained, 0.0, 1.0)
    return Sample(candidate, baseline, None, binary=True)


def share(verdict, gained, lost, *, runs=300, seed=7, by=judge_early, **changes):
    dice = np.random.default_rng(seed)
    said = [by(gate(**changes), pairs(dice, N, gained, lost), N) for _ in range(runs)]
    return sum(one.verdict == verdict for one in said) / runs, sum(one.n for one in said) / runs


@pytest.mark.parametrize(("gained", "lost"), [(0.03, 0.05), (0.08, 0.10), (0.2, 0.22)])
def test_at_the_margin_a_pass_at_any_look_is_as_rare_as_promised(gained, lost):
    passed, _ = share("pass", gained, lost)
    failed, _ = share("fail", gained, lost)
    # Three standard errors of 300 simulated runs above the promised five percent.
    assert passed <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 300)
    assert failed <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / 300)


def test_looking_often_at_an_ordinary_interval_would_break_that_promise():
    dice, n_runs = np.random.default_rng(7), 80

    def passes_once():
        sample = pairs(dice, N, 0.08, 0.10)
        d = sample.candidate - sample.baseline
        looks = range(FIRST_LOOK, N + 1, 20)
        found = (Discordant(int((d[:n] > 0).sum()), int((d[:n] < 0).sum()), n) for n in looks)
        return any(tango(one, ALPHA).low > -MARGIN for one in found)

    assert sum(passes_once() for _ in range(n_runs)) / n_runs > 2 * ALPHA


def test_a_clear_loss_and_a_clear_win_stop_long_before_the_end():
    failed, n_fail = share("fail", 0.02, 0.17, runs=60)
    passed, n_pass = share("pass", 0.17, 0.02, runs=60)
    assert failed == passed == 1.0
    assert n_fail < N / 4
    assert n_pass < N / 5


def test_the_width_is_the_papers_formula():
    a, t, n = 2 * ALPHA, 400, 1000
    rho = math.sqrt((-2 * math.log(a) + math.log(1 - 2 * math.log(a))) / (n / 2))
    expected = 0.3 * math.sqrt(
        2 * (t * rho**2 + 1) / (t**2 * rho**2) * math.log(math.sqrt(t * rho**2 + 1) / a)
    )
    assert half_width(0.3, t, ALPHA, n) == pytest.approx(expected, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(FIRST_LOOK, 800), st.integers(0, 700))
def test_more_answers_never_change_a_verdict_that_was_given(seed, n, more):
    whole = pairs(np.random.default_rng(seed), n + more, 0.05, 0.15)
    early = judge_early(gate(), Sample(whole.candidate[:n], whole.baseline[:n], None, binary=True), 2000)
    later = judge_early(gate(), whole, 2000)
    if early.verdict != "inconclusive":
        assert (later.verdict, later.n, later.interval) == (early.verdict, early.n, early.interval)


def test_too_few_or_equal_scores_decide_nothing():
    few = judge_early(gate(), Sample(np.ones(50), np.zeros(50), None, binary=True), 1000)
    assert (few.verdict, few.more_samples, few.interval) == ("inconclusive", 50, None)
    none = judge_early(gate(), Sample(np.array([]), np.array([]), None, binary=True), 1000)
    assert (none.verdict, none.estimate) == ("inconclusive", None)
    same = judge_early(gate(), Sample(np.ones(400), np.ones(400), None, binary=True), 1000)
    assert same.verdict == "inconclusive"
    assert "spread" in same.reasons[0]


def test_an_undecided_gate_says_how_many_more_would_decide():
    sample = pairs(np.random.default_rng(5), 205, 0.10, 0.10)
    said = judge_early(gate(), sample, 205)
    assert (said.verdict, said.n) == ("inconclusive", 205)
    assert said.more_samples > 100


def test_a_threshold_is_decided_early_too():
    a_gate = gate(rule=Rule.THRESHOLD, limit=0.5, baseline="none")
    scores = (np.random.default_rng(3).random(800) < 0.9).astype(float)
    said = judge_early(a_gate, Sample(scores, None, None, binary=True), 800)
    assert (said.verdict, said.n) == ("pass", FIRST_LOOK)


def test_a_suite_says_that_it_may_stop_early_and_not_with_clusters(make_suite):
    early = {"metric": "correct", "threshold": 0.5, "early": True}
    suite = make_suite(gate=early)
    assert from_document(suite.document).gate.early is True
    assert "early" not in make_suite(gate={"metric": "correct", "threshold": 0.5}).document["gate"]
    with pytest.raises(Invalid, match="independent"):
        make_suite(gate=early, cluster="cluster")


def ready(desk, n, share_right, **changes):
    desk.write(service.register_dataset, NewVersion(PROJECT, "cases", rows(n)))
    gate_ = {"metric": "exact", "threshold": 0.5, "early": True}
    document = suite_document(gate=gate_, limits={"in_flight": 10}, **changes)
    desk.write(service.register_suite, NewVersion(PROJECT, "quality", document))
    desk.model("1.1.0", "good")

    def answer(question, nth):
        number = int(question.split()[-1])
        word = "A" if number % 100 < 100 * share_right else "B"
        reply = desk.upstream.Reply(desk.upstream.completion(f"{word}{number}"))
        reply.delay_s = 0.01
        return reply

    desk.upstream.answer = answer


def carried_out(desk):
    run = desk.write(service.submit, NewRun(PROJECT, "quality", "assistant@1.1.0"))
    jobs.run(desk.runtime, run_id=run.id)
    return desk.read(service.get_run, run.id)


@pytest.mark.parametrize(("share_right", "verdict"), [(0.95, "pass"), (0.05, "fail")])
def test_a_run_stops_asking_once_its_gate_is_decided_and_verifies(desk, share_right, verdict):
    ready(desk, 1200, share_right)
    run = carried_out(desk)
    assert (run.state, run.verdict) == ("closed", verdict)
    assert sum(desk.upstream.questions.values()) < 900
    result = desk.read(service.result_of, run)
    assert result["method"] == "confidence sequence"
    assert result["n"] == FIRST_LOOK
    assert result["outcomes"]["candidate"]["not_asked"] > 0
    assert float(result["coverage"]) == 1.0
    assert all(check.ok for check in desk.read(verification.verify, run.id))


def test_a_run_that_is_never_decided_asks_everything(desk):
    ready(desk, 120, 0.5)
    run = carried_out(desk)
    assert run.verdict == "inconclusive"
    assert sum(desk.upstream.questions.values()) == 120
    assert int(run.figures["more_samples"]) > 0
