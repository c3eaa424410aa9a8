"""Numbers, documents and interfaces of prompts: pure rules."""

import functools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.kernel.errors import Conflict, Invalid, Refused
from assent.prompts.domain import (
    Bump,
    Number,
    Wish,
    chosen_number,
    derived_bump,
    interface_changes,
    parse_number,
    parse_prompt,
    split_ref,
    step_between,
)
from assent.prompts.domain.document import response_schema, texts_of, tool_name
from assent.prompts.domain.interface import bare, only_adds

parts = st.integers(0, 999_999_999)
words = st.from_regex(r"[0-9]*[A-Za-z-][0-9A-Za-z-]*", fullmatch=True).filter(lambda w: len(w) < 9)
identifiers = st.one_of(parts.map(str), words)
numbers = st.builds(Number, parts, parts, parts, st.lists(identifiers, max_size=3).map(tuple)).filter(
    lambda n: len(str(n)) <= 64
)


def precedence(one, other):
    """Compare as semver.org 2.0.0, section 11, says, written anew."""
    if one.core != other.core:
        return -1 if one.core < other.core else 1
    if not one.prerelease or not other.prerelease:
        return bool(other.prerelease) - bool(one.prerelease)
    for left, right in zip(one.prerelease, other.prerelease, strict=False):
        if left != right:
            if left.isdigit() and right.isdigit():
                return -1 if int(left) < int(right) else 1
            if left.isdigit() != right.isdigit():
                return -1 if left.isdigit() else 1
            return -1 if left < right else 1
    return (len(one.prerelease) > len(other.prerelease)) - (len(one.prerelease) < len(other.prerelease))


@settings(deadline=None)
@given(numbers)
def test_a_number_reads_back_as_it_was_written(number):
    assert parse_number(str(number)) == number


@settings(deadline=None)
@given(numbers, numbers)
def test_numbers_are_ordered_as_the_standard_says(one, other):
    order = precedence(one, other)
    assert (one < other, other < one, one.sort_key == other.sort_key) == (order < 0, order > 0, order == 0)
    assert max(len(one.sort_key), len(other.sort_key)) <= 400


@settings(deadline=None)
@given(numbers.filter(lambda n: max(n.core) < 999_999_999), st.sampled_from(Bump))
def test_a_raised_number_is_higher_and_raises_what_was_asked(number, bump):
    raised = number.raised(bump)
    assert number < raised
    assert step_between(number, raised) is bump
    assert raised.prerelease == ()


def test_a_number_that_would_outgrow_its_order_is_refused():
    with pytest.raises(Invalid, match="not a version number"):
        parse_number("1.999999999.0").raised(Bump.MINOR)


def test_the_order_of_the_standards_own_example():
    text = "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0"
    expected = [parse_number(one) for one in [*text.split(), "0.0.9", "0.0.10"]]
    expected = [*expected[-2:], *expected[:-2]]
    shuffled = random.Random(7).sample(expected, len(expected))
    assert sorted(shuffled) == expected
    assert sorted(shuffled, key=functools.cmp_to_key(precedence)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "01.2.3",
        "1.02.3",
        "1.2.03",
        "v1.2.3",
        " 1.2.3",
        "1.2.3\n",
        "1.2.3-",
        "1.2.3-01",
        "1.2.3-a..b",
        "1.2.3+build",
        "\u0661.2.3",
        "1.2.-3",
        "1.2.3-ä",
        "1e3.0.0",
        "9999999999.0.0",
        "1.2.3-" + "a" * 80,
    ],
)
def test_what_is_no_semantic_version_is_refused(text):
    with pytest.raises(Invalid, match="not a version number") as caught:
        parse_number(text)
    assert "1.2.0" in caught.value.remedy


@pytest.mark.parametrize("ref", ["", "support", "support@", "@1.0.0", "support@latest", "support@1.0"])
def test_a_ref_names_a_name_and_a_number(ref):
    with pytest.raises(Invalid):
        split_ref(ref)


def test_a_ref_is_split_at_its_sign():
    assert split_ref("support@1.2.0") == ("support", "1.2.0")


def document(**changes):
    return parse_prompt({"text": "Hi", **changes}, project="shop", name="greeting")


def reasons(**raw):
    with pytest.raises(Invalid) as caught:
        parse_prompt(raw, project="shop", name="greeting")
    return {reason.id: reason.message for reason in caught.value.reasons}


def test_a_text_becomes_one_system_message_and_every_default_is_written_out():
    assert document() == {
        "kind": "prompt",
        "project": "shop",
        "name": "greeting",
        "format": "text",
        "syntax": "jinja",
        "messages": [{"role": "system", "content": "Hi"}],
        "variables": {},
        "tools": [],
        "response_format": None,
        "parameters": {},
    }


def test_a_document_reads_back_as_itself():
    made = document(
        text=None,
        messages=[{"role": "user", "content": "{{a}} {{b}}"}],
        variables={
            "a": {"schema": {"type": "string"}},
            "b": {"default": 3, "description": "how many"},
            "c": None,
        },
        tags=["b", "a", "b"],
        description="Greets",
        tools=[{"type": "function", "function": {"name": "f"}}],
        response_format={"type": "json_object"},
        parameters={"temperature": 0.5},
    )
    assert parse_prompt(made, project="shop", name="greeting") == made
    assert made["variables"]["a"] == {"schema": {"type": "string"}, "required": True}
    assert made["variables"]["b"] == {
        "schema": {},
        "required": False,
        "default": 3,
        "description": "how many",
    }
    assert made["tags"] == ["a", "b"]


SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        ({"text": "a", "colour": 1}, "colour"),
        ({"text": "a", "kind": "model"}, "kind"),
        ({"text": "a", "project": "other"}, "project"),
        ({"text": "a", "name": "other"}, "name"),
        ({"text": "a", "format": "chat"}, "format"),
        ({"text": "a", "format": "poem"}, "format"),
        ({"text": "a", "syntax": "mustache"}, "syntax"),
        ({"text": " "}, "text"),
        ({"text": 3}, "text"),
        ({"format": "text"}, "text"),
        ({}, "messages"),
        ({"text": "a", "messages": [{"role": "user", "content": "a"}]}, "text"),
        ({"messages": []}, "messages"),
        ({"messages": "a"}, "messages"),
        ({"messages": [{"role": "user", "content": "a"}] * 201}, "messages"),
        ({"messages": ["a"]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": "a", "colour": 1}]}, "messages[0].colour"),
        ({"messages": [{"role": "narrator", "content": "a"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["a"]}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content"),
        ({"text": "a", "variables": ["a"]}, "variables"),
        ({"text": "a", "variables": {f"v{n}": {} for n in range(201)}}, "variables"),
        ({"text": "a", "variables": {"a b": {}}}, "variables.a b"),
        ({"text": "a", "variables": {"loop": {}}}, "variables.loop"),
        ({"text": "a", "variables": {"a": 3}}, "variables.a"),
        ({"text": "a", "variables": {"a": {"type": "string"}}}, "variables.a.type"),
        ({"text": "a", "variables": {"a": {"schema": "string"}}}, "variables.a.schema"),
        ({"text": "a", "variables": {"a": {"required": "yes"}}}, "variables.a.required"),
        ({"text": "a", "variables": {"a": {"required": True, "default": 1}}}, "variables.a"),
        ({"text": "a", "tools": {}}, "tools"),
        ({"text": "a", "tools": [{"type": "function"}]}, "tools[0]"),
        ({"text": "a", "tools": [{"type": "function", "function": {"name": "f"}}] * 2}, "tools[1]"),
        ({"text": "a", "response_format": "json"}, "response_format"),
        ({"text": "a", "response_format": {"type": "json_schema"}}, "response_format"),
        ({"text": "a", "parameters": []}, "parameters"),
        ({"text": "a", "parameters": {"model": "x"}}, "parameters.model"),
        ({"text": "a", "tags": "a"}, "tags"),
        ({"text": "a", "tags": ["A B"]}, "tags"),
        ({"text": "a", "tags": [f"t{n}" for n in range(40)]}, "tags"),
        ({"text": "a", "description": 3}, "description"),
    ],
)
def test_a_mistake_is_named_by_its_place(raw, where):
    found = reasons(**raw)
    assert where in found
    assert found[where]


def test_a_text_prompt_that_was_read_back_is_the_same():
    made = document(text="Hi")
    assert parse_prompt(made, project="shop", name="greeting") == made
    two = [{"role": "user", "content": "a"}] * 2
    assert set(reasons(messages=two, format="text")) == {"format"}


def test_every_mistake_is_told_at_once():
    found = reasons(text="a", colour=1, syntax="x", parameters=[])
    assert set(found) == {"colour", "syntax", "parameters"}


def test_contents_in_parts_and_calls_of_tools_are_kept():
    parts = [{"type": "text", "text": "{{a}}"}, {"type": "image_url", "image_url": {"url": "https://x"}}]
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    messages = [
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None, "tool_calls": calls},
    ]
    made = document(text=None, messages=messages, response_format=SCHEMA)
    assert made["messages"] == messages
    assert list(texts_of(made)) == [("messages[0].content[0].text", "{{a}}")]
    assert response_schema(made) == {"type": "object"}


@pytest.mark.parametrize(
    "tool",
    [
        "f",
        {},
        {"type": "x"},
        {"type": "function", "function": {"name": "a b"}},
        {"type": "function", "function": {"name": "f", "parameters": []}},
    ],
)
def test_what_is_no_tool_has_no_name(tool):
    assert tool_name(tool) is None


VARIABLE = {"schema": {"type": "string", "description": "a name"}, "required": True}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def shape(schema):
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


OBJECT = {"type": "object", "properties": {"a": {"type": "string", "title": "A"}}, "required": ["a"]}
CHANGES = [
    ({}, {"text": "Hello"}, "patch"),
    ({}, {"parameters": {"temperature": 1}}, "patch"),
    ({}, {"variables": {"a": VARIABLE}}, "major"),
    ({}, {"variables": {"a": {"default": "x"}}}, "minor"),
    ({"variables": {"a": VARIABLE}}, {}, "major"),
    ({"variables": {"a": {"default": "x"}}}, {}, "major"),
    ({"variables": {"a": VARIABLE}}, {"variables": {"a": {"schema": {"type": "integer"}}}}, "major"),
    ({"variables": {"a": VARIABLE}}, {"variables": {"a": {"schema": {"type": "string"}}}}, "patch"),
    ({"variables": {"a": {"default": 1}}}, {"variables": {"a": {}}}, "major"),
    ({"variables": {"a": {}}}, {"variables": {"a": {"required": False}}}, "minor"),
    ({"variables": {"a": {"default": 1}}}, {"variables": {"a": {"default": 2}}}, "patch"),
    ({}, {"tools": [TOOL]}, "minor"),
    ({"tools": [TOOL]}, {}, "minor"),
    ({"tools": [TOOL]}, {"tools": [{"type": "function", "function": {"name": "f", "description": "x", "parameters": {"type": "object"}}}]}, "patch"),
    ({"tools": [TOOL]}, {"tools": [{"type": "function", "function": {"name": "f"}}]}, "major"),
    ({}, {"text": None, "messages": [{"role": "system", "content": "Hi"}]}, "major"),
    ({}, {"response_format": shape(OBJECT)}, "major"),
    ({"response_format": shape(OBJECT)}, {}, "major"),
    ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}, "patch"),
    ({"response_format": shape(OBJECT)}, {"response_format": shape({**OBJECT, "title": "T"})}, "patch"),
    ({"response_format": shape(OBJECT)}, {"response_format": shape({**OBJECT, "properties": {**OBJECT["properties"], "b": {}}})}, "minor"),
    ({"response_format": shape(OBJECT)}, {"response_format": shape({**OBJECT, "properties": {}})}, "major"),
    ({"response_format": shape(OBJECT)}, {"response_format": shape({**OBJECT, "properties": {"a": {"type": "integer"}}})}, "major"),
    ({"response_format": shape(OBJECT)}, {"response_format": shape({**OBJECT, "required": []})}, "major"),
    ({"response_format": shape({"enum": ["a", "b"]})}, {"response_format": shape({"enum": ["a"]})}, "major"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "bump"), CHANGES)
def test_the_interface_says_how_much_a_change_raises(before, after, bump):
    changes = interface_changes(document(**before), document(**after))
    assert derived_bump(changes) == bump


fields = st.fixed_dictionaries(
    {},
    optional={
        "text": st.sampled_from(["a", "b"]),
        "variables": st.dictionaries(
            st.sampled_from("xyz"),
            st.sampled_from([{}, {"default": 1}, {"schema": {"type": "integer"}}, {"required": False}]),
        ),
        "tools": st.sampled_from([[], [TOOL]]),
        "response_format": st.sampled_from([None, {"type": "json_object"}, shape(OBJECT)]),
    },
)


@settings(deadline=None)
@given(fields, fields)
def test_a_caller_that_stays_as_it_is_breaks_only_by_a_major_change(before, after):
    old, new = document(**before), document(**after)
    required = {name for name, one in new["variables"].items() if one["required"]}
    accepted = set(new["variables"])
    for sent in [set(old["variables"]), {n for n, v in old["variables"].items() if v["required"]}]:
        if not required <= sent <= accepted:
            assert derived_bump(interface_changes(old, new)) is Bump.MAJOR


@settings(deadline=None)
@given(fields, st.sampled_from(Bump), numbers.filter(lambda n: max(n.core) < 999_999_999))
def test_a_bump_may_be_higher_than_derived_but_never_lower(after, asked, latest):
    changes = interface_changes(document(), document(**after))
    needed = derived_bump(changes)
    if asked.weight < needed.weight:
        with pytest.raises(Refused) as caught:
            chosen_number(latest, changes, Wish(asked))
        assert caught.value.reasons
        assert str(latest.raised(needed)) in caught.value.remedy
    else:
        assert chosen_number(latest, changes, Wish(asked)) == latest.raised(asked)


def test_the_first_number_is_1_0_0_unless_the_author_gives_another():
    assert str(chosen_number(None, (), Wish())) == "1.0.0"
    assert str(chosen_number(None, (), Wish(Bump.MAJOR))) == "1.0.0"
    assert str(chosen_number(None, (), Wish(number="0.4.0"))) == "0.4.0"


@pytest.mark.parametrize(
    ("wish", "error", "words"),
    [
        (Wish(Bump.MAJOR, "2.0.0"), Invalid, "not both"),
        (Wish(number="1.2.0-rc.1"), Invalid, "pre-release"),
        (Wish(number="1.1.9"), Conflict, "not above"),
        (Wish(number="1.2.0"), Conflict, "not above"),
        (Wish(number="1.2.1"), Refused, "needs a minor"),
    ],
)
def test_a_number_asked_for_must_be_free_and_high_enough(wish, error, words):
    changes = interface_changes(document(), document(tools=[TOOL]))
    with pytest.raises(error, match=words):
        chosen_number(parse_number("1.2.0"), changes, wish)


@pytest.mark.parametrize("number", ["1.3.0", "1.9.4", "2.0.0", "7.0.0"])
def test_a_number_asked_for_may_leave_gaps(number):
    changes = interface_changes(document(), document(tools=[TOOL]))
    assert str(chosen_number(parse_number("1.2.0"), changes, Wish(number=number))) == number


def test_a_property_that_is_called_as_an_annotation_is_no_annotation():
    assert bare({"properties": {"title": {"title": "T", "type": "string"}}}) == {
        "properties": {"title": {"type": "string"}}
    }
    assert bare({"required": ["b", "a"], "enum": [2, 1]}) == bare({"required": ["a", "b"], "enum": [1, 2]})
    assert bare([{"description": "x", "const": {"title": 1}}]) == [{"const": {"title": 1}}]


def test_properties_are_added_at_any_depth():
    inner = {"type": "object", "properties": {"a": {}}}
    wider = {"type": "object", "properties": {"a": {}, "b": {}}}
    assert only_adds({"properties": {"x": inner}}, {"properties": {"x": wider}})
    assert only_adds({"items": inner}, {"items": wider})
    assert not only_adds({"items": wider}, {"items": inner})
    assert not only_adds({"items": inner}, {"items": wider, "minItems": 1})
    assert not only_adds({"properties": {"x": inner}}, {"properties": {"x": wider}, "maxProperties": 1})
