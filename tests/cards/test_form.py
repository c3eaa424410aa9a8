from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from assent.cards.domain import Blank, parse_form, print_form
from assent.cards.domain.form import FIELDS, MAX_ITEMS, MAX_TEXT, is_plain
from assent.kernel.errors import Invalid
from assent_client.cli import strict_yaml
from tests.cards.documents import FULL


def refused(raw):
    with pytest.raises(Invalid) as caught:
        parse_form(raw)
    return [reason.id for reason in caught.value.reasons]


def test_a_filled_form_is_read_as_it_is():
    assert parse_form(FULL) == FULL


def test_what_is_empty_counts_as_not_given():
    raw = {"contact": "  ", "limitations": [" ", None], "safety": None, "training_data": {"volume": None}}
    assert parse_form({**raw, "performance": None, "citations": []}) == {}


def test_one_text_may_stand_for_a_list():
    assert parse_form({"limitations": "Old products"}) == {"limitations": ["Old products"]}


@pytest.mark.parametrize("raw", [None, [], "text", 7])
def test_a_form_is_a_mapping(raw):
    assert refused(raw) == []


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        ({"owner": "me"}, ["owner"]),
        ({"training_data": {"size": "1"}}, ["training_data.size"]),
        ({"training_data": ["a"]}, ["training_data"]),
        ({"contact": 7}, ["contact"]),
        ({"contact": ["a"]}, ["contact"]),
        ({"contact": "x" * (MAX_TEXT + 1)}, ["contact"]),
        ({"contact": "safe\u202eevil"}, ["contact"]),
        ({"contact": "bell\x07"}, ["contact"]),
        ({"contact": "\ud800"}, ["contact"]),
        ({"contact": "\ufffe"}, ["contact"]),
        ({"limitations": ["a"] * (MAX_ITEMS + 1)}, ["limitations"]),
        ({"limitations": [{"a": 1}]}, ["limitations"]),
        ({"performance": {}}, ["performance"]),
        ({"performance": [{"label": "a", "value": "1"}] * (MAX_ITEMS + 1)}, ["performance"]),
        ({"performance": ["Accuracy"]}, ["performance.0"]),
        ({"performance": [{"label": "a"}]}, ["performance.0"]),
        ({"performance": [{"value": "1"}]}, ["performance.0"]),
        ({"performance": [{"label": "a", "suite": "s"}]}, ["performance.0"]),
        ({"performance": [{"label": "a", "source": "s"}]}, ["performance.0"]),
        ({"performance": [{"label": "a", "metric": "m", "value": "1"}]}, ["performance.0"]),
        ({"performance": [{"label": "a", "value": "1", "unit": "s"}]}, ["performance.0.unit"]),
        ({"performance": [{"label": "a", "value": 1}]}, ["performance.0.value", "performance.0"]),
        ({"performance": [{"label": "a", "value": "1"}, {"label": "a", "value": "2"}]}, ["performance"]),
        ({"owner": "me", "contact": 7, 3: "x"}, ["owner", "3", "contact"]),
    ],
)
def test_every_mistake_is_named_with_its_place(raw, where):
    assert refused(raw) == where


def test_a_measured_row_names_its_metric():
    rows = [{"label": "Accuracy", "metric": "correct", "suite": "regression"}]
    assert parse_form({"performance": rows}) == {"performance": rows}


character = st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp")).filter(is_plain)
plain_text = st.text(st.one_of(st.sampled_from("\"'#:-{}[]|>&*! \t\n\u200d"), character), max_size=12).map(
    lambda text: f"x{text}y"
)


@st.composite
def forms(draw):
    filled = {}
    for field in draw(st.sets(st.sampled_from(FIELDS), max_size=6)):
        value = draw(plain_text)
        into = filled if len(field.keys) == 1 else filled.setdefault(field.keys[0], {})
        into[field.keys[-1]] = [value, value] if field.is_list else value
    if draw(st.booleans()):
        filled["performance"] = [{"label": draw(plain_text), "value": draw(plain_text)}]
    return filled


@settings(max_examples=40, deadline=None)
@given(declared=forms())
def test_a_printed_form_reads_back_as_it_was(declared):
    text = print_form(Blank("support@2.1.0", "limited", declared))
    assert parse_form(strict_yaml.parse(text.encode(), Path("form.yaml")).value) == declared
    assert parse_form(yaml.safe_load(text)) == declared


@settings(max_examples=15, deadline=None)
@given(start=forms())
def test_the_previous_text_is_offered_only_where_nothing_is_declared(start):
    own = {"contact": "me", "limitations": ["mine"]}
    text = print_form(Blank("support@2.1.0", None, own, start=start, start_ref="support@2.0.0"))
    offered = parse_form(yaml.safe_load(text))
    assert offered == {**start, **own}
    assert ("From support@2.0.0." in text) == bool(start.keys() - own.keys())


def test_what_is_missing_stands_beside_the_question():
    text = print_form(Blank("support@2.1.0", None, {}, missing=frozenset({"contact"})))
    asked = [line for line in text.splitlines() if "MISSING" in line]
    assert asked == ["# Whom to ask about it. MISSING: required."]
    assert "tier not recorded" in text
