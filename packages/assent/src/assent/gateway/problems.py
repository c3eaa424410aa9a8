"""Refusals in the shape that the caller's client understands.

{"error": {"message": "…", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}}
and at `/v1/messages` {"type": "error", "error": {"type": "not_found_error", "message": "…", "code": "…"}}
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

import msgspec

PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_ANTHROPIC_TYPES = {
    **_TYPES, 404: "not_found_error", 413: "request_too_large", 503: "overloaded_error", 504: "timeout_error",
}  # fmt: skip
_ANTHROPIC = b"/v1/messages"


class Refusal(Exception):
    """The gateway answers by itself: why, and what to do about it."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        param: str | None = None,
        *,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.status = status
        self.code = code
        self.param = param

    def body(self, path: bytes) -> bytes:
        """Give the JSON form for the path that was asked."""
        if path == _ANTHROPIC:
            return self._anthropic()
        default = "invalid_request_error" if self.status < 500 else "server_error"  # noqa: PLR2004 -- the 5xx class
        error = {
            "message": str(self),
            "type": _TYPES.get(self.status, default),
            "param": self.param,
            "code": self.code,
        }
        return msgspec.json.encode({"error": error})

    def _anthropic(self) -> bytes:
        default = "invalid_request_error" if self.status < 500 else "api_error"  # noqa: PLR2004 -- the 5xx class
        kind = _ANTHROPIC_TYPES.get(self.status, default)
        error = {"type": kind, "message": str(self), "code": self.code, "param": self.param}
        return msgspec.json.encode({"type": "error", "error": error})


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
