"""Find the texts of requests and answers, whatever their form, and put others in their place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

ASKED: Final = ("messages", "input", "system", "instructions")
"""Where a request holds what its caller says."""

_TEXTS: Final = frozenset({"content", "text", "delta", "partial_json", "refusal", "output"})
_WHOLE: Final = frozenset({"arguments", "input"})
_PLACES: Final = ("index", "output_index")
_decode = msgspec.json.Decoder().decode

_Change = Callable[[str], str]


def texts_asked(fields: Mapping[str, bytes]) -> list[str]:
    """List what a caller says. Raises: msgspec.MsgspecError, RecursionError."""
    return [text for key in ASKED if key in fields for text in texts_of(_decode(fields[key]))]


def texts_answered(body: bytes, *, is_stream: bool) -> list[str]:
    """List what an answer says. Raises: msgspec.MsgspecError, RecursionError."""
    return _streamed(body) if is_stream else texts_of(_decode(body))


def texts_of(value: Any) -> list[str]:
    """List the texts of a request or answer, in their order."""
    found: list[str] = []

    def keep(text: str) -> str:
        found.append(text)
        return text

    _changed(value, keep)
    return found


def with_texts(value: Any, texts: Sequence[str]) -> Any:
    """Give the value with these texts in the places of its own, as many and in the same order."""
    following = iter(texts)
    return _changed(value, lambda _: next(following))


def _changed(value: Any, change: _Change, *, is_text: bool = True) -> Any:
    if isinstance(value, str):
        return change(value) if is_text else value
    if isinstance(value, list):
        return [_changed(one, change, is_text=is_text) for one in value]
    if isinstance(value, dict):
        return {
            key: _every(one, change) if key in _WHOLE else _changed(one, change, is_text=key in _TEXTS)
            for key, one in value.items()
        }
    return value


def _every(value: Any, change: _Change) -> Any:
    """Change all texts of what a tool is called with."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_every(one, change) for one in value]
    return {key: _every(one, change) for key, one in value.items()} if isinstance(value, dict) else value


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
            pieces[_place(part)].extend(texts_of(part))
    return ["".join(texts) for texts in pieces.values()]


def _place(part: Any) -> Any:
    found = [part.get(key) for key in _PLACES] if isinstance(part, dict) else []
    return next((place for place in found if isinstance(place, int)), None)
