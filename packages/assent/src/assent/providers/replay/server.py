"""The replay server: HTTP/1.1 on asyncio protocols, parsed by httptools.

Its price matters: in a demonstration it shares two cores with all that is measured against it.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast
from urllib.parse import unquote

import httptools

from assent.kernel.errors import Conflict
from assent.providers.replay.player import Answer, Player, refused

log = logging.getLogger(__name__)

MAX_BODY = 8_388_608
MAX_HEAD = 65_536
MAX_PIPELINED = 32
DRAIN_S = 2.0
LINGER_S = 1.0
PARENT_POLL_S = 0.5
PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}


@dataclass(slots=True)
class Replay:
    """What all connections share."""

    player: Player
    is_logging: bool = False
    clients: set["_Connection"] = field(default_factory=set)
    is_ending: bool = False
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the server ends and no client is left."""

    def answer(self, method: bytes, url: bytes, body: bytes) -> Answer:
        """Answer one request."""
        path = unquote(url.partition(b"?")[0].decode("latin-1"))
        route = path.removeprefix("/v1")
        wanted: bytes
        make: Callable[[], Answer]
        if route == "/chat/completions":
            wanted, make = b"POST", lambda: self.player.complete(body)
        elif route == "/models":
            wanted, make = b"GET", self.player.models
        elif route.startswith("/models/"):
            wanted, make = b"GET", lambda: self.player.model(route.removeprefix("/models/"))
        else:
            return refused(404, "not_found", f"There is nothing at {path}; see /v1/chat/completions.")
        if method != wanted:
            return refused(405, "method_not_allowed", f"Ask {path} by {wanted.decode()}.")
        return make()


@dataclass(slots=True)
class _Request:
    method: bytes = b""
    url: bytes = b""
    parts: list[bytes] = field(default_factory=list)
    n_head: int = 0
    n_body: int = 0
    keep_alive: bool = True
    is_http11: bool = True


class _Connection(asyncio.Protocol):
    """One client; its requests are answered in their order. httptools calls the `on_…` methods."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[_Request | Answer] = deque()
        self._request = _Request()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._is_refused = False

    @property
    def is_busy(self) -> bool:
        """Tell whether an answer is due."""
        return self._timer is not None or bool(self._queue)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class, only by behaviour
        self._replay.clients.add(self)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        self._replay.clients.discard(self)
        if self._replay.is_ending and not self._replay.clients:
            self._replay.quiet.set()
        self._transport = None
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        try:
            with contextlib.suppress(httptools.HttpParserUpgrade):  # refused by its head
                self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._refuse(refused(400, "invalid_request", f"This is not HTTP/1.1: {error}."))
        if not self._request.method:
            self._request.n_head += len(data)
            if self._request.n_head > MAX_HEAD:
                self._refuse(refused(431, "headers_too_large", f"The head is over {MAX_HEAD:,} bytes."))
        self._serve_next()

    def on_message_begin(self) -> None:
        self._request = _Request()

    def on_url(self, url: bytes) -> None:
        self._request.url += url

    def on_headers_complete(self) -> None:
        request = self._request
        request.method = self._parser.get_method()
        request.keep_alive = self._parser.should_keep_alive()
        request.is_http11 = self._parser.get_http_version() == "1.1"
        if self._parser.should_upgrade():
            self._refuse(refused(400, "invalid_request", "This server does not upgrade connections."))

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"expect" and value.lower() == b"100-continue" and not self.is_busy:
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, part: bytes) -> None:
        request = self._request
        request.n_body += len(part)
        if request.n_body > MAX_BODY:
            self._refuse(refused(413, "request_too_large", f"The body is over {MAX_BODY:,} bytes."))
        else:
            request.parts.append(part)

    def on_message_complete(self) -> None:
        if self._is_refused:
            return
        self._queue.append(self._request)
        if len(self._queue) > MAX_PIPELINED:
            self._refuse(refused(400, "invalid_request", f"Over {MAX_PIPELINED} requests wait at once."))

    def _refuse(self, answer: Answer) -> None:
        """Answer this last, then close."""
        if not self._is_refused:
            self._is_refused = True
            self._queue.append(answer)

    def _serve_next(self) -> None:
        if self._timer is not None or not self._queue or self._transport is None:
            return
        request = self._queue.popleft()
        if isinstance(request, Answer):
            self._send(_Request(keep_alive=False), request)
            return
        answer = self._replay.answer(request.method, request.url, b"".join(request.parts))
        if answer.wait_s > 0:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(answer.wait_s, self._send, request, answer)
        else:
            self._send(request, answer)

    def _send(self, request: _Request, answer: Answer) -> None:
        self._timer = None
        closes = self._replay.is_ending or not request.keep_alive
        # HTTP/1.0 knows no chunks: there the end of the connection ends a stream.
        closes = closes or bool(answer.events and not request.is_http11)
        tail = b"connection: close\r\n\r\n" if closes else b"\r\n"
        self._write(_framed(answer, tail, chunked=request.is_http11))
        if self._replay.is_logging:
            log.info(
                "%s %s %d %s",
                request.method.decode(),
                request.url.decode("latin-1"),
                answer.status,
                answer.model,
            )
        if self._is_refused and closes:
            self._linger()
        elif closes and self._transport is not None:
            self._queue.clear()
            self._transport.close()
        elif self._queue:
            asyncio.get_running_loop().call_soon(self._serve_next)

    def _write(self, content: bytes) -> None:
        if self._transport is not None:
            self._transport.write(content)

    def _linger(self) -> None:
        """Read on for a moment: closing while the client sends would destroy the answer by a reset."""
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()
        self._timer = asyncio.get_running_loop().call_later(LINGER_S, self.close)

    def close(self) -> None:
        """Close at once; what is under way is cut."""
        if self._transport is not None:
            self._transport.abort()


def _framed(answer: Answer, tail: bytes, *, chunked: bool) -> bytes:
    """Write an answer as bytes; `tail` ends its head."""
    start = b"HTTP/1.1 %d %b\r\n" % (answer.status, PHRASES[answer.status])
    if not answer.events:
        kind = b"content-type: application/json\r\ncontent-length: %d\r\n"
        return b"".join((start, kind % len(answer.body), tail, answer.body))
    kind = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    if not chunked:
        return b"".join((start, kind, tail, *answer.events))
    chunks = [b"%x\r\n%b\r\n" % (len(event), event) for event in answer.events]
    return b"".join((start, kind, b"transfer-encoding: chunked\r\n", tail, *chunks, b"0\r\n\r\n"))


async def serve(
    replay: Replay,
    host: str,
    port: int,
    ready: Callable[[str], None],
    stop: asyncio.Event,
    *,
    with_parent: int | None = None,
) -> None:
    """Serve until `stop` is set, or until this process is no longer a child of `with_parent`.

    `ready` is given the base URL. Raises: Conflict (the address cannot be bound).
    """
    loop = asyncio.get_running_loop()
    listener = _bind(host, port)
    server = await loop.create_server(lambda: _Connection(replay), sock=listener)
    shown = f"[{host}]" if ":" in host else host
    ready(f"http://{shown}:{listener.getsockname()[1]}/v1")
    try:
        await _end(stop, with_parent)
    finally:
        server.close()
        await _drain(replay)


async def _end(stop: asyncio.Event, parent: int | None) -> None:
    """Wait for the order to stop; a parent that dies leaves its children to another one."""
    while not stop.is_set():
        if parent is not None and os.getppid() != parent:
            log.info("the parent %d is gone", parent)
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), None if parent is None else PARENT_POLL_S)


async def _drain(replay: Replay) -> None:
    """Let answers under way finish, for at most two seconds, then close everything."""
    replay.is_ending = True
    for client in list(replay.clients):
        if not client.is_busy:
            client.close()
    if replay.clients:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(replay.quiet.wait(), DRAIN_S)
    for client in list(replay.clients):
        client.close()


def _bind(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited by what it accepts
        listener.bind((host, port))
        listener.listen(1024)
        listener.setblocking(False)  # noqa: FBT003 -- the socket's own signature
    except (OSError, OverflowError) as error:
        listener.close()
        raise Conflict(
            f"The replay server cannot listen on {host}:{port}: {error}.",
            remedy="Stop what uses the port, or take a free one with --port 0.",
        ) from None
    return listener
