import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.web import diff
from assent.web.diff import Mark, document_diff, text_diff

texts = st.lists(st.sampled_from(["", "a b", "a c", "x y z", "same line"]), max_size=12).map("\n".join)
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "s", "two\nlines"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


def side(lines, left_out):
    return "\n".join("".join(p.text for p in line.pieces) for line in lines if line.mark is not left_out)


@given(texts, texts)
def test_both_texts_can_be_read_back_from_their_diff(before, after):
    lines = text_diff(before, after)

    assert side(lines, Mark.ADDED) == before
    assert side(lines, Mark.REMOVED) == after


@given(texts, texts)
def test_line_numbers_count_up_from_one_on_both_sides(before, after):
    lines = text_diff(before, after)

    numbers = [line.before for line in lines if line.before is not None]
    assert numbers == list(range(1, len(before.split("\n")) + 1 if before else 1))
    assert [line.after for line in lines if line.after] == sorted(line.after for line in lines if line.after)


def test_the_words_that_differ_are_marked_within_the_line():
    removed, added = text_diff("You are a helpful agent.", "You are a careful agent.")

    assert [(p.mark, p.text) for p in removed.pieces] == [
        (Mark.SAME, "You are a "),
        (Mark.REMOVED, "helpful"),
        (Mark.SAME, " agent."),
    ]
    assert [p.text for p in added.pieces if p.mark is Mark.ADDED] == ["careful"]


def test_lines_that_share_little_are_two_lines():
    removed, added = text_diff("Never promise refunds.", "Write in German at all times")

    assert [p.mark for p in removed.pieces] == [Mark.REMOVED]
    assert [p.mark for p in added.pieces] == [Mark.ADDED]


def test_equal_texts_have_no_marked_line():
    assert {line.mark for line in text_diff("a\nb", "a\nb")} == {Mark.SAME}


def test_texts_too_different_to_align_are_shown_whole(monkeypatch):
    monkeypatch.setattr(diff, "MAX_LINE_EDITS", 4)
    before = "head\n" + "\n".join(f"old {i}" for i in range(20)) + "\ntail"
    after = "head\n" + "\n".join(f"new {i}" for i in range(20)) + "\ntail"

    lines = text_diff(before, after)

    assert lines[0].mark is Mark.SAME
    assert lines[-1].mark is Mark.SAME
    assert side(lines, Mark.REMOVED) == after


def test_a_line_of_very_many_words_is_compared_as_a_whole():
    removed, added = text_diff("a " * 3000, "a " * 3001)

    assert [p.mark for p in removed.pieces + added.pieces] == [Mark.REMOVED, Mark.ADDED]


def test_long_texts_that_share_nothing_are_shown_in_full():
    n = 5_000

    lines = text_diff("\n".join(f"a{i}" for i in range(n)), "\n".join(f"b{i}" for i in range(n)))

    assert len(lines) == 2 * n


@given(documents, documents)
def test_every_leaf_of_both_documents_appears(before, after):
    fields = document_diff(before, after)

    if before is not None:
        assert {field.mark for field in fields} <= set(Mark)
        same = all(field.mark is Mark.SAME for field in fields)
        assert same == (json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True))


def test_keys_are_compared_by_path():
    before = {"model": "m-1", "parameters": {"temperature": 0.2}, "gone": 1}
    after = {"model": "m-2", "parameters": {"temperature": 0.2}, "messages": [{"role": "system"}]}

    marks = {field.path: field.mark for field in document_diff(before, after)}

    assert marks == {
        "model": Mark.CHANGED,
        f"parameters{diff.SEPARATOR}temperature": Mark.SAME,
        diff.SEPARATOR.join(["messages", "1", "role"]): Mark.ADDED,
        "gone": Mark.REMOVED,
    }


@pytest.mark.parametrize(("before", "after"), [(1, True), (1, 1.0), ("1", 1), ([], {}), ({"1": "x"}, ["x"])])
def test_values_of_another_type_are_changes(before, after):
    assert any(field.mark is not Mark.SAME for field in document_diff({"k": before}, {"k": after}))


def test_without_a_predecessor_everything_is_new():
    assert {field.mark for field in document_diff(None, {"a": 1, "b": {"c": 2}})} == {Mark.ADDED}


def test_a_document_nested_too_deep_is_compared_as_text_below_the_bound():
    deep = "x"
    for _ in range(200):
        deep = {"k": deep}

    (field,) = document_diff(deep, json.loads(json.dumps(deep).replace("x", "y")))

    assert field.mark is Mark.CHANGED
