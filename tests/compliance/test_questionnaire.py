"""The risk questionnaire: every question answered, the highest tier counts, who is unsure counts as yes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.compliance.domain import ANSWERS, parse_questionnaire, tier_of
from assent.compliance.domain.version_checks import TIERS
from assent.compliance.service import questionnaire
from assent.kernel.errors import Invalid

ASKED = questionnaire()
NO = {one.id: "no" for one in ASKED.questions}


@pytest.mark.parametrize(
    ("answers", "tier"),
    [
        ({}, "minimal"),
        ({"talks": "yes"}, "limited"),
        ({"talks": "yes", "employment": "yes"}, "high"),
        ({"employment": "unsure"}, "high"),
        ({"prohibited": "yes"}, "prohibited"),
    ],
)
def test_the_tier_is_the_highest_of_what_was_not_answered_with_no(answers, tier):
    assert tier_of(ASKED, {**NO, **answers}) == tier


@given(st.fixed_dictionaries({one.id: st.sampled_from(ANSWERS) for one in ASKED.questions}), st.data())
def test_one_more_no_never_raises_the_tier(answers, data):
    question = data.draw(st.sampled_from(sorted(answers)))
    less = tier_of(ASKED, {**answers, question: "no"})
    assert TIERS.index(less) <= TIERS.index(tier_of(ASKED, answers))


def test_every_mistake_is_named_at_once():
    with pytest.raises(Invalid) as found:
        tier_of(ASKED, {**NO, "talks": "maybe", "colour": "yes", "acts": None})
    assert {reason.id for reason in found.value.reasons} == {"talks", "colour", "acts"}
    with pytest.raises(Invalid):
        tier_of(ASKED, {})


def test_a_questionnaire_with_a_tier_that_there_is_not_is_refused():
    question = {"id": "a", "asks": "?", "tier": "huge", "source": "s"}
    raw = {"id": "q", "as_of": "2026-11-25", "source": "s", "secondary": True, "questions": [question]}
    with pytest.raises(ValueError, match="a tier that there is not"):
        parse_questionnaire(raw)
