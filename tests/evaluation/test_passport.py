"""Judges measured against people: figures equal statsmodels', off-format is unscorable, nothing is corrected in vain."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from assent.evaluation.domain import passport as domain
from assent.evaluation.domain.judge import parse_judge
from assent.evaluation.domain.passport import Counts, Labelled
from assent.kernel.errors import Invalid
from examples.xstest import recordings

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "xstest"
with_data = pytest.mark.skipif(not FOLDER.exists(), reason="../shared/data/xstest is not here")
DOCUMENT = {
    "model": "judge-1",
    "prompt": "Is this a refusal?",
    "parser": {"labels": list(recordings.LABELS), "positive": recordings.REFUSAL},
}
JUDGE = parse_judge(DOCUMENT)
cells = st.integers(5, 400)


@given(cells, cells, cells, cells)
def test_every_estimate_equals_that_of_statsmodels(both, only_human, only_judge, neither):
    table = Counts(both, only_human, only_judge, neither, 0)
    kappa = domain.kappa(table)
    theirs = cohens_kappa([[both, only_human], [only_judge, neither]])
    assert kappa.value == pytest.approx(theirs.kappa, abs=1e-9)
    assert kappa.interval.low == pytest.approx(max(-1, theirs.kappa_low), abs=1e-9)
    assert kappa.interval.high == pytest.approx(min(1, theirs.kappa_upp), abs=1e-9)
    sensitivity = domain.share_of(both, table.n_positive)
    specificity = domain.share_of(neither, table.n_negative)
    low, high = proportion_confint(both, table.n_positive, method="wilson")
    assert (sensitivity.interval.low, sensitivity.interval.high) == pytest.approx((low, high), abs=1e-9)
    youden = domain.youden_j(sensitivity, specificity)
    low, high = confint_proportions_2indep(
        both, table.n_positive, only_judge, table.n_negative, method="newcomb", compare="diff"
    )
    assert (youden.interval.low, youden.interval.high) == pytest.approx((low, high), abs=1e-9)


@pytest.mark.parametrize(
    ("rate", "sensitivity", "specificity"), [(0.1, 0.8, 0.9), (0.5, 0.7, 0.95), (0.3, 0.95, 0.7)]
)
def test_the_corrected_interval_holds_the_true_rate_95_times_of_100(rate, sensitivity, specificity):
    random = np.random.default_rng(7)
    held = 0
    for _ in range(2000):
        both, neither = random.binomial(100, sensitivity), random.binomial(120, specificity)
        table = Counts(int(both), int(100 - both), int(120 - neither), int(neither), 0)
        seen = rate * sensitivity + (1 - rate) * (1 - specificity)
        interval = domain.rogan_gladen(random.binomial(250, seen) / 250, 250, table).interval
        held += interval.low <= rate <= interval.high
    assert 0.935 <= held / 2000 <= 0.985


def test_a_judge_without_errors_is_believed_to_the_letter():
    assert domain.rogan_gladen(0.25, 200, Counts(100, 0, 0, 100, 0)).value == 0.25


@given(cells, cells, st.floats(0, 1))
def test_a_corrected_rate_is_a_share_within_its_interval(both, neither, judged):
    found = domain.rogan_gladen(judged, 100, Counts(both, 1, 1, neither, 0))
    assert 0 <= found.interval.low <= found.interval.high <= 1
    assert 0 <= found.value <= 1


@with_data
@pytest.mark.parametrize(("judge", "system"), recordings.JUDGES)
def test_xstest_s_judges_get_the_passports_that_they_deserve(judge, system):
    cases = [
        {"id": case.id, "human": case.human, "reply": case.reply}
        for case in recordings.read_cases(FOLDER, system, judge)
    ]
    found = domain.calibrate(JUDGE, domain.parse_cases(cases, JUDGE))
    off_format = found.table.unscorable + found.checked.table.unscorable
    assert off_format == (11 if system == "mistralinstruct" else 0)
    assert found.usable is (system != "mistralinstruct")
    assert found.checked.holds is (True if found.usable else None)
    if not found.usable:
        assert found.youden.interval.low <= domain.MIN_YOUDEN
        assert found.checked.corrected is None


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "GRADE: C",
        "2_full_refusal.",
        "I'd say 2_full_refusal",
        "2_full_refusal 1_full_compliance",
        "2_FULL_REFUSAL",
        "\x00",
    ],
)
def test_a_reply_that_is_not_exactly_one_label_is_unscorable(reply):
    assert domain.tabulate(JUDGE, [Labelled("a", recordings.REFUSAL, reply)]) == Counts(0, 0, 0, 0, 1)


def test_space_around_a_label_is_no_matter():
    assert JUDGE.parse(" 2_full_refusal\n") == recordings.REFUSAL


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "judge-2"},
        {"prompt": "Is it?"},
        {"parameters": {"temperature": 1}},
        {"parser": {"labels": list(recordings.LABELS), "positive": recordings.PARTIAL}},
    ],
)
def test_any_change_of_a_judge_is_another_judge(changed):
    assert parse_judge({**DOCUMENT, **changed}).digest != JUDGE.digest


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"model": ""}, "model"),
        ({"extra": 1}, "extra"),
        ({"parser": {"labels": ["a"], "positive": "a"}}, "parser.labels"),
        ({"parser": {"labels": ["a", "a"], "positive": "a"}}, "parser.labels"),
        ({"parser": {"labels": ["a", " b"], "positive": "a"}}, "parser.labels"),
        ({"parser": {"labels": ["a", "b"], "positive": "c"}}, "parser.positive"),
    ],
)
def test_a_judge_that_cannot_be_read_is_refused_with_the_place(changed, place):
    with pytest.raises(Invalid) as refused:
        parse_judge({**DOCUMENT, **changed})
    assert [reason.id for reason in refused.value.reasons] == [place]


def test_labels_are_refused_with_every_mistake():
    cases = [
        {"id": "a", "human": "yes", "reply": "no"},
        {"id": "b", "human": recordings.REFUSAL, "reply": 1},
        {"id": "b", "human": recordings.REFUSAL},
    ]
    with pytest.raises(Invalid) as refused:
        domain.parse_cases(cases, JUDGE)
    assert [reason.id for reason in refused.value.reasons] == ["case 1.human", "case 2.reply", "case 3.id"]


def test_too_many_and_too_few_cases_are_refused(monkeypatch):
    few = domain.parse_cases([{"id": "a", "human": recordings.REFUSAL, "reply": "x"}], JUDGE)
    with pytest.raises(Invalid, match="each takes 10"):
        domain.calibrate(JUDGE, few)
    monkeypatch.setattr(domain, "MAX_CASES", 1)
    with pytest.raises(Invalid, match="at most 1 cases"):
        domain.parse_cases([{}, {}], JUDGE)
