"""The scorer of verifiable instructions: length, keywords, format; no judge and no language is needed.

Kinds follow IFEval (Zhou et al. 2023, arXiv 2311.07911), those of them that a program can tell for certain.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from assent.evaluation.domain.fields import Fields
from assent.evaluation.scorers.base import Case, Scorer, Unscorable

MAX_CHECKS = 30
_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")
_SENTENCE = re.compile(r"[^.!?\u2026\u3002\uff01\uff1f]+[.!?\u2026\u3002\uff01\uff1f]*")
_BULLET = re.compile(r"^[ \t]*(?:[*+-]|\d{1,3}[.)])[ \t]+\S", re.MULTILINE)
_PLACEHOLDER = re.compile(r"\[[^\[\]\n]{1,100}\]")
_TITLE = re.compile(r"<<[^<>\n]{1,200}>>")
_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n\s*```\s*\Z", re.DOTALL)

Check = Callable[[str, Any], bool]


def _n_words(text: str) -> int:
    return len(_WORD.findall(text))


def _n_sentences(text: str) -> int:
    return sum(bool(_WORD.search(one)) for one in _SENTENCE.findall(text))


def _n_paragraphs(text: str) -> int:
    return sum(bool(one.strip()) for one in re.split(r"\n\s*\n", text))


def _is_json(text: str, fenced: Any) -> bool:
    found = _FENCE.match(text) if fenced else None
    try:
        json.loads(found[1] if found else text)
    except (ValueError, RecursionError):
        return False
    return True


def _has(text: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word.casefold())}(?!\w)", text.casefold()) is not None


_COUNTED: Mapping[str, Callable[[str], int]] = {
    "characters": len,
    "words": _n_words,
    "sentences": _n_sentences,
    "paragraphs": _n_paragraphs,
    "bullets": lambda text: len(_BULLET.findall(text)),
    "placeholders": lambda text: len(_PLACEHOLDER.findall(text)),
}
_TEXTS: Mapping[str, Check] = {
    "includes": lambda text, words: all(_has(text, one) for one in words),
    "excludes": lambda text, words: not any(_has(text, one) for one in words),
    "starts_with": lambda text, words: any(text.lstrip().startswith(one) for one in words),
    "ends_with": lambda text, words: any(text.rstrip().endswith(one) for one in words),
}
_FLAGS: Mapping[str, Check] = {
    "json": lambda text, _: _is_json(text, fenced=False),
    "json_fenced": lambda text, _: _is_json(text, fenced=True),
    "lowercase": lambda text, _: text == text.lower(),
    "uppercase": lambda text, _: text == text.upper(),
    "no_commas": lambda text, _: not re.search(r"[,\u060c\uff0c\u3001]", text),
    "quoted": lambda text, _: len(text.strip()) > 1 and text.strip()[0] == text.strip()[-1] == '"',
    "title": lambda text, _: _TITLE.search(text) is not None,
}
INSTRUCTIONS = (
    *(f"{bound}_{what}" for bound in ("min", "max") for what in _COUNTED),
    *_TEXTS,
    *_FLAGS,
)


def instruction(config: Fields) -> Scorer:
    """Score the share of instructions that are followed; with `strict`, 1 only where all are.

    They are those of the suite (`checks`), and those of the case: target {"instructions": {"max_words": 50}}.
    """
    strict = config.flag("strict", default=False)
    own = config.raw("checks", {})
    for mistake in _mistakes(own):
        config.wrong("checks", mistake, f"Known: {', '.join(INSTRUCTIONS)}.")

    def score(case: Case) -> float:
        said = case.target.get("instructions") if isinstance(case.target, Mapping) else None
        checks = [*own.items(), *(said.items() if isinstance(said, Mapping) else ())]
        if said is not None and (mistakes := _mistakes(said)):
            raise Unscorable(f"the case's instructions: {mistakes[0]}")
        if not 1 <= len(checks) <= MAX_CHECKS:
            raise Unscorable(f"the case must have 1 to {MAX_CHECKS} instructions")
        followed = [_follows(case.answer, name, value) for name, value in checks]
        return float(all(followed)) if strict else sum(followed) / len(followed)

    return score


def _mistakes(checks: Any) -> Sequence[str]:
    if not isinstance(checks, Mapping):
        return ["must be a mapping of instructions to values"]
    return [f"{name} {problem}" for name, value in checks.items() if (problem := _problem(str(name), value))]


def _problem(name: str, value: Any) -> str:
    if name in _TEXTS:
        words = value if isinstance(value, list) else [value]
        fits = 0 < len(words) <= 100 and all(isinstance(one, str) and 0 < len(one) <= 1000 for one in words)  # noqa: PLR2004 -- said
        return "" if fits else "must be a text or a list of 1 to 100 texts of 1 to 1,000 characters"
    if name in _FLAGS:
        return "" if value is True else "must be true"
    if name in INSTRUCTIONS:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return "" if whole and 0 <= value <= 1_000_000 else "must be a whole number from 0 to 1,000,000"  # noqa: PLR2004 -- said
    return "is not a known instruction"


def _follows(answer: str, name: str, value: Any) -> bool:
    if name in _TEXTS:
        return _TEXTS[name](answer, value if isinstance(value, list) else [value])
    if name in _FLAGS:
        return _FLAGS[name](answer, value)
    bound, _, what = name.partition("_")
    counted = _COUNTED[what](answer)
    return bool(counted >= value if bound == "min" else counted <= value)
