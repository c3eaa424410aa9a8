"""What the head of a client's request says, judged before any body is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from assent.gateway.request import Request
from assent.gateway.settings import Limits
from assent_client.calls.refusals import Refusal

_LENGTH: Final = re.compile(rb"\r\n[Cc]ontent-[Ll]ength: (0|[1-9][0-9]{0,8})\r\n")

Form = bytes | tuple[bytes, bytes]
"""A head but for its length: all of it where it declares none, else what is before and behind the digits."""


def form_of(head: bytes) -> tuple[Form, int | None]:
    """Give the form of a head and the length that it declares; heads of one form are read alike.

    A line cannot begin within another, so what is found is the header, and in all heads of the form.
    """
    found = _LENGTH.search(head)
    if found is None:
        return head, None
    return (head[: found.start(1)], head[found.end(1) :]), int(found[1])


def too_large(limits: Limits) -> Refusal:
    """Refuse a body above the limit."""
    return Refusal(413, "request_too_large", f"The request is larger than {limits.body_bytes} bytes.")


def _judge_length(request: Request, value: bytes, limits: Limits) -> None:
    request.length = int(value)
    if request.length > limits.body_bytes:
        raise too_large(limits)


def _judge_coding(request: Request, value: bytes, _limits: Limits) -> None:
    if value.lower() != b"chunked" or not request.is_http11:
        raise Refusal(400, "invalid_request", "The only transfer coding taken is chunked.")
    request.length = None


def _judge_expectation(request: Request, value: bytes, _limits: Limits) -> None:
    if value.lower() != b"100-continue":
        raise Refusal(417, "expectation_failed", "The only expectation met is 100-continue.")
    request.expects = True


def _note_key(request: Request, value: bytes, _limits: Limits) -> None:
    request.authorization = value


def _note_api_key(request: Request, value: bytes, _limits: Limits) -> None:
    request.api_key = value


def _note_conversation(request: Request, value: bytes, _limits: Limits) -> None:
    request.conversation = value.decode("latin-1")


def _note_preview(request: Request, value: bytes, _limits: Limits) -> None:
    request.preview = value.decode("latin-1")


def _pass(_request: Request, _value: bytes, _limits: Limits) -> None:
    """Leave a header to be counted."""


_JUDGES: Final[Mapping[bytes, Callable[[Request, bytes, Limits], None]]] = {
    b"content-length": _judge_length,
    b"transfer-encoding": _judge_coding,
    b"expect": _judge_expectation,
    b"authorization": _note_key,
    b"x-api-key": _note_api_key,
    b"host": _pass,
    b"x-assent-conversation": _note_conversation,
    b"x-assent-preview": _note_preview,
}


def judge(request: Request, limits: Limits, *, is_upgrade: bool) -> None:
    """Note what the headers say. Raises: Refusal."""
    counts = {b"host": 0, b"authorization": 0, b"x-api-key": 0}
    for name, _, value in request.headers:
        note = _JUDGES.get(name)
        if note is not None:
            note(request, value.strip(), limits)
            if name in counts:
                counts[name] += 1
    if is_upgrade:
        raise Refusal(400, "invalid_request", "This gateway does not upgrade connections.")
    if max(counts.values()) > 1 or (request.is_http11 and not counts[b"host"]):
        raise Refusal(400, "invalid_request", "A request has one Host header and at most one Authorization.")
