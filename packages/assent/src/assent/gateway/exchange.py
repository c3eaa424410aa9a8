"""One request and its whole answer, where no client waits for the pieces."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import NamedTuple

from assent.gateway.request import Header
from assent.gateway.upstream import Failure, Pool, UpstreamConnection


class Answer(NamedTuple):
    """A whole answer; `first_at` is when its body began, by the monotonic clock."""

    status: int
    headers: list[Header]
    body: bytes
    first_at: float | None


async def exchange(pool: Pool, request: bytes, most_bytes: int) -> Answer:
    """Send a request and give the answer; whoever stops waiting ends it. Raises: Failure."""
    one = _Exchange(pool, request, most_bytes)
    try:
        return await one.run()
    finally:
        one.leave()


class _Exchange:
    """Source of the calls: `upstream.Listener`."""

    def __init__(self, pool: Pool, request: bytes, most_bytes: int) -> None:
        self._pool, self._request, self._most_bytes = pool, request, most_bytes
        self._answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None
        self._connection: UpstreamConnection | None = None
        self._status = 0
        self._headers: list[Header] = []
        self._body: list[bytes] = []
        self._n_body = 0
        self._first_at: float | None = None
        self._was_retried = False

    async def run(self) -> Answer:
        self._task = self._pool.acquire(self)
        return await self._answer

    def leave(self) -> None:
        """Let go of what is not finished."""
        if self._task is not None:
            self._task.cancel()
        if self._connection is not None:
            self._connection.abort()

    def on_connection(self, connection: UpstreamConnection) -> None:
        """Send the request."""
        self._connection = connection
        connection.send(self, self._request)

    def on_head(self, head: UpstreamConnection) -> None:
        """Keep the head."""
        self._status, self._headers = head.status, head.headers

    def on_body(self, content: bytes) -> None:
        """Keep the body, up to a limit."""
        if self._first_at is None:
            self._first_at = monotonic()
        self._n_body += len(content)
        if self._n_body <= self._most_bytes:
            self._body.append(content)
        else:
            self._fail(Failure("upstream_too_large", f"its answer is larger than {self._most_bytes} bytes"))

    def on_pause(self) -> None:
        """Wait for the rest."""

    def on_end(self) -> None:
        """Give the answer; the connection serves others by now."""
        self._connection = None
        if not self._answer.done():
            body = b"".join(self._body)
            self._answer.set_result(Answer(self._status, self._headers, body, self._first_at))

    def on_failure(self, failure: Failure) -> None:
        """Fail; a kept connection that was closed before it saw the request has one successor."""
        connection, self._connection = self._connection, None
        is_stale = connection is not None and connection.n_sent > 1 and not connection.has_answered
        if is_stale and failure.kind == "upstream_cut" and not self._was_retried and not self._answer.done():
            self._was_retried = True
            self._task = self._pool.acquire(self, fresh=True)
        else:
            self._fail(failure)

    def _fail(self, failure: Failure) -> None:
        if not self._answer.done():
            self._answer.set_exception(failure)
