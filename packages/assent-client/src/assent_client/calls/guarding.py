"""Guardrails at work: what a caller asks and what a version answers, looked at before it passes.

Patterns are tested in linear time, in windows that overlap: a match of up to 256 characters is found wherever
it stands. What cannot be read or is too long to be looked at counts as a hit: a guardrail fails closed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from jsonschema import Draft202012Validator

from assent_client.calls.edit import Ask
from assent_client.calls.hooks import Hook
from assent_client.calls.refusals import Refusal
from assent_client.calls.texts import texts_answered, texts_asked
from assent_client.patterns import compile_pattern
from assent_client.personal import CHECKS, PERSONAL

GUARDRAIL_BLOCKED: Final = "guardrail_blocked"
MAX_LENGTH: Final = 200_000
_WINDOW, _STEP = 512, 256
_decode = msgspec.json.Decoder().decode

Test = Callable[[Sequence[str]], bool]


class Guard(NamedTuple):
    """One guardrail: `hits` tells of texts whether they may not pass."""

    name: str
    blocks: bool
    hits: Test


class Guards:
    """A version's guardrails: those that are looked at here, and those that are asked outside."""

    def __init__(self, document: Mapping[str, Any], *, asks_hooks: bool = False) -> None:
        """Compile; `asks_hooks` where the caller can ask webhooks.

        Raises: ValueError, KeyError for what cannot be followed.
        """
        given = document.get("guardrails") or ()
        local = [one for one in given if one["kind"] != "webhook"]
        self.request = [_guard(one) for one in local if one["on"] == "request"]
        self.answer = [_guard(one) for one in local if one["on"] == "answer"]
        if len(local) < len(given) and not asks_hooks:
            raise ValueError("a webhook is asked by gateways only: call the version through one")
        hooks = [Hook.of(one) for one in given if one["kind"] == "webhook"]
        self.before = [hook for hook in hooks if hook.blocks and hook.on == "request"]
        self.after = [hook for hook in hooks if hook.blocks and hook.on == "answer"]
        self.watching = [hook for hook in hooks if not hook.blocks]
        """Asked once the answer is on its way: they only record."""

    def __bool__(self) -> bool:
        """Tell whether any is looked at here, or stands between asking and answering."""
        return bool(self.request or self.answer or self.before or self.after or self.watching)

    @property
    def holds(self) -> bool:
        """Tell whether an answer is held back until its whole was looked at."""
        return bool(self.answer or self.after)

    def asked(self, ask: Ask) -> list[Guard]:
        """Give the guardrails that a request hits."""
        return _hit(self.request, texts_asked(ask.fields)) if self.request else []

    def answered(self, body: bytes, *, is_stream: bool) -> list[Guard]:
        """Give the guardrails that an answer hits."""
        if not self.answer:
            return []
        try:
            texts = texts_answered(body, is_stream=is_stream)
        except (msgspec.MsgspecError, RecursionError):
            return list(self.answer)
        return _hit(self.answer, texts)


def blocked(hit: Iterable[Guard]) -> Refusal | None:
    """Refuse by the first guardrail that blocks."""
    return next((stopped_by(guard.name) for guard in hit if guard.blocks), None)


def stopped_by(name: str) -> Refusal:
    """Refuse by a guardrail; its name is told and not what it found."""
    message = f"The guardrail {name} of the approved version stopped this call."
    return Refusal(422, GUARDRAIL_BLOCKED, message)


def _hit(guards: Sequence[Guard], texts: Sequence[str]) -> list[Guard]:
    is_long = sum(map(len, texts)) > MAX_LENGTH
    return [guard for guard in guards if is_long or guard.hits(texts)]


def _guard(one: Mapping[str, Any]) -> Guard:
    test = {"regex": _regex, "pii": _pii, "json_schema": _schema}[one["kind"]](one)
    return Guard(one["name"], one.get("action", "block") == "block", test)


def _regex(one: Mapping[str, Any]) -> Test:
    matches = compile_pattern(f".*({one['pattern']}).*")

    def hits(texts: Sequence[str]) -> bool:
        return any(matches(window) for text in texts for window in _windows(text))

    return hits


def _windows(text: str) -> Iterator[str]:
    flat = text.replace("\n", " ").replace("\r", " ")  # `.` stops at the end of a line, a search does not
    return (flat[at : at + _WINDOW] for at in range(0, max(1, len(flat) - _STEP), _STEP))


def _pii(one: Mapping[str, Any]) -> Test:
    patterns = [(re.compile(PERSONAL[kind]), CHECKS.get(kind)) for kind in one.get("kinds") or PERSONAL]

    def hits(texts: Sequence[str]) -> bool:
        return any(
            check is None or check(match[0])
            for text in texts
            for pattern, check in patterns
            for match in pattern.finditer(text)
        )

    return hits


def _schema(one: Mapping[str, Any]) -> Test:
    is_valid = Draft202012Validator(one["schema"]).is_valid

    def hits(texts: Sequence[str]) -> bool:
        try:
            return not is_valid(_decode("".join(texts).encode()))
        except (msgspec.MsgspecError, RecursionError):
            return True

    return hits
