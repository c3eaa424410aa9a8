"""Datasets and suites as people write them: identity by content, every mistake at once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.evaluation.domain.dataset import parse_dataset
from assent.evaluation.domain.numbers import next_number, split_ref
from assent.evaluation.domain.suite import ScorerSpec, from_document, gate_document, parse_suite, suite_digest
from assent.kernel.errors import Invalid, TooLarge

DIGEST = "sha256:" + "a" * 64
TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


def row(n, **changes):
    return {"id": f"q{n}", "input": f"question {n}", "target": n, **changes}


def suite(**changes):
    raw = {
        "kind": "regression",
        "dataset": DIGEST,
        "scorers": [{"kind": "exact"}],
        "gate": {"metric": "exact", "margin": 0.02},
        **changes,
    }
    return parse_suite({k: v for k, v in raw.items() if v is not None}, project="p", name="s")


def mistakes(call, *args, **kwargs):
    with pytest.raises(Invalid) as caught:
        call(*args, **kwargs)
    return {reason.id: reason.message for reason in caught.value.reasons}


@settings(max_examples=30, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=20, unique=True), st.randoms(use_true_random=False))
def test_order_and_ids_do_not_change_a_dataset(texts, random):
    rows = [{"id": f"a{i}", "input": text} for i, text in enumerate(texts)]
    shuffled = [{**one, "id": f"b{i}"} for i, one in enumerate(random.sample(rows, len(rows)))]
    assert parse_dataset(rows).digest == parse_dataset(shuffled).digest


@pytest.mark.parametrize(
    "change",
    [
        {"input": "other"},
        {"target": 2},
        {"tags": ["t"]},
        {"cluster": "c"},
        {"metadata": {"a": 1}},
        {"choices": ["x"]},
    ],
)
def test_any_change_of_content_is_another_dataset(change):
    assert parse_dataset([row(1)]).digest != parse_dataset([row(1, **change)]).digest


def test_three_forms_of_input_are_read():
    chat = {"messages": [{"role": "assistant", "content": "Hi"}, {"role": "user", "content": "Bye"}]}
    filled = {"text": "Hello", "variables": {"name": "Ann"}}
    rows = parse_dataset([row(1, input=chat), row(2, input=filled), {"input": "no id", "cluster": None}]).rows
    assert [r.input for r in rows] == [chat, filled, "no id"]
    assert rows[2].id == "row 3"
    assert parse_dataset([row(1) | {"id": 7}]).rows[0].id == "7"


def test_every_mistake_of_a_dataset_is_named_with_its_row():
    found = mistakes(
        parse_dataset,
        [
            "text",
            row(2, colour="red"),
            row(3, input={"messages": [{"role": "user"}]}),
            row(4, tags="t"),
            row(5, tags=[1]),
            row(6, metadata=[]),
            row(7, id=""),
            row(8, cluster=5),
            row(9, target=float("nan")),
        ],
    )
    assert {
        "row 1",
        "row 2.colour",
        "row 3.input",
        "row 4.tags",
        "row 5.tags",
        "row 6.metadata",
        "row 7.id",
    } < set(found)
    assert {"row 8.cluster", "row 9"} < set(found)


def test_not_more_mistakes_are_listed_than_a_person_reads():
    assert len(mistakes(parse_dataset, ["text"] * 80)) == 50


def test_the_same_case_twice_is_refused():
    found = mistakes(parse_dataset, [row(1), row(1, id="other"), row(2, id="q1")])
    assert "says the same as row 1" in found["row 2"]
    assert "has the id of row 1" in found["row 3"]


def test_an_empty_and_an_endless_dataset_are_refused():
    with pytest.raises(Invalid, match="at least one"):
        parse_dataset([])
    with pytest.raises(TooLarge):
        parse_dataset([None] * 200_001)


def test_a_suite_is_read_with_its_defaults_and_read_back_from_its_document():
    one = suite(cluster="cluster", refusal={"includes": ["I can't"], "score": 1, "by_tag": {"benign": 0}})
    again = from_document(one.document)
    assert again == one
    assert suite_digest(again) == suite_digest(one)
    plain = suite()
    assert (plain.coverage, plain.repeats, plain.limits.in_flight, plain.gate.baseline) == (
        0.95,
        1,
        50,
        "live",
    )
    assert from_document(plain.document) == plain


@pytest.mark.parametrize(
    ("gate", "rule", "baseline"),
    [
        ({"margin": 0.02}, "non_inferior", "live"),
        ({"rule": "superior"}, "superior", "live"),
        ({"threshold": 0.9}, "threshold", "none"),
        ({"margin": 0.02, "baseline": "model@1.0.0"}, "non_inferior", "model@1.0.0"),
    ],
)
def test_a_gate_says_what_it_asks(gate, rule, baseline):
    read = suite(gate={"metric": "exact", **gate}).gate
    assert (read.rule, read.baseline) == (rule, baseline)
    assert suite(gate=gate_document(read)).gate == read


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"gate": None}, "gate"),
        ({"gate": {"metric": "other", "margin": 0.1}}, "gate.metric"),
        ({"gate": {"margin": 0.1}}, "gate.metric"),
        ({"gate": {"metric": "exact", "margin": 0}}, "gate.margin"),
        ({"gate": {"metric": "exact", "margin": 2}}, "gate.margin"),
        ({"gate": {"metric": "exact", "margin": "2 %"}}, "gate.margin"),
        ({"gate": {"metric": "exact"}}, "gate.rule"),
        ({"gate": {"metric": "exact", "margin": 0.1, "threshold": 0.5}}, "gate.rule"),
        ({"gate": {"metric": "exact", "rule": "superior", "margin": 0.1}}, "gate.rule"),
        ({"gate": {"metric": "exact", "margin": 0.1, "baseline": "none"}}, "gate.baseline"),
        ({"gate": {"metric": "exact", "threshold": 0.1, "baseline": "live"}}, "gate.baseline"),
        ({"gate": {"metric": "exact", "margin": 0.1, "alpha": 0.5}}, "gate.alpha"),
        ({"gate": {"metric": "exact", "margin": 0.1, "direction": "up"}}, "gate.direction"),
        ({"gate": []}, "gate"),
        ({"dataset": None}, "dataset"),
        ({"dataset": "name@1.0.0"}, "dataset"),
        ({"kind": "test"}, "kind"),
        ({"solver": {"kind": "agent"}}, "solver.kind"),
        ({"scorers": []}, "scorers"),
        ({"scorers": [{"name": "x"}]}, "scorers[0].kind"),
        ({"scorers": [{"kind": "exact"}, {"kind": "exact"}]}, "scorers[1].name"),
        ({"scorers": [{"kind": "exact", "name": "refused"}]}, "scorers[0].name"),
        ({"scorers": ["exact"]}, "scorers[0]"),
        ({"repeats": 0}, "repeats"),
        ({"repeats": True}, "repeats"),
        ({"coverage": 0.1}, "coverage"),
        ({"refusal": {"includes": [""]}}, "refusal.includes"),
        ({"refusal": {"by_tag": {"t": 2}}}, "refusal.by_tag"),
        ({"limits": {"in_flight": 10**6}}, "limits.in_flight"),
        ({"limits": {"speed": 1}}, "limits.speed"),
        ({"colour": "red"}, "colour"),
        ({"cluster": ""}, "cluster"),
    ],
)
def test_a_mistake_in_a_suite_is_named_with_its_place(changes, place):
    assert place in mistakes(suite, **changes)


def test_all_mistakes_of_a_suite_come_at_once():
    found = mistakes(suite, kind="x", repeats=0, colour="red")
    assert {"kind", "repeats", "colour"} <= set(found)
    assert mistakes(parse_suite, ["not a mapping"], project="p", name="s")


def test_a_label_scorer_is_binary_when_its_scores_are():
    assert ScorerSpec("l", "label", {"scores": {"yes": 1, "no": 0}}).binary
    assert not ScorerSpec("l", "label", {"scores": {"yes": 1, "partly": 0.5}}).binary
    assert suite().is_binary("refused")


def test_a_changed_version_gets_the_next_minor_number():
    assert next_number(None) == "1.0.0"
    assert next_number("1.9.3") == "1.10.0"


def test_refs_split_into_name_and_number():
    assert split_ref("support@1.2.0") == ("support", "1.2.0")
    assert split_ref("support") == ("support", None)
    for wrong in ("", "@1.0.0", "support@"):
        with pytest.raises(Invalid):
            split_ref(wrong)
