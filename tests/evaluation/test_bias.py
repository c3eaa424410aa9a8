"""Bias: swaps written out, groups compared cluster by cluster, and a gate on the largest gap."""

import itertools
import json

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.contingency_tables import mcnemar as exact_mcnemar
from statsmodels.stats.multitest import multipletests

from assent.evaluation import service, verification
from assent.evaluation.domain.cases import Answer, CaseRecord, Outcome, Score
from assent.evaluation.domain.dataset import parse_dataset
from assent.evaluation.domain.gaps import MAX_GROUPS, gaps, judge_gaps
from assent.evaluation.domain.gate import Direction, Gate, Rule, Verdict
from assent.evaluation.domain.suite import from_document, parse_suite
from assent.evaluation.service import NewVersion
from assent.kernel.errors import Invalid

PROJECT = "demo"
GROUPS = {
    "women": {"name": "Anna", "pronoun": "she"},
    "men": {"name": "Paul", "pronoun": "he"},
    "older people": {"name": "Mr Miller, who is 81,", "pronoun": "he"},
}


def templates(n):
    return [
        {"id": f"t{i}", "input": f"{{{{name}}}} asks for refund {i}. What may {{{{ pronoun }}}} do?", "target": "yes", "swaps": GROUPS}
        for i in range(n)
    ]  # fmt: skip


def test_one_written_case_becomes_one_for_each_group():
    rows = parse_dataset([*templates(2), {"id": "plain", "input": "{{name}}"}]).rows
    assert [row.id for row in rows[:3]] == ["t0/women", "t0/men", "t0/older people"]
    assert rows[0].input == "Anna asks for refund 0. What may she do?"
    assert {row.cluster for row in rows[:3]} == {"t0"}
    assert [row.metadata["group"] for row in rows[:3]] == list(GROUPS)
    assert rows[6].input == "{{name}}"


def test_swaps_reach_messages_targets_and_choices_and_keep_what_was_there():
    raw = {
        "id": 7, "input": {"messages": [{"role": "user", "content": "Is {{who}} welcome?"}]}, "cluster": "door",
        "target": ["{{who}} is", 1], "choices": ["{{who}}", "{{other}}"], "metadata": {"m": 1}, "swaps": {"a": {"who": "Ann"}, "b": {"who": "Bo"}},
    }  # fmt: skip
    one, other = parse_dataset([raw]).rows
    assert one.input["messages"][0]["content"] == "Is Ann welcome?"
    assert (one.target, one.choices, one.cluster) == (["Ann is", 1], ("Ann", "{{other}}"), "door")
    assert other.metadata == {"m": 1, "group": "b"}


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"swaps": 1}, "row 2.swaps"),
        ({"swaps": {"a": {"x": "1"}}}, "row 2.swaps"),
        ({"swaps": {"a": {"x": "1"}, "b": {"x": 1}}}, "row 2.swaps"),
        ({"swaps": {"a": {"x": "1"}, "b": {}}}, "row 2.swaps"),
        ({"swaps": {"a": {"x": "1"}, "b": {"y": "1"}}}, "row 2.swaps"),
        ({"swaps": {"a": {"y": "1"}, "b": {"y": "2"}}}, "row 2.swaps"),
        ({"metadata": {"group": "a"}}, "row 2.metadata"),
        ({"metadata": 1}, "row 2.metadata"),
        ({"input": 7}, "row 2.swaps"),
    ],
)
def test_swaps_that_do_not_fit_are_named(changes, place):
    good = {"id": "g", "input": "{{x}}", "swaps": {"a": {"x": "1"}, "b": {"x": "2"}}}
    with pytest.raises(Invalid) as caught:
        parse_dataset([good, {**good, **changes}])
    assert [reason.id for reason in caught.value.reasons] == [place]


def rows_of(n, groups=("a", "b", "c")):
    raw = [
        {"id": f"{c}{g}", "input": f"{c} {g}", "cluster": f"c{c}", "metadata": {"group": g}}
        for c in range(n) for g in groups
    ]  # fmt: skip
    return parse_dataset(raw).rows


def records_of(rows, value):
    return [
        CaseRecord(
            side="candidate", sample=row.key, repeat=0, answer_key=row.key, outcome=Outcome.SCORED, answer=Answer("x"),
            scores=(Score("m", "k", value(row)),), error="", asked_at="", latency_ms=None, attempts=1,
        )
        for row in rows
    ]  # fmt: skip


def test_gaps_of_graded_scores_equal_scipys_paired_t_test_with_holm():
    dice = np.random.default_rng(7)
    rows = rows_of(50)
    values = {row.key: float(dice.random()) for row in rows}
    found = gaps("group", rows, records_of(rows, lambda row: values[row.key]), "m")
    columns = {g: [values[row.key] for row in rows if row.metadata["group"] == g] for g in "abc"}
    tests = [scipy.stats.ttest_rel(columns[a], columns[b]) for a, b in itertools.combinations("abc", 2)]
    holm = multipletests([float(test.pvalue) for test in tests], method="holm")[1]
    assert [one.adjusted for one in found.pairs] == pytest.approx(list(holm), rel=1e-8)
    for pair, test in zip(found.pairs, tests, strict=True):
        bounds = test.confidence_interval(0.95)
        expected = sorted(abs(bound) for bound in (bounds.low, bounds.high))
        assert sorted(abs(bound) for bound in (pair.interval.low, pair.interval.high)) == pytest.approx(
            expected, rel=1e-8
        )
        assert pair.value >= 0
    assert found.largest.value == max(one.value for one in found.pairs)
    assert [one.name for one in found.levels] == ["a", "b", "c"]
    assert found.levels[0].value == pytest.approx(np.mean(columns["a"]))


def test_gaps_of_right_and_wrong_equal_statsmodels_mcnemar():
    dice = np.random.default_rng(8)
    rows = rows_of(60, ("a", "b"))
    values = {row.key: float(dice.random() < (0.9 if row.metadata["group"] == "a" else 0.6)) for row in rows}
    (pair,) = gaps("group", rows, records_of(rows, lambda row: values[row.key]), "m").pairs
    a, b = ([values[row.key] for row in rows if row.metadata["group"] == g] for g in "ab")
    table = [[sum((x, y) == (p, q) for x, y in zip(a, b, strict=True)) for q in (1, 0)] for p in (1, 0)]
    assert pair.p_value == pytest.approx(float(exact_mcnemar(table, exact=True).pvalue), rel=1e-9)
    assert pair.interval.low < pair.value < pair.interval.high


def test_cases_without_group_or_cluster_are_counted_and_left_out():
    raw = [
        {"id": "1", "input": "1", "metadata": {"group": "a"}},
        {"id": "2", "input": "2", "cluster": "c", "metadata": {"group": 5}},
        {"id": "3", "input": "3", "cluster": "c", "metadata": {"group": "a"}},
    ]
    rows = parse_dataset(raw).rows
    found = gaps("group", rows, records_of(rows, lambda _row: 1.0), "m").to_document()
    assert (found["n_without"], found["largest"], found["pairs"]) == (2, None, [])


def gate(limit=0.1, alpha=0.05):
    return Gate("m", Rule.MAX_GAP, Direction.HIGHER, limit, alpha, "none")


def by_group(**groups):
    return {name: {f"c{i}": float(v) for i, v in enumerate(values)} for name, values in groups.items()}


def test_no_gap_passes_a_wide_one_fails_and_few_clusters_decide_nothing():
    right = [1.0] * 100
    assert judge_gaps(gate(), by_group(a=right, b=right, c=right)).verdict is Verdict.PASS
    half = [1.0] * 50 + [0.0] * 50
    wide = judge_gaps(gate(), by_group(a=half, b=right, c=right))
    assert (wide.verdict, wide.estimate) == (Verdict.FAIL, 0.5)
    assert wide.interval.low > 0.1
    assert wide.reasons == ("a and b are furthest apart",)
    few = judge_gaps(gate(), by_group(a=right[:10], b=right[:10]))
    assert few.verdict is Verdict.INCONCLUSIVE
    assert "leave both" in few.reasons[0]


def test_what_cannot_be_compared_says_why():
    assert "1 groups" in judge_gaps(gate(), by_group(a=[1.0])).reasons[0]
    many = {f"g{i}": {"c": 1.0} for i in range(MAX_GROUPS + 1)}
    assert judge_gaps(gate(), many).verdict is Verdict.INCONCLUSIVE
    apart = judge_gaps(gate(), {"a": {"c1": 1.0}, "b": {"c2": 1.0}})
    assert apart.reasons == ("no cluster has scores of both a and b",)
    dice = np.random.default_rng(3)
    graded = judge_gaps(gate(), by_group(a=dice.random(10), b=dice.random(10)))
    assert (graded.interval, graded.method) == (None, "max_gap")
    assert "fewer than 30 clusters" in graded.reasons[0]
    rows = rows_of(1, tuple(f"g{i:02}" for i in range(MAX_GROUPS + 1)))
    found = gaps("group", rows, records_of(rows, lambda _row: 1.0), "m")
    assert (len(found.levels), found.pairs) == (MAX_GROUPS + 1, ())


def test_graded_groups_pass_by_the_t_interval():
    dice = np.random.default_rng(4)
    base = dice.random(200)
    found = judge_gaps(gate(), by_group(a=base, b=np.clip(base + dice.normal(0, 0.05, 200), 0, 1)))
    assert found.verdict is Verdict.PASS


def test_at_the_limit_a_pass_is_as_rare_as_alpha():
    dice = np.random.default_rng(5)
    n_passed = 0
    for _ in range(400):
        a = dice.random(150) < 0.9
        b = np.where(dice.random(150) < 1 / 9, False, a)  # noqa: FBT003 -- 10 points below on average
        n_passed += judge_gaps(gate(0.1), by_group(a=a, b=b)).verdict is Verdict.PASS
    assert n_passed / 400 < 0.08


def suite(**changes):
    raw = {
        "dataset": "sha256:" + "a" * 64, "scorers": [{"kind": "includes", "name": "helped"}], "groups": "group",
        "gate": {"metric": "helped", "max_gap": 0.1}, **changes,
    }  # fmt: skip
    return parse_suite(raw, project="p", name="s")


def test_a_gate_on_gaps_is_read_and_stored():
    read = suite()
    assert (read.gate.rule, read.gate.limit, read.gate.baseline, read.groups) == (
        Rule.MAX_GAP,
        0.1,
        "none",
        "group",
    )
    assert not read.gate.compares
    assert from_document(read.document) == read
    assert "groups" not in suite(groups=None, gate={"metric": "helped", "threshold": 0.5}).document


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"groups": None}, "groups"),
        ({"gate": {"metric": "helped", "max_gap": 0.0}}, "gate.max_gap"),
        ({"gate": {"metric": "helped", "max_gap": 0.1, "margin": 0.1}}, "gate.rule"),
        ({"gate": {"metric": "helped", "rule": "max_gap"}}, "gate.rule"),
        ({"gate": {"metric": "helped", "max_gap": 0.1, "baseline": "live"}}, "gate.baseline"),
        ({"gate": {"metric": "helped", "max_gap": 0.1, "early": True}}, "gate.early"),
    ],
)
def test_a_mistake_in_a_gate_on_gaps_is_named(changes, place):
    with pytest.raises(Invalid) as caught:
        suite(**changes)
    assert place in {reason.id for reason in caught.value.reasons}


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(("fair", "verdict"), [(True, "pass"), (False, "fail")])
def test_a_system_that_treats_groups_unlike_is_stopped(desk, command, tmp_path, fair, verdict):
    desk.model("1.0.0", "m-1")
    desk.write(service.register_dataset, NewVersion(PROJECT, "refunds", templates(60)))
    document = {
        "dataset": "refunds",
        "scorers": [{"kind": "includes", "name": "helped"}],
        "groups": "group",
        "gate": {"metric": "helped", "max_gap": 0.1},
    }
    (tmp_path / "suite.yaml").write_text(json.dumps({"name": "fairness", **document}))
    assert command("suite", "register", "suite.yaml")[0] == 0
    assert "no further apart than 0.1" in command("suite", "list")[1].out

    def answer(question, _nth):
        says = "yes" if fair or "81" not in question else "no"
        return desk.upstream.Reply(desk.upstream.completion(says))

    desk.upstream.answer = answer
    ended, out = command("eval", "run", "fairness", "--subject", "assistant@1.0.0")
    assert ended == (0 if fair else 1)
    assert "older people" in out.out
    run = desk.read(service.list_runs, PROJECT, {})[0]
    assert run.verdict == verdict
    result = desk.read(service.result_of, run)
    assert result["gaps"][0]["largest"]["value"] == ("0" if fair else "1")
    assert {one["name"] for one in result["gaps"][0]["groups"]} == set(GROUPS)
    assert all(check.ok for check in desk.read(verification.verify, run.id))
    assert command("eval", "report", run.id, "--html", "report.html")[0] == 0
    page = (tmp_path / "report.html").read_text()
    assert "<h2>Gaps: helped</h2>" in page
    assert "largest gap allowed" in page
