import re

import pytest

from assent.cards.domain import REQUIRED, SECTIONS, completeness, named, required
from tests.cards.conftest import FORM
from tests.cards.documents import EVALUATION, FULL, PREDECESSOR, SAFETY, complete, document


def test_a_card_has_twenty_sections_of_which_six_are_live():
    assert [section.number for section in SECTIONS] == list(range(1, 21))
    live = [section.number for section in SECTIONS if section.live]
    assert live == [13, 14, 15, 16, 17, 20]


def test_each_tier_requires_its_sections():
    assert sorted(REQUIRED["minimal"]) == [1, 2, 3, 4]
    assert sorted(REQUIRED["limited"]) == [*range(1, 12), 18]
    assert sorted(REQUIRED["high"]) == [*range(1, 13), 18, 19]
    assert required(None) == required("unheard of") == REQUIRED["high"]


def test_no_tier_requires_a_live_section():
    live = {section.number for section in SECTIONS if section.live}
    assert not live & set().union(*REQUIRED.values())


@pytest.mark.parametrize("tier", ["minimal", "limited", "high"])
def test_a_full_card_is_complete_for_every_tier_but_the_prohibited(tier):
    found = completeness(complete(tier=tier))
    assert (found.complete, found.missing, found.missing_paths) == (True, (), frozenset())


def test_no_card_of_a_prohibited_version_is_complete():
    found = completeness(complete(tier="prohibited"))
    assert (found.complete, found.missing) == (False, ())


def test_a_version_without_a_tier_is_never_complete():
    found = completeness(complete(tier=None))
    assert (found.tier, found.missing, found.complete) == (None, (2,), False)


@pytest.mark.parametrize(
    ("tier", "missing"),
    [
        ("minimal", (2, 3, 4)),
        ("limited", (2, 3, 4, 5, 6, 7, 9, 10, 11)),
        ("high", (2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 19)),
    ],
)
def test_a_bare_card_misses_what_its_tier_requires(tier, missing):
    assert completeness(document(tier=tier)).missing == missing


def test_a_version_with_a_predecessor_is_compared_and_says_what_changed():
    alone = {**EVALUATION, "baseline": None}
    found = completeness(document(predecessor=PREDECESSOR, evaluations=[alone, SAFETY]))
    assert {8, 18} <= set(found.missing)
    assert not {8, 18} & set(completeness(document(evaluations=[alone])).missing)


def without(path):
    declared = {key: dict(value) if isinstance(value, dict) else value for key, value in FULL.items()}
    *group, key = path.split(".")
    (declared[group[0]] if group else declared).pop(key)
    return declared


@pytest.mark.parametrize(
    ("path", "section"),
    [
        ("contact", 2),
        ("licence", 3),
        ("intended_use.primary_use", 4),
        ("intended_use.users", 4),
        ("intended_use.out_of_scope", 4),
        ("input_output.inputs", 5),
        ("input_output.outputs", 5),
        ("training_data.sources", 6),
        ("training_data.volume", 6),
        ("training_data.pii_handling", 6),
        ("ethical_considerations", 9),
        ("limitations", 10),
        ("operation.cost", 11),
        ("operation.fallbacks", 11),
        ("environmental_impact.hardware", 12),
        ("environmental_impact.energy", 12),
        ("changes", 18),
        ("citations", 19),
    ],
)
def test_each_required_answer_alone_makes_its_section_incomplete(path, section):
    found = completeness(complete(tier="high", declared=without(path)))
    assert (found.missing, found.missing_paths) == ((section,), frozenset({path}))


@pytest.mark.parametrize(
    ("changes", "section"),
    [
        ({"owner": None}, 2),
        ({"base_model": None}, 3),
        ({"evaluations": [EVALUATION]}, 9),
        ({"evaluations": [{**EVALUATION, "baseline": None}, SAFETY]}, 8),
        ({"evaluations": []}, 7),
    ],
)
def test_what_records_must_show_cannot_be_declared(changes, section):
    assert section in completeness(complete(**changes)).missing


def test_a_latency_that_nobody_measured_may_be_declared():
    unmeasured = [{**EVALUATION, "latency": None}, SAFETY]
    assert completeness(complete(evaluations=unmeasured)).complete
    declared = without("operation.latency")
    assert completeness(complete(evaluations=unmeasured, declared=declared)).missing == (11,)


def test_the_version_s_own_document_states_licence_and_intended_use():
    stated = {"summary": "Questions", "users": ["Staff", 7], "out_of_scope": "Law"}
    declared = {key: value for key, value in FULL.items() if key not in {"licence", "intended_use"}}
    found = completeness(complete(licence="MIT", intended_use=stated, declared=declared))
    assert found.complete
    stated = {"primary_use": 7, "users": [], "out_of_scope": ""}
    found = completeness(complete(licence="MIT", intended_use=stated, declared=declared))
    assert found.missing_paths == {f"intended_use.{key}" for key in ("primary_use", "users", "out_of_scope")}


def test_sections_are_named_by_number_and_title():
    assert named(6) == "6 Training data"
    assert all(re.fullmatch(r"\d+ [A-Z].+", named(section.number)) for section in SECTIONS)
    assert FORM.keys() <= FULL.keys()
