"""One request as it arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from assent_client.calls.places import CREDENTIALS, HOP_BY_HOP, REPLACED

if TYPE_CHECKING:
    from assent.gateway.served import Served
    from assent_client.snapshot import ApplicationKey

Header = tuple[bytes, bytes, bytes]
"""A header: its name in lower case, its name as sent, its value."""


_NOT_UPSTREAM: Final = HOP_BY_HOP | REPLACED | CREDENTIALS
_USUAL: Final = frozenset({b"keep-alive", b"close"})


def passing(headers: list[Header], dropped: frozenset[bytes]) -> bytes:
    """Write the header lines that go on: not those of the hop, nor what `Connection` names, nor ours."""
    for lower, _, value in headers:
        if lower == b"connection" and value.lower() not in _USUAL:
            dropped |= {token.strip().lower() for token in value.split(b",")}
    return b"".join(
        [
            name + b": " + value + b"\r\n"
            for lower, name, value in headers
            if lower not in dropped and lower[:9] != b"x-assent-"
        ]
    )


class Request:
    """What a client asks; `method` is empty until the head is complete."""

    __slots__ = (
        "admitted_by", "api_key", "authorization", "body", "conversation", "expects", "headers", "is_http11",
        "keep_alive", "key", "length", "lines", "method", "n_body", "path", "preview", "started_at",
    )  # fmt: skip

    def __init__(self, started_at: float) -> None:
        self.started_at = started_at
        self.method = b""
        self.path = b""
        self.headers: list[Header] = []
        self.body: list[bytes] = []
        self.n_body = 0
        self.length: int | None = 0
        """The declared length of the body; None where it comes in chunks."""
        self.lines = b""
        """The header lines that go upstream."""
        self.authorization: bytes | None = None
        self.api_key: bytes | None = None
        """Where Anthropic's clients put the key; `authorization` goes first."""
        self.conversation: str | None = None
        self.preview: str | None = None
        """What the header `X-Assent-Preview` says: routes may show a version to who bears it."""
        self.expects = False
        self.is_http11 = True
        self.keep_alive = True
        self.key: ApplicationKey | None = None
        self.admitted_by: Served | None = None
        """The snapshot that the key was found in; another one asks again."""

    def close_head(self) -> None:
        """Settle what follows from the whole head."""
        self.lines = passing(self.headers, _NOT_UPSTREAM)
        if self.authorization is None and self.api_key is not None:
            self.authorization = b"Bearer " + self.api_key

    def again(self, body: bytes, started_at: float) -> Request:
        """Make the request that has this one's head, byte for byte, and another body."""
        request = Request(started_at)
        request.method, request.path, request.lines = self.method, self.path, self.lines
        request.authorization, request.conversation = self.authorization, self.conversation
        request.preview = self.preview
        request.is_http11, request.keep_alive = self.is_http11, self.keep_alive
        request.key, request.admitted_by = self.key, self.admitted_by
        request.body.append(body)
        return request
