"""The filter language: what it reads, what it refuses and where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.kernel.errors import Invalid
from assent.kernel.filters import All, AnyOf, Comparison, Not, parse_filter

OPS = st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "~"])
QUOTED = st.text(max_size=8)


def quoted(text):
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def written(part):
    if isinstance(part, Comparison):
        if part.operator == "IN":
            return f"{quoted(part.field)} IN ({', '.join(map(quoted, part.values))})"
        return f"{quoted(part.field)} {part.operator} {quoted(part.values[0])}"
    if isinstance(part, Not):
        return f"NOT ({written(part.part)})"
    word = " AND " if isinstance(part, All) else " OR "
    return "(" + word.join(f"({written(one)})" for one in part.parts) + ")"


def bare(part):
    """Without places."""
    if isinstance(part, Comparison):
        return (part.field, part.operator, part.values)
    if isinstance(part, Not):
        return ("NOT", bare(part.part))
    return (type(part).__name__, *(bare(one) for one in part.parts))


COMPARISONS = st.builds(Comparison, QUOTED, OPS, st.tuples(QUOTED), st.just(0), st.just(0)) | st.builds(
    Comparison,
    QUOTED,
    st.just("IN"),
    st.lists(QUOTED, min_size=1, max_size=3).map(tuple),
    st.just(0),
    st.just(0),
)
FILTERS = st.recursive(
    COMPARISONS,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(All, st.lists(inner, min_size=2, max_size=3).map(tuple))
        | st.builds(AnyOf, st.lists(inner, min_size=2, max_size=3).map(tuple))
    ),
    max_leaves=8,
)


@given(FILTERS)
def test_what_is_written_out_reads_back(part):
    assert bare(parse_filter(written(part))) == bare(part)


@given(st.text(alphabet="abAND ORNTI()=<>!~,'\"\\ä\x00\n", max_size=40))
def test_any_text_is_read_or_refused_with_its_place(text):
    try:
        parse_filter(text)
    except Invalid as error:
        (reason,) = error.reasons
        assert 1 <= reason.have["position"] <= len(text) + 1
        caret = error.message.splitlines()[-1]
        assert caret.strip() == "^"


def test_and_binds_before_or_and_not_before_and():
    found = parse_filter("a=1 or not b!=2 AND c in (x, 'y z')")
    assert bare(found) == (
        "AnyOf",
        ("a", "=", ("1",)),
        ("All", ("NOT", ("b", "!=", ("2",))), ("c", "IN", ("x", "y z"))),
    )
    assert bare(parse_filter("(a = 1 OR b = 2) AND c NOT IN (3)")) == (
        "All",
        ("AnyOf", ("a", "=", ("1",)), ("b", "=", ("2",))),
        ("NOT", ("c", "IN", ("3",))),
    )


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("", 1, "it ends where a field"),
        ("tier = high AND", 16, "it ends where a field"),
        ("tier high", 6, "'high' stands where one of"),
        ("tier = ", 7, "it ends where a value"),
        ("tier = high extra", 13, "'extra' stands where AND"),
        ("(tier = high", 13, "a closing parenthesis"),
        ("tier IN high", 9, "an opening parenthesis"),
        ("tier IN (a b)", 12, "a comma"),
        ("tier IN (a,)", 12, "where a value"),
        ("tier NOT high", 10, "where IN"),
        ("tier = 'high", 8, "a quote is not closed"),
        ("tier ! high", 6, "'!' has no meaning"),
        ("AND", 1, "'AND' stands"),
        ("(" * 60 + "a = 1" + ")" * 60, 42, "deeper than 40"),
        ("NOT " * 60 + "a = 1", 165, "deeper than 40"),
        (" AND ".join(["a=1"] * 101), 801, "more than 100 comparisons"),
        ("a IN (" + ",".join(["1"] * 300) + ")", 407, "more than 200 values"),
        ("a" * 4001, 4000, "longer than 4,000"),
    ],
)
def test_a_filter_that_does_not_parse_is_refused_with_its_place(text, position, said):
    with pytest.raises(Invalid, match=said.replace("(", r"\(")) as caught:
        parse_filter(text)
    (reason,) = caught.value.reasons
    assert reason.have["position"] == position
    message, line, caret = caught.value.message.split("\n")
    assert message.endswith(f"at character {position}.")
    assert len(line) >= len(caret) - 1
    assert caret.index("^") - 2 == min(position - 1, 60)
