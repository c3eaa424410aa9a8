"""What a run publishes: pairs by sample and repeat, coverage, worst cases, and a digest of what was said."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.evaluation.domain.cases import Answer, CaseRecord, Outcome, Score, answer_key, run_digest
from assent.evaluation.domain.dataset import parse_dataset
from assent.evaluation.domain.proportions import share_interval
from assent.evaluation.domain.result import summarise, to_document
from assent.evaluation.domain.suite import parse_suite

PAIRED = {"metric": "exact", "margin": 0.05}


def suite(**changes):
    raw = {"dataset": "sha256:" + "a" * 64, "scorers": [{"kind": "exact"}], "gate": PAIRED, **changes}
    return parse_suite(raw, project="p", name="s")


def rows_of(n, **fields):
    return parse_dataset(
        [{"id": str(i), "input": f"q{i}", **{k: v(i) for k, v in fields.items()}} for i in range(n)]
    ).rows


def record(side, row, value, repeat=0, outcome=None):
    outcome = outcome or (Outcome.SCORED if value is not None else Outcome.UNSCORABLE)
    answer = None if outcome is Outcome.ERROR else Answer(f"answer {value}")
    scores = () if outcome is Outcome.ERROR else (Score("exact", "k", value),)
    return CaseRecord(
        side,
        row.key,
        repeat,
        answer_key(side, "s", row.key, repeat),
        outcome,
        answer,
        scores,
        "",
        "t",
        1.0,
        1,
    )


def both(rows, candidate, baseline):
    return [
        *(record("candidate", row, value) for row, value in zip(rows, candidate, strict=True)),
        *(record("baseline", row, value) for row, value in zip(rows, baseline, strict=True)),
    ]


def test_pairs_are_compared_and_flips_named():
    rows = rows_of(200)
    result = summarise(suite(), rows, both(rows, [0.0, *[1.0] * 199], [1.0, 0.0, *[1.0] * 198]), paired=True)
    assert (result.judgement.verdict, result.judgement.n, result.judgement.method) == ("pass", 200, "tango")
    assert result.gained == (rows[1].key,)
    assert result.lost == (rows[0].key,)
    assert result.judgement.estimate == 0
    assert result.outcomes["candidate"] == {
        "scored": 200,
        "refused": 0,
        "unscorable": 0,
        "error": 0,
        "not_asked": 0,
    }


def test_cases_without_a_score_on_either_side_leave_the_pairs_and_lower_the_coverage():
    rows = rows_of(100)
    records = both(rows, [1.0] * 100, [1.0] * 100)
    records[3] = record("candidate", rows[3], None, outcome=Outcome.ERROR)
    records[104] = record("baseline", rows[4], None)
    result = summarise(suite(coverage=0.98), rows, records, paired=True)
    assert (result.judgement.n, result.coverage) == (98, 0.98)
    lower = summarise(suite(coverage=0.99), rows, records, paired=True)
    assert lower.judgement.verdict == "inconclusive"
    assert "coverage is 98.0%" in lower.judgement.reasons[0]


def test_missing_cases_are_bounded_by_the_worst_and_the_best():
    rows = rows_of(100)
    records = [record("candidate", row, 1.0) for row in rows[:80]]
    level = summarise(suite(), rows, records, paired=False).levels[0]
    assert (level.value, level.coverage, level.worst, level.best) == (1.0, 0.8, 0.8, 1.0)
    assert level.low < 1.0
    nothing = summarise(suite(), rows, [], paired=True)
    assert nothing.judgement.verdict == "inconclusive"
    assert (nothing.levels[0].value, nothing.levels[0].worst, nothing.levels[0].best) == (None, 0.0, 1.0)


def test_a_refusal_counts_and_has_a_metric_of_its_own():
    rows = rows_of(40)
    records = [record("candidate", row, 0.0, outcome=Outcome.REFUSED) for row in rows]
    gate = {"metric": "refused", "threshold": 0.5, "direction": "lower"}
    result = summarise(suite(gate=gate), rows, records, paired=False)
    assert result.judgement.verdict == "fail"
    assert {level.metric: level.value for level in result.levels} == {"exact": 0.0, "refused": 1.0}


def test_repeats_are_averaged_before_they_are_compared():
    rows = rows_of(60)
    records = [
        record(side, row, value, repeat)
        for row in rows
        for side, values in (("candidate", (1.0, 0.0)), ("baseline", (0.0, 1.0)))
        for repeat, value in enumerate(values)
    ]
    result = summarise(suite(repeats=2), rows, records, paired=True)
    assert (result.judgement.method, result.judgement.n, result.judgement.estimate) == ("student", 60, 0.0)
    assert result.judgement.verdict == "inconclusive"
    half = [r for r in records if (r.side, r.repeat) != ("baseline", 1)]
    only_shared = summarise(suite(repeats=2, coverage=0.5), rows, half, paired=True)
    assert (only_shared.judgement.estimate, only_shared.coverage) == (1.0, 0.5)


def test_repeats_that_all_agree_are_bounded_as_single_answers():
    rows = rows_of(85)
    gate = {"metric": "exact", "threshold": 0.9}
    held = [record("candidate", row, 1.0, repeat) for row in rows for repeat in range(5)]
    said = summarise(suite(repeats=5, gate=gate), rows, held, paired=False)
    assert (said.judgement.verdict, said.judgement.method, said.judgement.n) == ("pass", "wilson", 85)
    assert said.judgement.interval == share_interval(85, 85, 0.05)
    assert (said.levels[0].low, said.levels[0].high) == (share_interval(85, 85, 0.025).low, 1.0)
    once_wrong = [record("candidate", rows[0], 0.0), *held[1:]]
    mixed = summarise(suite(repeats=5, gate=gate), rows, once_wrong, paired=False)
    assert (mixed.judgement.verdict, mixed.judgement.method) == ("pass", "student")


@pytest.mark.parametrize("key", ["cluster", "family"])
def test_clusters_come_from_the_row_or_its_metadata(key):
    if key == "cluster":
        rows = rows_of(120, cluster=lambda i: f"c{i % 4}")
    else:
        rows = rows_of(120, metadata=lambda i: {"family": i % 4} if i else {})
    said = summarise(
        suite(cluster=key), rows, both(rows, [1.0] * 120, [0.0, *[1.0] * 119]), paired=True
    ).judgement
    assert said.verdict == "inconclusive"
    assert said.reasons[0].startswith("4 " if key == "cluster" else "5 ")


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_records_changes_nothing(random):
    rows = rows_of(30)
    records = both(rows, [float(random.random() < 0.5) for _ in rows], [1.0] * 30)
    shuffled = random.sample(records, len(records))
    assert to_document(summarise(suite(), rows, records, paired=True)) == to_document(
        summarise(suite(), rows, shuffled, paired=True)
    )


def test_the_digest_covers_what_was_said_and_scored_but_not_when():
    rows = rows_of(2)
    one, two = (record("candidate", row, 1.0) for row in rows)
    base = run_digest([one, two])
    assert run_digest([replace(one, latency_ms=9.0, asked_at="later", attempts=4), two]) == base
    assert run_digest([replace(one, answer=Answer("other")), two]) != base
    assert run_digest([replace(one, outcome=Outcome.REFUSED), two]) != base
    assert run_digest([replace(one, scores=(Score("exact", "k", 0.0),)), two]) != base
    assert run_digest([one]) != base
