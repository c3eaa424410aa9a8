"""Reports and comparisons: figures with their intervals, flips, slices by tag; hostile answers stay text."""

import gc
import json
from html.parser import HTMLParser

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from assent.evaluation import jobs, service
from assent.evaluation.domain.dataset import Row
from assent.evaluation.domain.several import contrast, holm, slices
from assent.evaluation.service import NewRun, NewVersion, reports
from assent.kernel.errors import Conflict, Invalid
from assent_client.errors import NotFound
from tests.evaluation.test_service import PROJECT, suite_document

HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>'


@pytest.fixture(scope="module")
def _no_collections():
    """statsmodels runs the garbage collector in each call, which takes seconds in a grown process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "collect", lambda: None)
        yield


@pytest.mark.usefixtures("_no_collections")
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holms_adjustment_equals_statsmodels(p_values):
    assert holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]), abs=1e-12)


def test_a_contrast_of_graded_scores_equals_scipys_paired_t_test():
    dice = np.random.default_rng(1)
    a, b = ({f"s{i}": float(v) for i, v in enumerate(dice.random(60))} for _ in range(2))
    found = contrast("m", a, b)
    test = scipy.stats.ttest_rel(list(a.values()), list(b.values()))
    bounds = test.confidence_interval(0.95)
    assert found.p_value == pytest.approx(float(test.pvalue), rel=1e-9)
    assert (found.interval.low, found.interval.high) == pytest.approx((bounds.low, bounds.high), abs=1e-9)
    assert contrast("m", a, {}) is None
    assert contrast("m", {}, None) is None
    assert contrast("m", {"a": 0.5, "b": 0.7}, None).value == pytest.approx(0.6)


def test_a_contrast_without_spread_has_no_p_value_and_a_share_has_its_interval():
    same = contrast("m", {"a": 0.5, "b": 0.5}, {"a": 0.25, "b": 0.25})
    assert (same.value, same.p_value) == (0.25, None)
    share = contrast("m", {"a": 1.0, "b": 0.0, "c": 1.0, "d": 1.0}, None)
    low, high = proportion_confint(3, 4, method="wilson")
    assert (share.interval.low, share.interval.high) == pytest.approx((low, high), abs=1e-9)


def test_a_tag_of_which_nothing_was_scored_has_no_slice():
    row = Row("q1", "question", tags=("hard",), key="k1")
    assert slices([row], [], "m", paired=False) == []


@pytest.fixture
def runs(desk):
    """Two closed runs of a suite with tags: one of a version that loses `hard` cases and answers in markup."""
    rows = [
        {
            "id": f"q{i}",
            "input": f"question {i}",
            "target": f"A{i}",
            "tags": ["hard" if i % 4 == 0 else "easy"],
        }
        for i in range(80)
    ]
    desk.write(service.register_dataset, NewVersion(PROJECT, "cases", rows))
    gate = {"metric": "includes", "margin": 0.05, "baseline": "assistant@1.0.0"}
    document = suite_document(gate=gate, scorers=[{"kind": "includes"}])
    desk.write(service.register_suite, NewVersion(PROJECT, "quality", document))
    desk.model("1.0.0", "good")
    desk.model("1.1.0", "bad")

    def answer(question, nth):
        number = int(question.split()[-1])
        model = desk.upstream.requests[-1][0]["model"]
        right = model == "good" or number % 4 > 0
        text = f"A{number}" if right else HOSTILE
        return desk.upstream.Reply(desk.upstream.completion(text))

    desk.upstream.answer = answer
    found = []
    for subject in ("assistant@1.0.0", "assistant@1.1.0"):
        run = desk.write(service.submit, NewRun(PROJECT, "quality", subject))
        found.append(desk.carry_out(run))
    return found


def test_a_report_lists_what_flipped_and_its_slices(desk, runs):
    said = desk.read(reports.report, runs[1])
    assert (said["result"]["verdict"], said["n_lost"], said["n_gained"]) == ("fail", 20, 0)
    flip = said["flips"][0]
    assert (flip["flip"], flip["baseline"], flip["candidate"]) == ("lost", f"A{flip['id'][1:]}", HOSTILE)
    slices = {one["name"]: one for one in said["slices"]}
    assert (slices["hard"]["value"], slices["hard"]["n"]) == ("-1", 20)
    assert (slices["easy"]["value"], slices["easy"]["n"]) == ("0", 60)
    assert float(slices["hard"]["adjusted"]) == pytest.approx(2 * float(slices["hard"]["p_value"]))
    assert slices["easy"]["adjusted"] == "1"


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen, self.addresses = set(), []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        self.addresses += [value for name, value in attrs if name in {"src", "href", "onerror"}]


def test_the_page_needs_nothing_else_and_hostile_answers_are_text(desk, runs):
    said = desk.read(reports.report, runs[1])
    page = reports.to_html(said, desk.read(service.contents_of, runs[1])[0].gate)
    tags = Tags()
    tags.feed(page)
    assert tags.addresses == []
    assert not tags.seen & {"script", "img", "link", "iframe"}
    assert "&lt;script&gt;" in page
    # Each estimate is drawn with its interval.
    assert page.count("<circle") <= page.count('class="range')
    assert "hard" in page


def test_two_runs_are_compared_sample_by_sample(desk, runs):
    said = desk.read(reports.compare, runs[0], runs[1])
    by_name = {one["name"]: one for one in said["metrics"]}
    assert (by_name["includes"]["value"], by_name["includes"]["lost"]) == ("-0.25", 20)
    assert (said["n_shared"], said["same_suite"]) == (80, True)
    back = desk.read(reports.compare, runs[1], runs[0])
    assert back["metrics"][0]["value"] == "0.25"


def test_what_is_not_closed_or_has_nothing_in_common_is_refused(desk, runs):
    waiting = desk.write(service.submit, NewRun(PROJECT, "quality", "assistant@1.1.0"))
    with pytest.raises(Conflict):
        desk.read(reports.report, waiting)
    with pytest.raises(Conflict):
        desk.read(reports.compare, runs[0], waiting)
    other = [{"id": "z", "input": "question 900", "target": "A900"}]
    desk.write(service.register_dataset, NewVersion(PROJECT, "other", other))
    document = suite_document("other", gate={"metric": "exact", "threshold": 0.5})
    desk.write(service.register_suite, NewVersion(PROJECT, "elsewhere", document))
    run = desk.write(service.submit, NewRun(PROJECT, "elsewhere", "assistant@1.0.0"))
    jobs.run(desk.runtime, run_id=run.id)
    with pytest.raises(Invalid, match="no sample in common"):
        desk.read(reports.compare, runs[0], desk.read(service.get_run, run.id))


def test_the_commands_print_write_and_compare(command, runs, served, tmp_path):
    first, second = (run.id for run in runs)
    code, out = command("eval", "report", second)
    assert code == 0
    assert "0 gained, 20 lost" in out.out
    assert json.loads(command("eval", "report", second, "--json")[1].out)["n_lost"] == 20
    assert command("eval", "report", second, "--html", "run.html")[0] == 0
    assert (tmp_path / "run.html").read_text().startswith("<!doctype html>")
    assert command("eval", "report", second, "--html", "absent/run.html")[0] == Invalid.exit_code
    code, out = command("eval", "compare", first, second)
    assert code == 0
    assert "-0.25" in out.out
    assert "80 samples in both" in out.err
    assert command("eval", "compare", first, "run_none")[0] == NotFound.exit_code
