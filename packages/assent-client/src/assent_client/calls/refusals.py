"""Refusals in the shape that the caller's client understands.

{"error": {"message": "…", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}}
and at `/v1/messages` {"type": "error", "error": {"type": "not_found_error", "message": "…", "code": "…"}}
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_ANTHROPIC_TYPES = {
    **_TYPES, 404: "not_found_error", 413: "request_too_large", 503: "overloaded_error", 504: "timeout_error",
}  # fmt: skip
_ANTHROPIC = b"/v1/messages"


class Refusal(Exception):
    """A call is answered here and not by its provider: why, and what to do about it."""

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

    @property
    def lines(self) -> bytes:
        """Give the header lines that belong to it."""
        return b"" if self.retry_after_s is None else b"retry-after: %d\r\n" % self.retry_after_s

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
