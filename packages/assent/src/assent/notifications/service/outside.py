"""Calls that leave the installation: to the address that was checked and no other, within limits.

A name is resolved once; each address that it gives is judged; the connection goes to one of those, so no
later answer of a name server can lead it elsewhere. Nothing follows a redirect, reads a proxy from the
environment or keeps a connection.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import httpcore

from assent.kernel.addresses import Allowed, checked_url, expect_let_through, parse_allowed
from assent.kernel.clock import Clock
from assent.kernel.errors import Invalid
from assent.kernel.runtime import Runtime
from assent.kernel.settings import Settings
from assent.notifications.domain.retries import Outcome, retry_after_s

TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 64 * 1024
MAX_EXCERPT, MAX_SHOWN = 4096, 500
OK = range(200, 300)

Resolve = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system for the addresses of a host. Raises: OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


@dataclass(frozen=True, slots=True)
class Outside:
    """What calls to the outside need: the operator's settings, the sealing secret, time, names and trust."""

    settings: Settings
    secret: bytes
    clock: Clock
    resolve: Resolve = resolve
    trust: Callable[[], ssl.SSLContext] = _trust
    timeout_s: float = TIMEOUT_S
    allowed: Allowed = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "allowed", parse_allowed(self.settings.hook_allow))

    def judge(self, url: str) -> str:
        """Check a URL, its host and every address that it resolves to; gives its origin. Raises: Invalid."""
        host, port, origin = checked_url(url, http=self.settings.hook_http)
        self.addresses(host, port)
        return origin

    def addresses(self, host: str, port: int) -> Sequence[str]:
        """Resolve a host and judge each address. Raises: Invalid."""
        try:
            found = self.resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise Invalid(
                f"The host {host} cannot be resolved: {error}.", remedy="See that its name is right."
            ) from error
        if not found:
            raise Invalid(f"The host {host} has no address.")
        for one in found:
            expect_let_through(self.allowed, host, one)
        return found


def outside_of(runtime: Runtime) -> Outside:
    """Give what this installation calls with."""
    return Outside(runtime.settings, runtime.signers.secret, runtime.clock)


def post(outside: Outside, url: str, content: bytes, headers: Mapping[str, str]) -> Outcome:
    """Send a POST and judge the answer by its status; whatever goes wrong is an outcome."""
    began = time.monotonic()
    try:
        outcome = _post(outside, url, content, headers, began + outside.timeout_s)
    except Invalid as refusal:
        outcome = Outcome(ok=False, error=refusal.message)
    except (httpcore.ConnectError, httpcore.TimeoutException, httpcore.NetworkError) as error:
        outcome = Outcome(ok=False, error=f"The receiver did not answer: {_said(error)}.")
    except (httpcore.ProtocolError, _TooMuch) as error:
        outcome = Outcome(ok=False, error=f"The receiver's answer is not HTTP within limits: {_said(error)}.")
    return _timed(outcome, time.monotonic() - began)


def _said(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text[:200]


def _timed(outcome: Outcome, duration_s: float) -> Outcome:
    return replace(outcome, duration_s=duration_s)


def _post(outside: Outside, url: str, content: bytes, headers: Mapping[str, str], deadline: float) -> Outcome:
    checked_url(url, http=outside.settings.hook_http)
    timeout = {"connect": CONNECT_TIMEOUT_S, "read": outside.timeout_s, "write": outside.timeout_s}
    pool = httpcore.ConnectionPool(
        ssl_context=outside.trust(), network_backend=_Checked(outside, deadline), max_connections=1
    )
    with (
        pool,
        pool.stream(
            "POST", url, headers=list(headers.items()), content=content, extensions={"timeout": timeout}
        ) as response,
    ):
        body = _excerpt(response)
    said = {name.lower(): value for name, value in response.headers}
    after = retry_after_s(said.get(b"retry-after", b"").decode("latin-1"), outside.clock.now())
    ok = response.status in OK
    error = None if ok else f"The receiver answered {response.status}{_meaning(response.status)}."
    shown = body[:MAX_SHOWN].decode("utf-8", "replace")
    return Outcome(ok, response.status, error, None if ok else after, shown, body=body)


def _meaning(status: int) -> str:
    return ", and redirects are not followed" if status in range(300, 400) else ""


def _excerpt(response: Any) -> bytes:
    """Read the beginning of an answer: the status is what counts, so a huge or slow body harms nobody."""
    read = bytearray()
    try:
        for chunk in response.iter_stream():
            read += chunk
            if len(read) >= MAX_EXCERPT:
                break
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, _TooMuch):
        pass  # the status was there; what came of the body is all there is
    return bytes(read[:MAX_EXCERPT])


class _TooMuch(Exception):
    """An answer is larger than is read."""


class _Stream(httpcore.NetworkStream):
    """A connection with one deadline for everything and a limit on what is read."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline
        self._read = 0

    def _left(self, timeout: float | None) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the time is over")
        return left if timeout is None else min(left, timeout)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._read >= MAX_ANSWER_BYTES:
            raise _TooMuch(f"more than {MAX_ANSWER_BYTES:,} bytes")
        chunk = self._stream.read(min(max_bytes, MAX_ANSWER_BYTES), self._left(timeout))
        self._read += len(chunk)
        return chunk

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._left(timeout))
        return _Stream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Checked(httpcore.NetworkBackend):
    """Connects to an address that was judged, one after the other until one answers."""

    def __init__(self, outside: Outside, deadline: float) -> None:
        self._outside = outside
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        del local_address
        failure: Exception = httpcore.ConnectError("no address")
        for address in self._outside.addresses(host.rstrip(".").lower(), port):
            left = self._deadline - time.monotonic()
            if left <= 0:
                break
            try:
                within = left if timeout is None else min(left, timeout)
                stream = self._sockets.connect_tcp(address, port, within, None, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _Stream(stream, self._deadline)
        raise failure
