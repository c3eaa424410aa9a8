"""The scorer of multiple-choice questions: by letter or by text, whatever sentence it stands in."""

import re
from typing import Any

from assent.evaluation.domain.fields import Fields
from assent.evaluation.scorers.base import Case, Scorer, Unscorable

MAX_CHOICES = 26
_SAID = re.compile(
    r"(?:answer|choice|option)\s*(?:is|:|=)?\s*[*_\s]*\(?([A-Za-z])\)?(?![A-Za-z0-9'\u2019])", re.IGNORECASE
)
_ALONE = re.compile(r"\A[\s*_(\[]*([A-Za-z])(?:[\s*_)\].:,;-]|\Z)")
_ONLY_LETTER = re.compile(r"\A[\s*_(\[]*([A-Za-z])[\s*_)\].:,;]*\Z")


def choice(config: Fields) -> Scorer:
    """Score 1 where the answer picks the right one of the case's choices; one that picks none is wrong.

    The target is a letter (A is the first), a choice's text, or its place from 0.
    """
    pick_last = config.one_of("which", "last", ("first", "last")) == "last"

    def score(case: Case) -> float:
        if not 2 <= len(case.choices) <= MAX_CHOICES:  # noqa: PLR2004 -- one is no choice
            raise Unscorable(f"the case must have 2 to {MAX_CHOICES} choices")
        wanted = _place(case.target, case.choices)
        return float(_picked(case.answer, case.choices, last=pick_last) == wanted)

    return score


def _place(target: Any, choices: tuple[str, ...]) -> int:
    if isinstance(target, int) and not isinstance(target, bool) and 0 <= target < len(choices):
        return target
    if isinstance(target, str) and choices.count(target) == 1:
        return choices.index(target)
    place = _letter(target.strip(), len(choices)) if isinstance(target, str) else None
    if place is None:
        raise Unscorable("the case's target is no letter, text or place of one of its choices")
    return place


def _letter(text: str, n: int) -> int | None:
    place = ord(text.upper()) - ord("A") if len(text) == 1 and text.isascii() else -1
    return place if 0 <= place < n else None


def _picked(answer: str, choices: tuple[str, ...], *, last: bool) -> int | None:
    """Read what was picked: a lone letter, a whole text, what is called the answer, the one text named."""
    only = _ONLY_LETTER.match(answer)
    if only is not None:
        return _letter(only[1], len(choices))
    folded = " ".join(answer.casefold().split()).strip(" .")
    texts = [" ".join(one.casefold().split()).strip(" .") for one in choices]
    if texts.count(folded) == 1:
        return texts.index(folded)
    said = [place for one in _SAID.findall(answer) if (place := _letter(one, len(choices))) is not None]
    if said:
        return said[-1 if last else 0]
    named = [place for place, text in enumerate(texts) if text and _names(folded, text)]
    if len(named) == 1:
        return named[0]
    first = _ALONE.match(answer)
    # "A cat." begins with a word, "A) cat" and "B: …" with a letter.
    if first is not None and (first[1] not in "AaIi" or answer[first.end() - 1 : first.end()].strip(" ")):
        return _letter(first[1], len(choices))
    return None


def _names(answer: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", answer) is not None
