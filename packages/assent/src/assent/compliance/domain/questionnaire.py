"""The risk questionnaire: questions as dated data, and the tier that follows from the answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from assent.compliance.domain.version_checks import TIERS
from assent.kernel.errors import Invalid, Reason

ANSWERS = ("yes", "no", "unsure")
"""Who is unsure is treated as if the answer were yes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question; yes means at least this tier."""

    id: str
    asks: str
    tier: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Questionnaire:
    """A version of the questionnaire as of a day."""

    id: str
    as_of: date
    source: str
    secondary: bool
    questions: tuple[Question, ...]


def parse_questionnaire(raw: Mapping[str, Any]) -> Questionnaire:
    """Read a questionnaire's document. Raises: ValueError, KeyError for one that is not well made."""
    questions = tuple(Question(**one) for one in raw["questions"])
    if any(one.tier not in TIERS for one in questions):
        raise ValueError(f"the questionnaire {raw['id']} names a tier that there is not")
    return Questionnaire(
        id=raw["id"],
        as_of=date.fromisoformat(raw["as_of"]),
        source=raw["source"],
        secondary=raw["secondary"],
        questions=questions,
    )


def tier_of(questionnaire: Questionnaire, answers: Mapping[str, Any]) -> str:
    """Give the highest tier of what was not answered with no. Raises: Invalid with every mistake."""
    known = {one.id for one in questionnaire.questions}
    mistakes = [
        Reason(str(key)[:80], f"There is no question {str(key)[:80]!r}.")
        for key in sorted(answers.keys() - known, key=str)
    ]
    for question in questionnaire.questions:
        if answers.get(question.id) not in ANSWERS:
            message = f"Answer yes, no or unsure. {question.asks}"
            mistakes.append(Reason(question.id, message, have=answers.get(question.id), need="an answer"))
    if mistakes:
        raise Invalid(
            f"The questionnaire {questionnaire.id} is not answered: {len(mistakes)} mistakes.",
            reasons=mistakes,
            remedy="`assent compliance questions` prints it with every question.",
        )
    raised = [TIERS.index(one.tier) for one in questionnaire.questions if answers[one.id] != "no"]
    return TIERS[max(raised, default=0)]
