"""Read answers in each form: what they cost, how they ended, which model gave them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from assent_client.calls.stream import Outcome, known_count, payload_of, short

# Every form's word for how an answer ended, in chat completions' words, which observations use.
_FINISHES: Final = {
    "end_turn": "stop", "stop_sequence": "stop", "pause_turn": "stop", "completed": "stop",
    "max_tokens": "length", "max_output_tokens": "length", "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
}  # fmt: skip


class _Usage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None

    @property
    def tokens_in(self) -> int | None:
        """Give all input tokens, those read from or written to a cache included."""
        if self.input_tokens is None:
            return self.prompt_tokens
        return (
            self.input_tokens + (self.cache_creation_input_tokens or 0) + (self.cache_read_input_tokens or 0)
        )


class _Incomplete(msgspec.Struct, gc=False):
    reason: str | None = None


class _Answer(msgspec.Struct):
    """A response of `/v1/responses`, a message of `/v1/messages`, or a list of embeddings."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    stop_reason: str | None = None
    incomplete_details: _Incomplete | None = None
    usage: _Usage | None = None


class _Event(msgspec.Struct):
    response: _Answer | None = None
    message: _Answer | None = None
    delta: Any = None
    usage: _Usage | None = None


_decode = msgspec.json.Decoder(_Answer).decode
_decode_event = msgspec.json.Decoder(_Event).decode


def read_answer(outcome: Outcome, body: bytes) -> bool:
    """Read a whole answer, and tell whether it was one."""
    try:
        _take(outcome, _decode(body))
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True


def read_event(outcome: Outcome, event: bytes) -> bool:
    """Read one server-sent event; none of them is to be taken out."""
    try:
        found = _decode_event(payload_of(event))
    except (msgspec.MsgspecError, RecursionError):
        return False  # an error, or something new: it passes as it is
    for answer in (found.response, found.message):
        if answer is not None:
            _take(outcome, answer)
    if found.usage is not None:
        _count(outcome, found.usage)
    if isinstance(found.delta, dict) and isinstance(found.delta.get("stop_reason"), str):
        _finish(outcome, found.delta["stop_reason"])
    return False


def _take(outcome: Outcome, answer: _Answer) -> None:
    outcome.completion_id = outcome.completion_id or short(answer.id)
    outcome.model = outcome.model or short(answer.model)
    if answer.usage is not None:
        _count(outcome, answer.usage)
    incomplete = answer.incomplete_details.reason if answer.incomplete_details is not None else None
    ended = answer.status if answer.status != "in_progress" else None
    _finish(outcome, incomplete or answer.stop_reason or ended)


def _count(outcome: Outcome, usage: _Usage) -> None:
    tokens_in, tokens_out = known_count(usage.tokens_in), known_count(usage.output_tokens)
    outcome.tokens_in = outcome.tokens_in if tokens_in is None else tokens_in
    outcome.tokens_out = outcome.tokens_out if tokens_out is None else tokens_out


def _finish(outcome: Outcome, reason: str | None) -> None:
    if reason is not None:
        outcome.finish_reason = short(_FINISHES.get(reason, reason))


Read = Callable[[Outcome, bytes], bool]
