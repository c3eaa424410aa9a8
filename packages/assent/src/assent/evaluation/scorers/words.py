"""Scorers that compare words: token F1, ROUGE-L, and the share of claims that a context does not support.

They count words and understand none: a paraphrase counts as unsupported, and a sentence that denies its
context in the context's own words counts as supported.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from assent.evaluation.domain.fields import Fields
from assent.evaluation.scorers.base import Case, Scorer, Unscorable, texts

MAX_LENGTH = 50_000
_PUNCTUATION = str.maketrans("", "", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_ARTICLES = frozenset({"a", "an", "the"})
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_QUOTED = re.compile(r'["“”]([^"“”]{1,200})["“”]')
_SENTENCE_END = re.compile(r"(?<=[.!?])\s|\n")
_SHORT = 4
"""Words below this length (articles, pronouns, prepositions) claim nothing."""


def f1(_config: Fields) -> Scorer:
    """Token F1 as SQuAD defines it: no case, punctuation or articles; the best of several targets."""
    return lambda case: _best(case, _squad_words, _f1)


def rouge_l(_config: Fields) -> Scorer:
    """F-measure of the longest common subsequence of words; the best of several targets."""
    return lambda case: _best(case, _words, _rouge_l)


def hallucination(config: Fields) -> Scorer:
    """Share of the answer's sentences that the context in target {"context": …} does not support."""
    support = config.number("support", 0.5, 0.0, 1.0)

    def score(case: Case) -> float:
        answer, target = case.answer, case.target
        context = target.get("context") if isinstance(target, dict) else None
        if not isinstance(context, str) or not context.strip():
            raise Unscorable('the case\'s target is not {"context": text}')
        _bound(answer, context)
        folded, words, numbers = context.casefold(), frozenset(_words(context)), _numbers(context)
        claims = [one.casefold() for one in _SENTENCE_END.split(answer) if _WORD.search(one)]

        def supported(claim: str) -> bool:
            if not _numbers(claim) <= numbers:
                return False
            if any(name.strip(" .,;:!?") not in folded for name in _QUOTED.findall(claim)):
                return False
            telling = [word for word in _words(claim) if len(word) >= _SHORT]
            return sum(word in words for word in telling) >= support * len(telling)

        return sum(not supported(claim) for claim in claims) / len(claims) if claims else 0.0

    return score


def _numbers(text: str) -> frozenset[str]:
    return frozenset(one.replace(",", "") for one in _NUMBER.findall(text))


def _best(case: Case, split: Any, compare: Any) -> float:
    wanted = texts(case.target)
    _bound(case.answer, *wanted)
    given = split(case.answer)
    return max(float(compare(given, split(one))) for one in wanted)


def _bound(*texts: str) -> None:
    if sum(len(text) for text in texts) > MAX_LENGTH:
        raise Unscorable(f"answer and target have more than {MAX_LENGTH:,} characters")


def _squad_words(text: str) -> list[str]:
    return [word for word in text.lower().translate(_PUNCTUATION).split() if word not in _ARTICLES]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _f1(given: Sequence[str], wanted: Sequence[str]) -> float:
    if not given or not wanted:
        return float(given == wanted)
    return 2 * (Counter(given) & Counter(wanted)).total() / (len(given) + len(wanted))


def _rouge_l(given: Sequence[str], wanted: Sequence[str]) -> float:
    if not given or not wanted:
        return float(given == wanted)
    return 2 * _common_length(given, wanted) / (len(given) + len(wanted))


def _common_length(left: Sequence[str], right: Sequence[str]) -> int:
    """Length of the longest common subsequence, a row of the table at a time as bits (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for number, word in enumerate(left):
        places[word] = places.get(word, 0) | 1 << number
    mask = (1 << len(left)) - 1
    row = mask
    for word in right:
        hit = row & places.get(word, 0)
        row = ((row + hit) | (row - hit)) & mask
    return len(left) - row.bit_count()
