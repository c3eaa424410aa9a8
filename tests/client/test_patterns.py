"""Patterns: the same answers as the usual engine, and linear time where that one needs years."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent_client.patterns import MAX_TEXT, compile_pattern

ATOMS = [
    "a",
    "b",
    ".",
    "[ab]",
    "[^a]",
    r"\d",
    r"\D",
    r"[\w-]",
    r"\.",
    "1",
    "(a|b)",
    "(ab)",
    "(?:a|)",
    "(a*b)",
    "(a+)",
]
TIMES = ["", "*", "+", "?", "+?", "{2}", "{1,3}", "{0,2}", "{2,}", "{0}", "|"]
parts = st.lists(st.tuples(st.sampled_from(ATOMS), st.sampled_from(TIMES)), min_size=1, max_size=4)


@given(parts=parts, texts=st.lists(st.text("ab1.\n", max_size=6), min_size=1, max_size=8))
def test_answers_are_those_of_the_usual_engine(parts, texts):
    pattern = "".join(atom + times for atom, times in parts)
    ours, theirs = compile_pattern(pattern), re.compile(pattern, re.ASCII)
    assert [ours(text) for text in texts] == [bool(theirs.fullmatch(text)) for text in texts]


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("^ab$", "ab", True),
        ("", "", True),
        ("", "a", False),
        ("[]a]+", "]a", True),
        ("[a-]", "-", True),
        ("[+--]", ",", True),
        (r"[\--\.]", ".", True),
        (r"[\d]\t", "7\t", True),
        (r"\S+@example\.org", "ada@example.org", True),
        (r"\S+@example\.org", "ada@exampleXorg", False),
        ("é+", "éé", True),
        (r"\d", "٣", False),
    ],
)
def test_a_pattern_matches_whole_texts(pattern, text, matches):
    assert compile_pattern(pattern)(text) is matches


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(.*.*.*.*){40}x", "(a?){60}a{60}b"])
def test_no_pattern_takes_longer_than_its_size_times_the_text(pattern):
    matches = compile_pattern(pattern)
    began = time.process_time()
    assert not matches("a" * MAX_TEXT)
    assert not matches("".join(chr(0x4E00 + n) for n in range(MAX_TEXT)))
    assert time.process_time() - began < 5  # the usual engine would not end at all


def test_long_texts_match_nothing_and_memory_is_bounded():
    matches = compile_pattern(".*")
    assert matches("a" * MAX_TEXT)
    assert not matches("a" * (MAX_TEXT + 1))
    assert all(matches(chr(0x4E00 + n)) for n in range(10_000))


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "ends within a group"),
        ("a)", r"unmatched \)"),
        ("[", "ends within a set"),
        ("a{", "ends within a repetition"),
        ("a\\", "ends within an escape"),
        ("[z-a]", "not in order"),
        ("[a-", "ends within a set"),
        ("a**", "repetition of a repetition"),
        ("*", "repetition of nothing"),
        ("(?=a)", "look-around"),
        (r"(a)\1", r"\\1, which is not supported"),
        (r"\bword", "not supported"),
        ("a{3,1}", "not in order"),
        ("a{1000}", "more than 100"),
        ("a{x}", "{m,n}"),
        ("a{1,x}", "{m,n}"),
        ("(" * 21 + "a" + ")" * 21, "more than 20 groups"),
        ("a^b", "anchor"),
        ("(a$)", "anchor"),
        ("(a{99}){99}", "more than 200 positions"),
        ("x" * 201, "200 characters at most"),
    ],
)
def test_what_is_not_supported_is_refused_with_its_place(pattern, message):
    with pytest.raises(ValueError, match=message):
        compile_pattern(pattern)
