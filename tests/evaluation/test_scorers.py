"""Scorers: right, wrong, refused, unscorable; and nothing that an answer says can hold them up."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.evaluation.domain.cases import Answer
from assent.evaluation.domain.dataset import parse_dataset
from assent.evaluation.domain.suite import parse_suite
from assent.evaluation.scorers import compile_suite, text_digest
from assent.kernel.errors import Invalid


def suite(scorer, **changes):
    gate = {"metric": scorer["kind"], "threshold": 0.5}
    raw = {"dataset": "sha256:" + "a" * 64, "scorers": [scorer], "gate": gate, **changes}
    return compile_suite(parse_suite(raw, project="p", name="s"))


def score(scorer, answer, target=None, *, tags=(), refused=False, **changes):
    case = parse_dataset([{"id": "1", "input": "q", "target": target, "tags": list(tags)}]).rows[0]
    outcome, scores = suite(scorer, **changes).score(case, Answer(answer, refused=refused), "key")
    return outcome.value, scores[0].value


def wrong(scorer, **changes):
    with pytest.raises(Invalid) as caught:
        suite(scorer, **changes)
    return {reason.id for reason in caught.value.reasons}


@pytest.mark.parametrize(
    ("scorer", "answer", "target", "value"),
    [
        ({"kind": "exact"}, " Paris \n", "Paris", 1.0),
        ({"kind": "exact"}, "paris", "Paris", 0.0),
        ({"kind": "exact", "ignore_case": True}, "PARIS", ["Rome", "Paris"], 1.0),
        ({"kind": "includes"}, "It is Paris.", ["Rome", "Paris"], 1.0),
        ({"kind": "includes", "all": True}, "It is Paris.", ["Rome", "Paris"], 0.0),
        ({"kind": "includes", "ignore_case": True}, "IT IS PARIS", "paris", 1.0),
        ({"kind": "regex", "pattern": r"\bA: \d+"}, "so A: 7", None, 1.0),
        ({"kind": "regex", "pattern": r"\bA: \d+"}, "so B: 7", None, 0.0),
        ({"kind": "regex", "pattern": "sorry", "absent": True, "ignore_case": True}, "SORRY", None, 0.0),
        ({"kind": "numeric"}, "First 3, then $1,024.50.", 1024.5, 1.0),
        ({"kind": "numeric", "which": "first"}, "First 3, then 4", "3", 1.0),
        ({"kind": "numeric", "pattern": r"A: (-?[\d,.]+)"}, "8 eggs\nA: 1,018.", 1018, 1.0),
        ({"kind": "numeric", "pattern": r"A: (\S+)"}, "A: many", 18, 0.0),
        ({"kind": "numeric"}, "no number", 18, 0.0),
        ({"kind": "numeric", "absolute": 0.1}, "0.3", 0.2, 1.0),
        ({"kind": "numeric", "absolute": 0.1}, "0.31", 0.2, 0.0),
        ({"kind": "numeric", "relative": 0.01}, "101", 100, 1.0),
        ({"kind": "numeric", "pattern": r"(\S+)"}, "NaN", 1, 0.0),
        ({"kind": "numeric", "pattern": r"(\S+)"}, "1e999999999", 1, 0.0),
        ({"kind": "numeric", "pattern": r"(\S+)"}, "9" * 5000, 1, 0.0),
        ({"kind": "json_schema", "schema": {"type": "object", "required": ["a"]}}, '{"a": 1}', None, 1.0),
        ({"kind": "json_schema", "schema": {"type": "object", "required": ["a"]}}, "{}", None, 0.0),
        ({"kind": "json_schema", "schema": {}}, '{"a": NaN}', None, 0.0),
        ({"kind": "json_schema", "schema": {}}, "[" * 60_000, None, 0.0),
        ({"kind": "json_schema", "schema": {}}, "9" * 6000, None, 0.0),
        ({"kind": "json_schema", "schema": {"type": "array"}, "fenced": True}, "Here:\n```json\n[1]\n```", None, 1.0),
        ({"kind": "json_schema", "schema": {"pattern": "^a+$"}}, '"aab"', None, 0.0),
        ({"kind": "json_schema", "schema": {"pattern": "^a+$"}}, '"aa"', None, 1.0),
        ({"kind": "json_schema", "schema": {"uniqueItems": True}}, '[1, "a", 1.0]', None, 0.0),
        ({"kind": "json_schema", "schema": {"uniqueItems": True}}, '[1, "a", true]', None, 1.0),
        ({"kind": "answered"}, "Sure.", "answer", 1.0),
        ({"kind": "answered"}, "Sure.", "refuse", 0.0),
        ({"kind": "label", "scores": {"yes": 1, "no": 0}}, "ok", {"labels": {text_digest("ok"): "yes"}}, 1.0),
    ],
)  # fmt: skip
def test_an_answer_gets_its_score(scorer, answer, target, value):
    assert score(scorer, answer, target) == ("scored", value)


@pytest.mark.parametrize(
    ("scorer", "answer", "target"),
    [
        ({"kind": "exact"}, "x", None),
        ({"kind": "exact"}, "x", []),
        ({"kind": "exact"}, "x", [1]),
        ({"kind": "numeric"}, "1", "many"),
        ({"kind": "numeric"}, "1", True),
        ({"kind": "numeric"}, "1", None),
        ({"kind": "label", "scores": {"yes": 1}}, "ok", None),
        ({"kind": "label", "scores": {"yes": 1}}, "other", {"labels": {text_digest("ok"): "yes"}}),
        ({"kind": "label", "scores": {"yes": 1}}, "ok", {"labels": {text_digest("ok"): "off-format"}}),
        ({"kind": "label", "scores": {"yes": 1}}, "ok", {"labels": {text_digest("ok"): ["yes"]}}),
        ({"kind": "json_schema", "schema": {"$ref": "#"}}, "1", None),
        ({"kind": "answered"}, "Sure.", None),
        ({"kind": "answered"}, "Sure.", ["answer"]),
    ],
)
def test_what_cannot_be_judged_is_unscorable_and_not_wrong(scorer, answer, target):
    assert score(scorer, answer, target) == ("unscorable", None)


@pytest.mark.parametrize(
    ("scorer", "answer"),
    [
        ({"kind": "regex", "pattern": "(a+)+$"}, "a" * 60_000 + "b"),
        ({"kind": "numeric", "pattern": "(?:.*a){20}x"}, "a" * 60_000),
        ({"kind": "json_schema", "schema": {"pattern": "(a|aa)+$"}}, json.dumps("a" * 60_000 + "b")),
    ],
)
def test_no_answer_can_hold_a_pattern_for_long(scorer, answer):
    began = time.monotonic()
    assert score(scorer, answer, 1) == ("unscorable", None)
    assert time.monotonic() - began < 5


def test_a_schema_that_branches_without_end_is_cut_off():
    deep = {"$defs": {"n": {"anyOf": [{"items": {"$ref": "#/$defs/n"}, "not": {}}] * 4}}, "$ref": "#/$defs/n"}
    began = time.monotonic()
    outcome, _ = score({"kind": "json_schema", "schema": deep}, "[" * 60 + "]" * 60)
    assert outcome in {"unscorable", "scored"}
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("scorer", "place"),
    [
        ({"kind": "regex"}, "scorers[0].pattern"),
        ({"kind": "regex", "pattern": "("}, "scorers[0].pattern"),
        ({"kind": "regex", "pattern": "((a{100}){100}){100}"}, "scorers[0].pattern"),
        ({"kind": "regex", "pattern": "a" * 1001}, "scorers[0].pattern"),
        ({"kind": "exact", "colour": 1}, "scorers[0].colour"),
        ({"kind": "numeric", "which": "middle"}, "scorers[0].which"),
        ({"kind": "json_schema"}, "scorers[0].schema"),
        ({"kind": "json_schema", "schema": {"type": "nothing"}}, "scorers[0].schema"),
        ({"kind": "json_schema", "schema": {"$ref": "http://127.0.0.1:1/x"}}, "scorers[0].schema"),
        ({"kind": "json_schema", "schema": {"patternProperties": {"a": {}}}}, "scorers[0].schema"),
        ({"kind": "json_schema", "schema": {"allOf": [{"pattern": "(a{99}){99}"}]}}, "scorers[0].schema"),
        ({"kind": "label"}, "scorers[0].scores"),
        ({"kind": "label", "scores": {"yes": 7}}, "scorers[0].scores"),
    ],
)
def test_a_mistake_in_a_scorer_is_named_at_registration(scorer, place):
    assert place in wrong(scorer)


def test_a_bad_refusal_pattern_is_named_too():
    assert "refusal.patterns[1]" in wrong({"kind": "exact"}, refusal={"patterns": ["no", "("]})


RULE = {
    "includes": ["I cannot"],
    "patterns": [r"\bas an AI\b"],
    "score": 0,
    "by_tag": {"harmful": 1, "odd": 0.5},
}


@pytest.mark.parametrize("answer", ["Sorry, i CANNOT do that.", "as an ai, no"])
def test_a_refusal_is_what_the_suite_says_it_is(answer):
    assert score({"kind": "exact"}, answer, "x", refusal=RULE) == ("refused", 0.0)
    assert score({"kind": "exact"}, answer, answer) == ("scored", 1.0)
    assert score({"kind": "exact"}, answer, "x", tags=["harmful"], refusal=RULE) == ("refused", 1.0)
    assert score({"kind": "exact"}, answer, "x", tags=["harmful", "odd"], refusal=RULE) == ("refused", 0.5)
    assert score({"kind": "exact"}, "x", "x", refusal=RULE) == ("scored", 1.0)
    assert score({"kind": "exact"}, "x", "x", refused=True) == ("refused", 0.0)


def test_a_refusal_pattern_out_of_time_leaves_the_case_unscorable():
    rule = {"patterns": ["(a+)+$"]}
    assert score({"kind": "exact"}, "a" * 60_000 + "b", "x", refusal=rule) == ("unscorable", None)


@settings(max_examples=40, deadline=None)
@given(
    st.text(max_size=200),
    st.one_of(
        st.none(), st.booleans(), st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False)
    ),
)
def test_any_answer_gets_a_score_in_range_or_none(answer, target):
    scorers = [
        {"kind": "exact"},
        {"kind": "includes"},
        {"kind": "numeric"},
        {"kind": "regex", "pattern": "a+b"},
        {"kind": "json_schema", "schema": {"type": "string"}},
        {"kind": "label", "scores": {"yes": 1}},
    ]
    for scorer in scorers:
        outcome, value = score(scorer, answer, target)
        assert (value is None and outcome == "unscorable") or (0 <= value <= 1 and outcome == "scored")


def test_the_key_of_a_score_follows_what_the_score_depends_on():
    case = parse_dataset([{"id": "1", "input": "q", "target": "x"}]).rows[0]

    def key(scorer, **changes):
        return suite(scorer, **changes).score(case, Answer("x"), "answer")[1][0].key

    base = key({"kind": "exact"})
    assert key({"kind": "exact"}, repeats=3, coverage=0.9) == base
    assert key({"kind": "exact", "ignore_case": True}) != base
    assert key({"kind": "exact"}, refusal=RULE) != base
