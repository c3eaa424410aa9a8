"""Watch an answer on its way: what it cost, how it ended, which model gave it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_FINISH = re.compile(rb'"finish_reason"\s*:\s*"([A-Za-z_]{1,40})"')
_BOUNDARY = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LONGEST_EVENT: Final = 1_048_576
_LONGEST_WORD: Final = 200


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Choice(msgspec.Struct, gc=False):
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None


_decode = msgspec.json.Decoder(_Completion).decode


class Outcome:
    """What is known of an answer so far."""

    __slots__ = ("completion_id", "finish_reason", "model", "tokens_in", "tokens_out")

    def __init__(self) -> None:
        self.completion_id: str | None = None
        self.model: str | None = None
        self.finish_reason: str | None = None
        self.tokens_in: int | None = None
        self.tokens_out: int | None = None

    def read(self, body: bytes) -> bool:
        """Read a whole completion, and tell whether it was one."""
        try:
            self._take(_decode(body))
        except (msgspec.MsgspecError, RecursionError):
            return False
        return True

    def read_event(self, event: bytes) -> bool:
        """Read one server-sent event, and tell whether it is the usage chunk: no choices, only figures."""
        try:
            chunk = _decode(payload_of(event))
        except (msgspec.MsgspecError, RecursionError):
            return False  # [DONE], an error, or something new: it passes as it is
        self._take(chunk)
        return chunk.usage is not None and chunk.choices == []

    def _take(self, completion: _Completion) -> None:
        self.completion_id = self.completion_id or short(completion.id)
        self.model = self.model or short(completion.model)
        if completion.usage is not None:
            self.tokens_in = known_count(completion.usage.prompt_tokens)
            self.tokens_out = known_count(completion.usage.completion_tokens)
        for choice in completion.choices or ():
            self.finish_reason = short(choice.finish_reason) or self.finish_reason


def payload_of(event: bytes) -> bytes:
    """Give what an event carries."""
    return b"\n".join(line[5:] for line in event.splitlines() if line.startswith(b"data:"))


def short(text: str | None) -> str | None:
    """Leave out what no observation can hold: an upstream's word is not trusted to be short."""
    return text if text is not None and len(text) <= _LONGEST_WORD else None


def known_count(number: int | None) -> int | None:
    """Leave out a number that no observation can hold."""
    return number if number is not None and 0 <= number < 2**53 else None


class EventWatch:
    """Let server-sent events pass byte for byte; take out the usage chunk where nobody asked for it.

    Only complete events pass, because a part of one cannot be judged; an event above 1 MB is let
    through unread.
    """

    __slots__ = ("_drop_usage", "_outcome", "_read_event", "_tail")

    def __init__(
        self, outcome: Outcome, read_event: Callable[[Outcome, bytes], bool], *, drop_usage: bool
    ) -> None:
        self._outcome = outcome
        self._read_event = read_event
        self._drop_usage = drop_usage
        self._tail = b""

    def feed(self, content: bytes) -> bytes:
        """Take what arrived and give what may go on."""
        if self._tail:
            content, self._tail = self._tail + content, b""
        if not content.endswith((b"\n\n", b"\r\n\r\n")):
            content = self._hold_tail(content)
        if not content:
            return b""
        outcome = self._outcome
        if outcome.completion_id is None or _USAGE.search(content):
            return self._read(content)
        # Quotes within JSON strings are escaped, so this cannot match a model's words.
        finish = _FINISH.search(content)
        if finish is not None:
            outcome.finish_reason = finish[1].decode()
        return content

    def rest(self) -> bytes:
        """Give what an upstream left unfinished at the end."""
        tail, self._tail = self._tail, b""
        return tail

    def _hold_tail(self, content: bytes) -> bytes:
        end = 0
        for match in _BOUNDARY.finditer(content):
            end = match.end()
        if len(content) - end <= _LONGEST_EVENT:
            self._tail = content[end:]
            return content[:end]
        return content

    def _read(self, content: bytes) -> bytes:
        passing, start = [], 0
        for match in _BOUNDARY.finditer(content):
            event = content[start : match.end()]
            start = match.end()
            is_usage = self._read_event(self._outcome, event)
            if not (is_usage and self._drop_usage):
                passing.append(event)
        passing.append(content[start:])
        return b"".join(passing)
