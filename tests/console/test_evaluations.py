"""Evaluations in the console: list, run with its cases, comparison; what models wrote stays text."""

import msgspec
import pytest

from assent.evaluation import service as evaluation
from assent.evaluation.domain.cases import Answer, CaseRecord, Outcome, Score, answer_key
from assent.evaluation.journal import write_line
from assent.evaluation.service import NewImport, NewRun, NewVersion
from assent.kernel.canonical import canonical, digest
from assent.kernel.tx import SYSTEM
from tests.approvals.shop import PROJECT
from tests.console.shop import words_of

HOSTILE = '<script>alert("x")</script>'
PAGE = f"/projects/{PROJECT}/evaluations"


def journal(console, run, right):
    """Write what a worker would have: `right(side, i)` says which cases are answered rightly."""
    suite, rows = console.read(evaluation.contents_of, run)
    header = {
        "journal": 1,
        "run": run.id,
        "subject": run.subject,
        "suite": run.suite,
        "baseline": run.baseline,
    }
    lines = [write_line(canonical(header))]
    for i, row in enumerate(rows):
        for side, subject in (("candidate", run.subject), ("baseline", run.baseline)):
            good = right(side, i)
            key = answer_key(subject, digest(dict(suite.solver)), row.key, 0)
            record = CaseRecord(
                side=side, sample=row.key, repeat=0, answer_key=key, outcome=Outcome.SCORED,
                answer=Answer(row.target if good else HOSTILE), scores=(Score("exact", "k", float(good)),),
                error="", asked_at="2026-11-24T12:00:00Z", latency_ms=1.0, attempts=1,
            )  # fmt: skip
            lines.append(write_line(msgspec.json.encode(record)))
    return b"".join(lines)


@pytest.fixture
def runs(console):
    rows = [
        {
            "id": f"q{i}",
            "input": f"{HOSTILE} {i}",
            "target": f"A{i}",
            "tags": ["<b>odd</b>" if i % 2 else "even"],
        }
        for i in range(60)
    ]
    console.do(SYSTEM, evaluation.register_dataset, NewVersion(PROJECT, "cases", rows))
    document = {
        "kind": "benchmark", "dataset": "cases", "scorers": [{"kind": "exact"}],
        "gate": {"metric": "exact", "margin": 0.05, "baseline": "support@2.0.0"},
    }  # fmt: skip
    console.do(SYSTEM, evaluation.register_suite, NewVersion(PROJECT, "facts", document))
    found = []
    for n_wrong in (30, 0):
        run = console.do(SYSTEM, evaluation.submit, NewRun(PROJECT, "facts", "support@2.1.0"))
        written = journal(console, run, lambda side, i, n=n_wrong: side == "baseline" or i >= n)
        found.append(console.do(SYSTEM, evaluation.close, run.id, written))
    return found


def test_runs_are_listed_with_their_intervals(console, runs):
    browser = console.signed_in("rita")
    answer = browser.get(PAGE)
    words = words_of(answer)
    assert answer.status_code == 200
    assert "facts@1.0.0 support@2.1.0 support@2.0.0 Fail -0.5 [" in words
    assert f'href="{PAGE}/{runs[0].id}"' in answer.text
    assert "Fail" not in words_of(browser.get(PAGE + "?verdict=pass")).replace("pass fail", "")
    system = browser.get(f"/projects/{PROJECT}/systems/support")
    assert f'href="{PAGE}"' in system.text


def test_a_run_shows_gate_slices_flips_and_cases_page_by_page(console, runs):
    browser = console.signed_in("rita")
    answer = browser.get(f"{PAGE}/{runs[0].id}")
    words = words_of(answer)
    assert "0 gained, 30 lost." in words
    assert "margin 5 points" in words
    assert "120 cases." in words
    assert answer.text.count("<circle") >= 4
    assert answer.text.count('class="range') >= answer.text.count("<circle")
    following = answer.text.split('class="button outline" href="')[1].split('"')[0].replace("&amp;", "&")
    assert "q12" in words_of(browser.get(following))
    assert "0 cases." in words_of(browser.get(f"{PAGE}/{runs[0].id}?outcome=error"))
    assert browser.get(f"{PAGE}/{runs[0].id}?outcome=wrong").status_code == 422


def test_what_models_and_rows_say_is_shown_as_text(console, runs):
    browser = console.signed_in("rita")
    pages = (
        browser.get(f"{PAGE}/{runs[0].id}"),
        browser.get(f"{PAGE}/{runs[0].id}/compare?other={runs[1].id}"),
        browser.get(PAGE),
    )
    for page in pages:
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<b>odd" not in page.text
    assert "&lt;script&gt;" in pages[0].text
    assert "&lt;b&gt;odd" in pages[0].text


def test_two_runs_are_shown_beside_each_other(console, runs):
    words = words_of(console.signed_in("rita").get(f"{PAGE}/{runs[0].id}/compare?other={runs[1].id}"))
    assert "Differences, second minus first" in words
    assert "exact 0.5 [" in words
    assert "60 samples in both" in words


def test_a_run_under_way_says_how_far_it_is(console, runs):
    run = console.do(SYSTEM, evaluation.submit, NewRun(PROJECT, "facts", "support@2.1.0"))
    words = words_of(console.signed_in("rita").get(f"{PAGE}/{run.id}"))
    assert "Submitted" in words
    assert "0 of 0 cases." in words


def test_a_run_shows_gaps_between_groups_and_hits_by_category(console, runs):
    swaps = {"women": {"who": "Anna"}, HOSTILE: {"who": "Paul"}}
    rows = [
        {"id": f"t{i}", "input": f"{{{{who}}}} {i}", "swaps": swaps, "metadata": {"category": HOSTILE}}
        for i in range(40)
    ]
    console.do(SYSTEM, evaluation.register_dataset, NewVersion(PROJECT, "swaps", rows))
    document = {
        "kind": "safety", "dataset": "swaps", "scorers": [{"kind": "exact"}], "groups": "group",
        "gate": {"metric": "exact", "max_gap": 0.1},
    }  # fmt: skip
    console.do(SYSTEM, evaluation.register_suite, NewVersion(PROJECT, "fairness", document))
    run = console.do(SYSTEM, evaluation.submit, NewRun(PROJECT, "fairness", "support@2.1.0"))
    suite, found = console.read(evaluation.contents_of, run)
    lines = [
        write_line(
            canonical(
                {"journal": 1, "run": run.id, "subject": run.subject, "suite": run.suite, "baseline": None}
            )
        )
    ]
    for row in found:
        key = answer_key(run.subject, digest(dict(suite.solver)), row.key, 0)
        score = Score("exact", "k", float(row.metadata["group"] == "women"))
        record = CaseRecord(
            side="candidate", sample=row.key, repeat=0, answer_key=key, outcome=Outcome.SCORED, answer=Answer("x"),
            scores=(score,), error="", asked_at="2026-11-24T12:00:00Z", latency_ms=1.0, attempts=1,
        )  # fmt: skip
        lines.append(write_line(msgspec.json.encode(record)))
    console.do(SYSTEM, evaluation.close, run.id, b"".join(lines))
    answer = console.signed_in("rita").get(f"{PAGE}/{run.id}")
    words = words_of(answer)
    assert "Gaps: exact" in words
    assert "gap of 10 points" in words
    assert "largest gap between two groups, in points" in words
    assert f"women minus {HOSTILE} 100.0 %" in words
    assert "40 of 80: upper bound" in words
    assert "<script>alert" not in answer.text


def test_imported_results_are_listed(console):
    measured = evaluation.measure("jsonl", "r", b'{"sample":"a","metric":"m","value":1}')
    console.do(SYSTEM, evaluation.take_over, NewImport(PROJECT, "support@2.1.0", "facts", measured))
    assert "facts support@2.1.0 jsonl 1 unknown" in words_of(console.signed_in("rita").get(PAGE))


def test_runs_of_other_projects_do_not_exist_here(console, runs):
    assert console.signed_in("rita").get(f"{PAGE}/run_none").status_code == 404
