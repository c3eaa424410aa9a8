"""Guardrails at work: what a caller asks and what a version answers, looked at before it passes.

Patterns are tested in linear time, in windows that overlap: a match of up to 256 characters is found wherever
it stands. What cannot be read or is too long to be looked at counts as a hit: a guardrail fails closed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from jsonschema import Draft202012Validator

from assent_client.calls.edit import Ask
from assent_client.calls.refusals import Refusal
from assent_client.patterns import compile_pattern
from assent_client.personal import CHECKS, PERSONAL

MAX_LENGTH: Final = 200_000
_WINDOW, _STEP = 512, 256
_ASKED: Final = ("messages", "input", "system", "instructions")
_TEXTS: Final = frozenset(
    {"content", "text", "delta", "partial_json", "refusal", "output"}
)  # fmt: skip
_WHOLE: Final = frozenset({"arguments", "input"})
_PLACES: Final = ("index", "output_index")
_decode = msgspec.json.Decoder().decode

Test = Callable[[Sequence[str]], bool]


class Guard(NamedTuple):
    """One guardrail: `hits` tells of texts whether they may not pass."""

    name: str
    blocks: bool
    hits: Test


class Guards:
    """A version's guardrails."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Compile; raises ValueError, KeyError for what cannot be followed."""
        given = document.get("guardrails") or ()
        self.request = [_guard(one) for one in given if one["on"] == "request"]
        self.answer = [_guard(one) for one in given if one["on"] == "answer"]

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self.request or self.answer)

    def asked(self, ask: Ask) -> list[Guard]:
        """Give the guardrails that a request hits."""
        if not self.request:
            return []
        texts = [text for key in _ASKED if key in ask.fields for text in _said(_decode(ask.fields[key]))]
        return _hit(self.request, texts)

    def answered(self, body: bytes, *, is_stream: bool) -> list[Guard]:
        """Give the guardrails that an answer hits."""
        try:
            texts = _streamed(body) if is_stream else list(_said(_decode(body)))
        except (msgspec.MsgspecError, RecursionError):
            return list(self.answer)
        return _hit(self.answer, texts)


def blocked(hit: Iterable[Guard]) -> Refusal | None:
    """Refuse by the first guardrail that blocks; its name is told and not what it found."""
    for guard in hit:
        if guard.blocks:
            message = f"The guardrail {guard.name} of the approved version stopped this call."
            return Refusal(422, "guardrail_blocked", message)
    return None


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


def _said(value: Any, *, is_text: bool = True) -> Iterator[str]:
    """Give the texts of a request or answer, whatever its form."""
    if isinstance(value, str):
        if is_text:
            yield value
    elif isinstance(value, list):
        for one in value:
            yield from _said(one, is_text=is_text)
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _every(one) if key in _WHOLE else _said(one, is_text=key in _TEXTS)


def _every(value: Any) -> Iterator[str]:
    """Give all texts of what a tool is called with."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _every(one)


def _streamed(body: bytes) -> list[str]:
    """Put the pieces of a stream together, by the place that each belongs to."""
    pieces: defaultdict[Any, list[str]] = defaultdict(list)
    for line in body.splitlines():
        content = line[5:].strip()
        if not line.startswith(b"data:") or content in {b"", b"[DONE]"}:
            continue
        event = _decode(content)
        parts = event.get("choices") or [event] if isinstance(event, dict) else [event]
        for part in parts:
            pieces[_place(part)].extend(_said(part))
    return ["".join(texts) for texts in pieces.values()]


def _place(part: Any) -> Any:
    found = [part.get(key) for key in _PLACES] if isinstance(part, dict) else []
    return next((place for place in found if isinstance(place, int)), None)
