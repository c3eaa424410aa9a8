"""Refusals in the shape that OpenAI's clients understand.

{"error": {"message": "…", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}}
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

import msgspec

PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class Refusal(Exception):
    """The gateway answers by itself: why, and what to do about it."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param

    @property
    def body(self) -> bytes:
        """Give the JSON form."""
        default = "invalid_request_error" if self.status < 500 else "server_error"  # noqa: PLR2004 -- the 5xx class
        error = {
            "message": str(self),
            "type": _TYPES.get(self.status, default),
            "param": self.param,
            "code": self.code,
        }
        return msgspec.json.encode({"error": error})


def listed(names: Iterable[str]) -> str:
    """Write names for a sentence."""
    return ", ".join(names)


def head(status: int, length: int, *lines: bytes, content_type: bytes = b"application/json") -> bytes:
    """Write the head of an answer that the gateway gives by itself."""
    start = b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n" % (
        status,
        PHRASES.get(status, b"Unknown"),
        content_type,
        length,
    )
    return b"".join((start, *lines, b"\r\n"))
