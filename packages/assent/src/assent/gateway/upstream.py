"""Connections to upstreams: pooled, verified, strictly parsed."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from time import monotonic
from typing import Final, Protocol

import httptools

from assent.gateway.request import Header
from assent.gateway.settings import Limits
from assent.gateway.targets import Endpoint
from assent.kernel.errors import Invalid
from assent_client.calls.choosing import REDIRECTS

log = logging.getLogger(__name__)

_TELLING: Final = frozenset({b"content-type", b"content-encoding", b"content-length", b"transfer-encoding"})


class Failure(Exception):
    """The upstream gave no answer, or not a whole one; `kind` is the observation's error class."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


class Listener(Protocol):
    """Who waits for an answer."""

    def on_connection(self, connection: UpstreamConnection) -> None:
        """Take a connection to send on."""

    def on_head(self, head: UpstreamConnection) -> None:
        """Take what the connection says of the head."""

    def on_body(self, content: bytes) -> None:
        """Take a piece of the body."""

    def on_pause(self) -> None:
        """Pass on what arrived in one read."""

    def on_end(self) -> None:
        """Take notice that the answer is complete."""

    def on_failure(self, failure: Failure) -> None:
        """Take notice that there is none, or no more."""


class UpstreamConnection(asyncio.Protocol):
    """One connection to an upstream; serves one call at a time.

    Of the answer's head it tells `status`, `headers`, `content_type` and `content_encoding` (in lower case),
    and `length`, None where the answer does not declare it.
    """

    def __init__(self, pool: Pool, opened_at: float) -> None:
        self._pool = pool
        self._parser = httptools.HttpResponseParser(self)
        self._listener: Listener | None = None
        self._transport: asyncio.Transport | None = None
        self._failure: Failure | None = None
        self.opened_at = opened_at
        self.n_sent = 0
        self.has_answered = False
        self._reset()

    def _reset(self) -> None:
        self.headers: list[Header] = []
        self._head_bytes = 0
        self._is_whole = self._has_head = self._is_interim = self._until_close = self._is_kept = False
        self.status = 0
        self.length: int | None = None
        self._is_chunked = self._is_odd = False
        self.content_type = self.content_encoding = b""
        self.has_answered = False

    @property
    def is_usable(self) -> bool:
        """Tell whether a request can be sent now."""
        transport = self._transport
        return transport is not None and not transport.is_closing() and self._listener is None

    def send(self, listener: Listener, request: bytes) -> None:
        """Send a whole request and tell the listener what comes back."""
        self._listener = listener
        self._reset()
        self.n_sent += 1
        if self._transport is not None:
            self._transport.write(request)

    def abort(self) -> None:
        """Leave the call and close at once."""
        self._listener = None
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """Stop reading until `resume`."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment] # a stream's transport is a Transport

    def data_received(self, data: bytes) -> None:
        """Parse what arrived."""
        listener = self._listener
        if listener is None:  # nobody asked for anything: the peer breaks the protocol or says good-bye
            self.abort()
            return
        self.has_answered = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._failure = self._failure or Failure(
                "upstream_rubbish", f"its answer is not HTTP/1.1: {error}"
            )
        if not self._has_head:
            self._head_bytes += len(data)
            self._check_head_size()
        self._settle(listener)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the call: well, where the answer lasts until the close; else badly."""
        self._pool.forget(self)
        listener, self._listener = self._listener, None
        if listener is None:
            return
        if self._has_head and self._until_close and exc is None:
            listener.on_end()
        else:
            listener.on_failure(
                Failure("upstream_cut", f"it closed the connection too early ({exc or 'end of stream'})")
            )

    def _settle(self, listener: Listener) -> None:
        """Act on what one read brought."""
        if self._listener is not listener:
            return  # the client left meanwhile
        if self._failure is not None:
            self.abort()
            listener.on_failure(self._failure)
        elif self._is_whole:
            self._listener = None
            if self._is_kept and not self._until_close:
                self._pool.release(self)
            elif self._transport is not None:
                self._transport.close()
            listener.on_end()
        else:
            listener.on_pause()

    # httptools

    def on_message_begin(self) -> None:
        """Refuse an answer to a question that was not asked."""
        if self._is_whole:
            self._failure = Failure("upstream_rubbish", "it answers more than once")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header; trailers are dropped."""
        if not self._has_head:
            lower = name.lower()
            self._head_bytes += len(name) + len(value) + 4
            self.headers.append((lower, name, value))
            if lower in _TELLING:
                self._note(lower, value)

    def on_headers_complete(self) -> None:
        """Judge the framing and pass the head on."""
        status = self._parser.get_status_code()
        if status < 200:  # noqa: PLR2004 -- interim answers (100, 103) come before the real one
            self._is_interim = True
            self.headers = []
            self.length, self._is_chunked, self._is_odd = None, False, False
            self.content_type = self.content_encoding = b""
            return
        self._has_head = True
        self._is_kept = self._parser.should_keep_alive()  # the parser forgets it with the message's end
        # An answer without a body's length lasts until the close; 204 and 304 have no body.
        self._until_close = self.length is None and not self._is_chunked and status not in {204, 304}
        self._check_head_size()
        self.status = status
        if self._is_odd:
            self._failure = Failure("upstream_rubbish", "it uses a transfer coding that nobody asked for")
        if status in REDIRECTS:
            self._failure = Failure(
                "upstream_redirect", f"it redirects ({status}), and a redirect could lead anywhere"
            )
        if self._failure is None and self._listener is not None:
            self._listener.on_head(self)

    def _note(self, lower: bytes, value: bytes) -> None:
        """Keep what says how the body comes and what it is."""
        if lower == b"content-type":
            self.content_type = value.lower()
        elif lower == b"content-encoding":
            self.content_encoding = value.lower()
        elif lower == b"content-length":
            self.length = int(value)
        else:
            self._is_chunked = True
            self._is_odd |= value.strip().lower() != b"chunked"

    def _check_head_size(self) -> None:
        if self._head_bytes > self._pool.limits.response_header_bytes:
            self._failure = Failure("upstream_rubbish", "its headers are too long")

    def on_body(self, content: bytes) -> None:
        """Pass a piece on."""
        if self._listener is not None and self._failure is None:
            self._listener.on_body(content)

    def on_message_complete(self) -> None:
        """Note the end, unless it was that of an interim answer."""
        if self._is_interim:
            self._is_interim = False
        else:
            self._is_whole = True


class Pool:
    """Keep-alive connections to one endpoint."""

    def __init__(self, endpoint: Endpoint, limits: Limits, tls: ssl.SSLContext) -> None:
        self.limits = limits
        self._endpoint = endpoint
        self._tls = tls if endpoint.tls else None
        self._idle: deque[UpstreamConnection] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def acquire(self, listener: Listener, *, fresh: bool = False) -> asyncio.Task[None] | None:
        """Give the listener a connection: a pooled one at once, else a new one by the task returned."""
        oldest = monotonic() - self.limits.upstream_age_s
        while self._idle and not fresh:
            connection = self._idle.pop()
            if connection.is_usable and connection.opened_at > oldest:
                listener.on_connection(connection)
                return None
            connection.abort()
        task = self._loop.create_task(self._connect(listener))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def release(self, connection: UpstreamConnection) -> None:
        """Take back a connection whose answer was read to its end."""
        if len(self._idle) < self.limits.n_idle_upstream:
            self._idle.append(connection)
        else:
            connection.abort()

    def forget(self, connection: UpstreamConnection) -> None:
        """Drop a closed connection."""
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().abort()

    async def _connect(self, listener: Listener) -> None:
        where = self._endpoint
        try:
            async with asyncio.timeout(where.connect_timeout_s):
                connection = await self._open()
        except TimeoutError:
            detail = f"no connection within {where.connect_timeout_s:g} s"
            listener.on_failure(Failure("upstream_timeout", detail))
        except ssl.SSLError as error:
            listener.on_failure(Failure("upstream_down", f"TLS failed: {error}"))
        except (OSError, Invalid) as error:
            listener.on_failure(Failure("upstream_down", f"no connection: {error}"))
        else:
            listener.on_connection(connection)

    async def _open(self) -> UpstreamConnection:
        """Make a connection. Raises: OSError, Invalid (where it may not lead)."""
        return await self._dial(self._endpoint.host)

    async def _dial(self, host: str, server_name: str | None = None) -> UpstreamConnection:
        _, connection = await self._loop.create_connection(
            lambda: UpstreamConnection(self, monotonic()),
            host,
            self._endpoint.port,
            ssl=self._tls,
            server_hostname=server_name,
        )
        return connection
