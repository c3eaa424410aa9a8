"""A small HTTP/1.1 client for one endpoint: keep-alive, TLS, bounded answers; parsing by httptools.

Written because of what a question costs in CPU at 50 in flight: httpx 0.28 10.1 ms, aiohttp 3.14 0.31 ms,
this 0.07 ms (benchmarks/eval.py). It follows no redirects, keeps no cookies, asks for no compression
and reads no proxy variables.
"""

import asyncio
import re
import ssl
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import httptools

from assent.kernel.errors import Invalid

MAX_HEADER_BYTES = 65_536
_INFORMATIONAL = 200
_VISIBLE = re.compile(r"[\x21-\x7e]+\Z")


class Broken(Exception):
    """The connection ended or spoke no HTTP. `early`: nothing of an answer had come."""

    def __init__(self, message: str, *, early: bool) -> None:
        super().__init__(message)
        self.early = early


class TooLong(Exception):
    """The answer is longer than allowed."""


@dataclass(slots=True)
class Reply:
    """An answer: status, lower-case header names, body."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class _Connection(asyncio.Protocol):
    """One connection, one exchange at a time; httptools calls the `on_…` methods."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Reply] | None = None
        self.usable = True
        self.n_exchanges = 0
        self._begin()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []
        self._size = self._header_size = 0
        self._headers_done = False

    async def exchange(self, request: bytes) -> Reply:
        """Send a request and wait for its answer. Raises: Broken, TooLong."""
        self.n_exchanges += 1
        if self._transport is None or not self.usable:
            raise Broken("the connection was closed", early=True)
        self._begin()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._answer
        finally:
            if not self._answer.done() or self._answer.cancelled():
                self.abort()
            self._answer = None

    def abort(self) -> None:
        """Close at once."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class, only by behaviour

    def data_received(self, data: bytes) -> None:
        if self._answer is None:  # nobody asked: what is said now would be taken for the next answer
            self.abort()
            return
        if not self._headers_done:
            self._header_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(Broken(f"this is not HTTP: {error}", early=False))
        if not self._headers_done and self._header_size > MAX_HEADER_BYTES:
            self._fail(Broken(f"the headers are longer than {MAX_HEADER_BYTES:,} bytes", early=False))

    def connection_lost(self, error: Exception | None) -> None:
        self.usable = False
        framed = "content-length" in self._headers or "transfer-encoding" in self._headers
        if error is None and self._headers_done and not framed:
            self.on_message_complete()  # without a length, the end of the connection ends the answer
        early = not self._header_size
        self._fail(
            Broken(f"the connection ended{f': {error}' if error else ' within the answer'}", early=early)
        )

    def on_message_begin(self) -> None:
        if self._answer is not None and self._answer.done():
            self.abort()  # a second answer to one question

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._headers_done = True

    def on_body(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._limit:
            self._fail(TooLong())
            return
        self._parts.append(part)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < _INFORMATIONAL:  # 100 Continue, 103 Early Hints: the answer follows
            self._headers, self._headers_done, self._header_size = {}, False, 1
            return
        self.usable = self.usable and self._parser.should_keep_alive()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Reply(status, self._headers, b"".join(self._parts)))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.abort()


class Endpoint:
    """POSTs to one URL over kept connections; as many as the caller has in flight."""

    def __init__(self, url: str, headers: dict[str, str], *, limit: int) -> None:
        """Prepare; `limit` bounds the bytes of an answer's body. Raises: Invalid."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise Invalid(f"{url!r} is not the address of an endpoint: {error}.") from error
        if parts.scheme not in {"http", "https"} or not parts.hostname or not _VISIBLE.match(url):
            raise Invalid(f"{url!r} is not the address of an endpoint.", remedy="Give http://… or https://….")
        self._host = parts.hostname
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._port = port or (443 if self._tls else 80)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = [f"POST {target or '/'} HTTP/1.1", f"host: {parts.netloc.rpartition('@')[2]}"]
        for name, value in headers.items():
            if not all(" " <= character <= "~" for character in value):
                raise Invalid(f"The header {name} holds characters that no header may have.")
            lines.append(f"{name}: {value}")
        self._head = ("\r\n".join(lines) + "\r\ncontent-length: ").encode()
        self._limit = limit
        self._idle: list[_Connection] = []

    async def post(self, body: bytes) -> Reply:
        """Send a body and give the answer. Raises: Broken, TooLong, OSError; a cancelled wait closes."""
        request = self._head + str(len(body)).encode() + b"\r\n\r\n" + body
        while True:
            connection = await self._connection()
            try:
                reply = await connection.exchange(request)
            except Broken as error:
                # The server closed a kept connection while we wrote: that says nothing about the question.
                if error.early and connection.n_exchanges > 1:
                    continue
                raise
            if connection.usable:
                self._idle.append(connection)
            else:
                connection.abort()
            return reply

    async def _connection(self) -> _Connection:
        while self._idle:
            kept = self._idle.pop()
            if kept.usable:
                return kept
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: _Connection(self._limit), self._host, self._port, ssl=self._tls
        )
        return connection

    async def close(self) -> None:
        """Close all connections."""
        while self._idle:
            self._idle.pop().abort()
        await asyncio.sleep(0)  # transports let go of their sockets in the loop's next turn
