"""A client's connection: strict HTTP/1.1, bounded in size and time."""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import Final, Protocol, cast

import httptools

from assent.gateway.heads import form_of, judge, too_large
from assent.gateway.problems import head
from assent.gateway.request import Request
from assent.gateway.shared import Shared
from assent_client.calls.refusals import Refusal

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_NEVER: Final = float("inf")
_LONGEST_KNOWN: Final = 4096


class Exchange(Protocol):
    """Who answers a request that takes its time."""

    def on_client_gone(self) -> None:
        """Stop: nobody waits."""

    def on_client_slow(self) -> None:
        """Hold on until the client has read."""

    def on_client_ready(self) -> None:
        """Go on."""


class Service(Protocol):
    """What answers requests."""

    def admit(self, request: Request) -> None:
        """Judge a request by its head; raises Refusal."""

    def serve(self, client: ClientConnection, request: Request) -> None:
        """Answer a complete request."""


class ClientConnection(asyncio.Protocol):
    """Parse requests, answer them in their order, and keep the peer within the limits."""

    __slots__ = (
        "_begun", "_head_bytes", "_is_linger", "_limits", "_parser", "_queue", "_refusal", "_refused",
        "_request", "_service", "_shared", "_transport", "_url", "active", "deadline", "is_slow",
    )  # fmt: skip

    def __init__(self, shared: Shared, service: Service) -> None:
        self._shared = shared
        self._service = service
        self._limits = shared.limits
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Request] = deque()
        self._request: Request | None = None
        self._begun: bytes | None = None
        """The first bytes of a request whose head is known and whose body is still to come."""
        self._refusal: Refusal | None = None
        self._refused = b""
        """The path that was refused, where it is known."""
        self._transport: asyncio.Transport | None = None
        self._url = b""
        self._head_bytes = 0
        self._is_linger = False
        self.active: Request | Exchange | None = None
        self.is_slow = False
        self.deadline = _NEVER

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the client, or close where there are too many."""
        stream = self._transport = cast("asyncio.Transport", transport)  # that of a stream is one
        if len(self._shared.clients) >= self._limits.n_connections:
            stream.abort()
            return
        # What is written goes out at once, not after what this turn of the loop has still to do.
        stream.set_write_buffer_limits(high=0)
        self._shared.clients.add(self)
        self.deadline = monotonic() + self._limits.header_s

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        """Tell the call that nobody waits."""
        self._shared.clients.discard(self)
        self._transport = None
        self.deadline = _NEVER
        self._queue.clear()
        call, self.active = self.active, None
        if call is not None and not isinstance(call, Request):
            call.on_client_gone()

    def pause_writing(self) -> None:
        """Hold the upstream: the client reads too slowly."""
        self.is_slow = True
        if self.active is not None and not isinstance(self.active, Request):
            self.active.on_client_slow()
        else:
            self.deadline = monotonic() + self._limits.stalled_s

    def resume_writing(self) -> None:
        """Let the upstream go on."""
        self.is_slow = False
        if self.active is not None and not isinstance(self.active, Request):
            self.active.on_client_ready()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, then serve what is complete."""
        if self._is_linger:
            return
        if self._begun is not None:
            self._go_on(self._begun, data)
            return
        is_start = self._request is None and self.active is None and not self._queue
        if is_start:
            if self._serve_known(data):
                return
            self.deadline = monotonic() + self._limits.header_s
        self._parse(data)
        if is_start:
            self._learn(data)
        self._serve_next()

    def _serve_known(self, data: bytes) -> bool:
        """Serve a request whose head is known but for its length; parsing it again would say the same.

        Applications repeat their heads; this spares a third of the time of a call.
        """
        end = data.find(b"\r\n\r\n") + 4
        form, length = form_of(data[:end])
        known = self._shared.heads.get(form)
        if known is None or self._refusal is not None:
            return False
        n_body, length = len(data) - end, length or 0
        if n_body > length or length > self._limits.body_bytes:
            return False
        request = known.again(data[end:], monotonic())
        try:
            self._service.admit(request)
        except Refusal as refusal:
            self._refusal, self._refused = refusal, request.path
            self._serve_next()
            return True
        if n_body == length:
            self._serve(request)
        else:
            request.length, request.n_body = length, n_body
            self._request, self._begun = request, data
            self.deadline = monotonic() + self._limits.body_s
        return True

    def _go_on(self, begun: bytes, data: bytes) -> None:
        """Take more of the body of a request whose head is known."""
        request = self._request
        if request is None or request.length is None:
            return
        request.body.append(data)
        request.n_body += len(data)
        if request.n_body < request.length:
            self.deadline = monotonic() + self._limits.body_s
            return
        self._request = self._begun = None
        if request.n_body == request.length:
            self._serve(request)
        else:  # more follows it: the parser has seen nothing yet and reads all
            self._parse(b"".join((begun, *request.body[1:])))
            self._serve_next()

    def _learn(self, data: bytes) -> None:
        """Remember the head of a request that came alone, as the strict parser read it."""
        requests = [*self._queue, self._request] if self._request is not None else [*self._queue]
        if len(requests) != 1 or self._refusal is not None:
            return
        (request,) = requests
        end = data.find(b"\r\n\r\n") + 4
        is_first = data.startswith(request.method) and request.n_body == len(data) - end
        if not request.method or not is_first or request.expects or end > _LONGEST_KNOWN:
            return
        form, length = form_of(data[:end])
        if request.length == (length or 0):  # it declares it in the usual way, or has no body
            self._shared.learn(form, request)

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, "invalid_request", "This gateway does not upgrade connections.")
        except httptools.HttpParserError as error:
            self._refuse(400, "invalid_request", f"This is not strict HTTP/1.1: {error}.")
        request = self._request
        if request is not None and not request.method:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.header_bytes:
                self._refuse_head()
        if request is not None and request.method and self.active is None:
            self.deadline = monotonic() + self._limits.body_s

    # httptools

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._request = Request(monotonic())
        self._url = b""
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Collect the target; it may come in parts."""
        self._url += url
        if len(self._url) > self._limits.line_bytes:
            self._refuse(
                414, "uri_too_long", f"The request line is longer than {self._limits.line_bytes} bytes."
            )

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header; trailers are dropped."""
        request = self._request
        if request is None or request.method:
            return
        self._head_bytes += len(name) + len(value) + 4
        headers = request.headers
        if self._head_bytes > self._limits.header_bytes:
            self._refuse_head()
        elif len(headers) >= self._limits.n_headers:
            self._refuse(431, "too_many_headers", f"There are more than {self._limits.n_headers} headers.")
        else:
            headers.append((name.lower(), name, value))

    def on_headers_complete(self) -> None:
        """Judge the head before any body is read."""
        request = self._request
        if request is None or self._refusal is not None:
            return
        request.method = self._parser.get_method()
        request.path = self._url.partition(b"?")[0]
        request.is_http11 = self._parser.get_http_version() == "1.1"
        request.keep_alive = self._parser.should_keep_alive()
        try:
            judge(request, self._limits, is_upgrade=self._parser.should_upgrade())
            request.close_head()
            self._service.admit(request)
        except Refusal as refusal:
            self._refusal, self._refused = refusal, request.path
            return
        if request.expects and self.active is None and not self._queue:
            self.write(_CONTINUE)

    def on_body(self, content: bytes) -> None:
        """Collect the body up to the limit."""
        request = self._request
        if request is None or self._refusal is not None:
            return
        request.body.append(content)
        request.n_body += len(content)
        if request.n_body > self._limits.body_bytes:
            self._refusal, self._refused = too_large(self._limits), request.path

    def on_message_complete(self) -> None:
        """Queue the request; a client may send some ahead."""
        request, self._request = self._request, None
        if request is None or self._refusal is not None:
            return
        if len(self._queue) >= self._limits.n_pipelined:
            self._refuse(
                400,
                "invalid_request",
                f"More than {self._limits.n_pipelined} requests wait on one connection.",
            )
            return
        self._queue.append(request)

    def _refuse_head(self) -> None:
        limit = self._limits.header_bytes
        self._refuse(431, "headers_too_large", f"The headers are longer than {limit} bytes.")

    def _refuse(self, status: int, code: str, message: str) -> None:
        self._refusal = self._refusal or Refusal(status, code, message)

    # answers

    def _serve_next(self) -> None:
        """Serve the next complete request; a refused one is answered last, and ends the connection."""
        if self.active is not None:
            if self._queue and self._transport is not None:
                self._transport.pause_reading()  # it has asked enough; what it sends waits in its own buffers
            return
        if self._queue:
            self._serve(self._queue.popleft())
        elif self._refusal is not None:
            self._close_with(self._refusal)

    def _serve(self, request: Request) -> None:
        self.active = request
        self.deadline = _NEVER
        self._service.serve(self, request)

    def write(self, content: bytes) -> None:
        """Send bytes of an answer."""
        if self._transport is not None:
            self._transport.write(content)

    def respond(self, request: Request, status: int, body: bytes, *lines: bytes) -> None:
        """Send a whole answer of the gateway's own."""
        if not request.keep_alive:
            lines = (*lines, b"connection: close\r\n")
        self.write(head(status, len(body), *lines) + body)
        self.answered(request)

    def refuse(self, request: Request, refusal: Refusal, *lines: bytes) -> None:
        """Send a refusal; the connection stays."""
        self.respond(request, refusal.status, refusal.body(request.path), *lines, refusal.lines)

    def answered(self, request: Request) -> None:
        """Go on to the next request, or close."""
        self.active = None
        if self._transport is None:
            return
        if not request.keep_alive or self._shared.is_draining:
            self._linger()
            return
        self.deadline = monotonic() + self._limits.idle_s
        if self._queue or self._refusal is not None:
            asyncio.get_running_loop().call_soon(self._serve_next)
        if not self._queue:
            self._transport.resume_reading()

    def _close_with(self, refusal: Refusal) -> None:
        body = refusal.body(self._refused)
        self.write(head(refusal.status, len(body), b"connection: close\r\n") + body)
        self._linger()

    def _linger(self) -> None:
        """Close for writing and read on for a moment, so that a reset does not destroy the answer."""
        self._is_linger = True
        self.deadline = monotonic() + 2.0
        transport = self._transport
        if transport is None:
            return
        if self._request is None and self._refusal is None:
            transport.close()
        elif transport.can_write_eof():
            transport.write_eof()

    def abort(self) -> None:
        """Cut the connection: the client must see that its answer is not whole."""
        if self._transport is not None:
            self._transport.abort()

    def close_idle(self) -> None:
        """Close if nothing is under way."""
        if self.active is None and self._transport is not None:
            self._transport.close()

    def end(self) -> None:
        """Close after what was written, or cut an answer that is not whole."""
        if self.active is not None:
            self.abort()
        self.close_idle()

    def on_deadline(self) -> None:
        """End a client that is too slow."""
        self.deadline = _NEVER
        if self._is_linger or self.is_slow:
            self.abort()
        elif self._request is not None:
            self._close_with(Refusal(408, "request_timeout", "The request did not arrive in time."))
        elif self._transport is not None:
            self._transport.close()
