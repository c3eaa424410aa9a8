"""Scorers by pattern: regex, and numbers that a pattern picks.

Patterns run on `regex` with a time limit: the standard `re` cannot be interrupted, and one answer that
makes a pattern backtrack would hold the whole run. RE2 would need no limit, but has no wheels for
every platform that Assent runs on. A pattern that exceeds its limit leaves the case unscorable, on record.
"""

from decimal import Decimal, InvalidOperation

import regex  # type: ignore[import-untyped]  # it ships no types

from assent.evaluation.domain.fields import Fields
from assent.evaluation.scorers.base import Case, Scorer, Unscorable
from assent.kernel.errors import Invalid

TIME_LIMIT_S = 0.1
MAX_PATTERN_LENGTH = 1000
MAX_REPEAT = 1000
NUMBER = r"-?\$?\d[\d,]*(?:\.\d+)?(?:[eE][+-]?\d{1,3})?"
_MAX_NUMBER_LENGTH = 100


class Pattern:
    """A pattern that cannot run away: bounded when compiled, and bounded in time when searched."""

    def __init__(self, text: str, *, ignore_case: bool = False) -> None:
        if len(text) > MAX_PATTERN_LENGTH:
            raise Invalid(f"A pattern has at most {MAX_PATTERN_LENGTH:,} characters, not {len(text):,}.")
        # Nested counted repeats are expanded when compiled: {1000} in {1000} would take all memory.
        product = 1
        for low, high in regex.findall(r"\{(\d*)(?:,(\d*))?\}", text):
            product *= max(1, *(int(n[:9]) for n in (low, high) if n), 1)
        if product > MAX_REPEAT:
            raise Invalid(f"The counted repeats of {text!r} multiply to more than {MAX_REPEAT:,}.")
        try:
            self._compiled = regex.compile(text, regex.IGNORECASE if ignore_case else 0)
        except (regex.error, RecursionError, OverflowError) as error:
            raise Invalid(f"{text!r} is not a pattern: {error}") from error

    def found(self, text: str) -> bool:
        """Tell whether it occurs. Raises: Unscorable."""
        try:
            return self._compiled.search(text, timeout=TIME_LIMIT_S) is not None
        except TimeoutError:
            raise Unscorable(f"the pattern took longer than {TIME_LIMIT_S} s on this answer") from None

    def pick(self, text: str, *, last: bool) -> str | None:
        """Give the first or last occurrence: its first group, or all of it. Raises: Unscorable."""
        try:
            picked = None
            for match in self._compiled.finditer(text, timeout=TIME_LIMIT_S):
                picked = match.group(1) if self._compiled.groups else match.group(0)
                if not last:
                    break
        except TimeoutError:
            raise Unscorable(f"the pattern took longer than {TIME_LIMIT_S} s on this answer") from None
        return picked


def matches(config: Fields) -> Scorer:
    """Score 1 where the pattern occurs, or with `absent` where it does not."""
    pattern = _pattern(config, "")
    absent = config.flag("absent", default=False)
    return lambda case: float(pattern.found(case.answer) is not absent)


def _pattern(config: Fields, default: str) -> Pattern:
    text = config.text("pattern", default, required=not default, max_length=MAX_PATTERN_LENGTH)
    try:
        return Pattern(text, ignore_case=config.flag("ignore_case", default=False))
    except Invalid as error:
        config.wrong("pattern", error.message)
        return Pattern("")


def numeric(config: Fields) -> Scorer:
    """Compare the number that `pattern` picks; an answer without one is wrong."""
    pattern = _pattern(config, NUMBER)
    last = config.one_of("which", "last", ("first", "last")) == "last"
    absolute = Decimal(repr(config.number("absolute", 0.0, 0.0, 1e15)))
    relative = Decimal(repr(config.number("relative", 0.0, 0.0, 1.0)))

    def score(case: Case) -> float:
        target = case.target
        wanted = _number(str(target)) if isinstance(target, str | int | float) else None
        if wanted is None or isinstance(target, bool):
            raise Unscorable("the case's target is not a number")
        picked = pattern.pick(case.answer, last=last)
        given = None if picked is None else _number(picked)
        if given is None:
            return 0.0
        return float(abs(given - wanted) <= max(absolute, relative * abs(wanted)))

    return score


def _number(text: str) -> Decimal | None:
    plain = text.strip().replace(",", "").replace("$", "").rstrip(".")
    if len(plain) > _MAX_NUMBER_LENGTH:
        return None
    try:
        number = Decimal(plain)
    except InvalidOperation:
        return None
    # Beyond these exponents arithmetic would overflow; no measured quantity is there.
    return number if number.is_finite() and abs(number.adjusted()) < 1000 else None  # noqa: PLR2004 -- see above
