"""Scorers that compare words: known values, an independent slow oracle, and any text at all."""

import json
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.evaluation.domain.cases import Answer
from assent.evaluation.domain.dataset import parse_dataset
from assent.evaluation.domain.suite import parse_suite
from assent.evaluation.scorers import compile_suite

CONTEXT = {"context": 'Refunds take 14 days. The plan "Blue" costs 1,200 euros.'}


def parsed(kind, **config):
    gate = {"metric": kind, "threshold": 0.5}
    raw = {"dataset": "sha256:" + "a" * 64, "scorers": [{"kind": kind, **config}], "gate": gate}
    return parse_suite(raw, project="p", name="s")


def score(kind, answer, target, **config):
    case = parse_dataset([{"id": "1", "input": "q", "target": json.loads(json.dumps(target))}]).rows[0]
    return compile_suite(parsed(kind, **config)).score(case, Answer(answer), "key")[1][0].value


@pytest.mark.parametrize(
    ("kind", "answer", "target", "value"),
    [
        ("f1", "The cat sat.", "a cat sat", 1.0),
        ("f1", "cat sat down", ["dog", "cat sat"], 0.8),
        ("f1", "", "the", 1.0),
        ("f1", "cat", "the", 0.0),
        ("rouge_l", "police kill the gunman", "police killed the gunman", 0.75),
        ("rouge_l", "the gunman kill police", "police killed the gunman", 0.5),
        ("rouge_l", "", "word", 0.0),
        ("rouge_l", "x", [], None),
        ("f1", "x", 7, None),
        ("f1", "x" * 50_001, "x", None),
        ("hallucination", "x", "text", None),
        ("hallucination", "x", {"context": " "}, None),
    ],
)
def test_words_are_compared_as_published(kind, answer, target, value):
    assert score(kind, answer, target) == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("Refunds take 14 days.", 0.0),
        ("Refunds take 30 days.", 1.0),
        ("Refunds take 14 days. Shipping remains always gratis!", 0.5),
        ("The plan “Blue” costs 1200 euros.", 0.0),
        ("The plan “Green” costs 1200 euros.", 1.0),
        ("", 0.0),
    ],
)
def test_sentences_that_the_context_does_not_support_are_counted(answer, value):
    assert score("hallucination", answer, CONTEXT) == value


def test_shares_are_not_gated_as_if_they_were_yes_or_no():
    assert not any(parsed(kind).is_binary(kind) for kind in ("f1", "rouge_l", "hallucination"))
    assert parsed("exact").is_binary("exact")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=9), st.lists(st.sampled_from("abcd"), min_size=1)
)
def test_rouge_l_is_that_of_the_textbook_recursion(left, right):
    @cache
    def common(i, j):
        if i == len(left) or j == len(right):
            return 0
        if left[i] == right[j]:
            return 1 + common(i + 1, j + 1)
        return max(common(i + 1, j), common(i, j + 1))

    wanted = 2 * common(0, 0) / (len(left) + len(right))
    assert score("rouge_l", " ".join(left), " ".join(right)) == pytest.approx(wanted)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_scores_in_range_and_itself_best(answer, target):
    for kind in ("f1", "rouge_l"):
        assert 0 <= score(kind, answer, target) <= 1
        assert score(kind, answer, answer) == 1
    if target.strip():
        assert 0 <= score("hallucination", answer, {"context": target}) <= 1
    if answer.strip():
        assert score("hallucination", answer, {"context": answer}) == 0
