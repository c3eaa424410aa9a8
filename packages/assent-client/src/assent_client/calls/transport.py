"""A transport for the clients that model libraries are built on, httpx and httpx2; it patches nothing.

OpenAI(http_client=client.http_client())                          # a client of httpx
OpenAI(http_client=client.http_client(httpx2.HTTPTransport))      # the same on httpx2
AsyncOpenAI(http_client=client.async_http_client())
"""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final, Self

from assent_client.calls.core import Core, read_asked
from assent_client.calls.exchange import Answer, Exchange, Failure, Passing, Read, Send, Step
from assent_client.calls.places import Upstream

_LIBRARIES: Final = frozenset({"httpx", "httpx2"})
_KEPT: Final = ("timeout", "trace")
"""Extensions of a request that hold wherever it goes."""


class _Stream:
    """A body on its way; it becomes a stream of the library in `Library`."""

    def __init__(self, source: Any, through: Passing) -> None:
        self._source, self._through = source, through

    def __iter__(self) -> Iterator[bytes]:
        through = self._through
        with through.observed():
            for piece in self._source:
                if passing := through.feed(piece):
                    yield passing
            if rest := through.rest():
                yield rest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        through = self._through
        with through.observed():
            async for piece in self._source:
                if passing := through.feed(piece):
                    yield passing
            if rest := through.rest():
                yield rest

    def close(self) -> None:
        self._source.close()
        self._through.leave()

    async def aclose(self) -> None:
        await self._source.aclose()
        self._through.leave()


class Library:
    """What is needed of httpx or of httpx2."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self._stream = type("Stream", (_Stream, module.SyncByteStream, module.AsyncByteStream), {})

    def request(self, step: Send, extensions: Mapping[str, Any]) -> Any:
        """Make a request."""
        kept = {key: extensions[key] for key in _KEPT if key in extensions}
        return self.module.Request("POST", step.url, headers=step.headers, content=step.body, extensions=kept)

    def response(self, answer: Answer) -> Any:
        """Make a response."""
        if isinstance(answer.body, bytes):
            stream: Any = self.module.ByteStream(answer.body)
        else:
            stream = self._stream(answer.response.stream, answer.body)
        extensions = {} if answer.response is None else answer.response.extensions
        return self.module.Response(
            answer.status, headers=answer.headers, stream=stream, extensions=extensions
        )

    def failure(self, error: BaseException) -> Failure:
        """Say what an exception means, in the words of the gateway."""
        if isinstance(error, self.module.TimeoutException):
            return Failure(504, "upstream_timeout", falls=True)
        if isinstance(error, self.module.ConnectError | self.module.ProxyError):
            return Failure(502, "upstream_down", falls=True)
        if isinstance(error, self.module.TransportError):
            return Failure(502, "upstream_cut", falls=True)
        return Failure(499, "client_gone", falls=False)

    def broken(self, message: str) -> Exception:
        """Make the exception of an answer that was cut."""
        error: Exception = self.module.RemoteProtocolError(message)
        return error


@cache
def _library(name: str) -> Library:
    return Library(sys.modules[name])


def library_of(transport: object) -> Library:
    """Tell which library a transport belongs to. Raises: TypeError."""
    for base in type(transport).__mro__:
        name = base.__module__.partition(".")[0]
        if name in _LIBRARIES:
            return _library(name)
    raise TypeError(f"{type(transport).__name__} is no transport of httpx or httpx2")


class _Governed:
    """What both transports share: the transport that sends, made anew in a forked child."""

    def __init__(self, core: Core, make: Callable[[], Any], upstreams: Mapping[str, Upstream]) -> None:
        self._core, self._make, self._upstreams = core, make, dict(upstreams)
        self._inner = make()
        self._lock = threading.Lock()
        self.library = library_of(self._inner)
        core.on_fork(self)

    def after_fork(self) -> None:
        """Leave the parent's connections to the parent."""
        self._lock = threading.Lock()
        self._inner = None

    def _sender(self) -> Any:
        if self._inner is None:
            with self._lock:
                if self._inner is None:
                    self._inner = self._make()
        return self._inner

    def _exchange(self, request: Any, body: bytes) -> Exchange:
        asked = read_asked(request.method, str(request.url), request.headers.raw, body, self._upstreams)
        return Exchange(self._core, asked, self.library)


class Transport(_Governed):
    """Sends what the governed name in a request stands for; for clients that wait."""

    def handle_request(self, request: Any) -> Any:
        """Answer a request."""
        flow = self._exchange(request, request.read()).run()
        try:
            step = next(flow)
            while True:
                try:
                    given = self._take(step, request)
                except BaseException as error:  # noqa: BLE001 -- the exchange judges it and raises it again
                    step = flow.throw(error)
                else:
                    step = flow.send(given)
        except StopIteration as done:
            return self.library.response(done.value)

    def _take(self, step: Step, request: Any) -> Any:
        if isinstance(step, Send):
            sent = self.library.request(step, request.extensions)
            return self._sender().handle_request(sent)
        try:
            return b"".join(step.response.stream if isinstance(step, Read) else ())
        finally:
            step.response.stream.close()

    def close(self) -> None:
        """Close connections."""
        if self._inner is not None:
            self._inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncTransport(_Governed):
    """Sends what the governed name in a request stands for; for clients that await."""

    async def handle_async_request(self, request: Any) -> Any:
        """Answer a request."""
        flow = self._exchange(request, await request.aread()).run()
        try:
            step = next(flow)
            while True:
                try:
                    given = await self._take(step, request)
                except BaseException as error:  # noqa: BLE001 -- the exchange judges it and raises it again
                    step = flow.throw(error)
                else:
                    step = flow.send(given)
        except StopIteration as done:
            return self.library.response(done.value)

    async def _take(self, step: Step, request: Any) -> Any:
        if isinstance(step, Send):
            return await self._sender().handle_async_request(self.library.request(step, request.extensions))
        try:
            return (
                b"".join([piece async for piece in step.response.stream]) if isinstance(step, Read) else None
            )
        finally:
            await step.response.stream.aclose()

    async def aclose(self) -> None:
        """Close connections."""
        if self._inner is not None:
            await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
