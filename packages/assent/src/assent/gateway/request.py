"""One request as it arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assent_client.snapshot import ApplicationKey

Header = tuple[bytes, bytes, bytes]
"""A client's header: its name in lower case, its name as sent, its value."""


class Request:
    """What a client asks; `method` is empty until the head is complete."""

    __slots__ = (
        "authorization", "body", "conversation", "expects", "headers", "is_http11", "keep_alive", "key",
        "method", "n_body", "path", "started_at",
    )  # fmt: skip

    def __init__(self, started_at: float) -> None:
        self.started_at = started_at
        self.method = b""
        self.path = b""
        self.headers: list[Header] = []
        self.body: list[bytes] = []
        self.n_body = 0
        self.authorization: bytes | None = None
        self.conversation: bytes | None = None
        self.expects = False
        self.is_http11 = True
        self.keep_alive = True
        self.key: ApplicationKey | None = None
