"""Guardrails that are asked outside: one signed POST each, within limits, and left alone while they are down.

A question {"type": "guardrail.request", "timestamp", "data": {"guardrail", "project", "environment",
"version", "digest", "texts": […]}} is signed as Standard Webhooks says; the answer is {"action": "allow"},
{"action": "block"}, or {"action": "replace", "texts": […]} with as many texts in the same order. Anything
else, a redirect too, is a failure. A name is resolved once for each connection, each address is judged, and
the connection goes to one of those.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from assent.gateway.exchange import exchange
from assent.gateway.settings import Limits
from assent.gateway.targets import Endpoint
from assent.gateway.upstream import Failure, Pool, UpstreamConnection
from assent.kernel.addresses import Allowed, checked_url, expect_let_through
from assent.kernel.errors import Invalid
from assent_client.calls.hooks import Hook
from assent_client.verify.webhook import sign

log = logging.getLogger(__name__)

MAX_TEXTS: Final = 200_000
"""Characters that a hook is sent at most."""
_MAX_ANSWER_BYTES: Final = 1_048_576
_OK: Final = 200
_FAILURES: Final = 5
"""Failures in a row after which a hook is left alone for a while."""
_REST_S: Final = 10.0
_encode = msgspec.json.Encoder().encode


class HookFailed(Exception):
    """A hook gave no answer that counts."""


class Verdict(msgspec.Struct, frozen=True):
    """What a hook says; `texts` belong to `replace`."""

    action: Literal["allow", "block", "replace"]
    texts: list[str] = []


_decode = msgspec.json.Decoder(Verdict).decode


@dataclass(slots=True)
class _Breaker:
    """Leaves a hook alone for a while after failures in a row; then one call tries it."""

    url: str
    n_failed: int = 0
    until: float = 0.0

    @property
    def is_broken(self) -> bool:
        return self.n_failed >= _FAILURES

    def lets(self) -> bool:
        if not self.is_broken:
            return True
        if monotonic() < self.until:
            return False
        self.until = monotonic() + _REST_S
        return True

    def succeeded(self) -> None:
        if self.is_broken:
            log.info("gateway: the guardrail at %s answers again", self.url)
        self.n_failed = 0

    def failed(self, why: str) -> None:
        self.n_failed += 1
        if self.is_broken:
            self.until = monotonic() + _REST_S
        if self.n_failed == 1:
            log.warning("gateway: the guardrail at %s gave no answer: %s", self.url, why)
        elif self.n_failed == _FAILURES:
            log.error("gateway: the guardrail at %s is down: %s", self.url, why)


@dataclass(slots=True)
class Hooks:
    """One worker's calls of hooks: connections, and what it knows of each hook's health."""

    allowed: Allowed
    is_http_allowed: bool
    limits: Limits
    tls: ssl.SSLContext
    n_passed_by: int = 0
    """Questions that a hook which fails open did not answer."""
    _pools: dict[Endpoint, Pool] = field(default_factory=dict)
    _breakers: dict[str, _Breaker] = field(default_factory=dict)

    @property
    def n_broken(self) -> int:
        """Count the hooks that are left alone now."""
        return sum(breaker.is_broken for breaker in self._breakers.values())

    async def ask(self, hook: Hook, facts: Mapping[str, str], texts: Sequence[str]) -> Verdict:
        """Ask one hook of texts. Raises: HookFailed."""
        try:
            return await self._ask(hook, facts, texts)
        except HookFailed:
            self.n_passed_by += hook.is_open
            raise

    async def _ask(self, hook: Hook, facts: Mapping[str, str], texts: Sequence[str]) -> Verdict:
        if sum(map(len, texts)) > MAX_TEXTS:
            raise HookFailed(f"there are more than {MAX_TEXTS} characters")
        breaker = self._breakers.setdefault(hook.url, _Breaker(_origin(hook.url)))
        if not breaker.lets():
            raise HookFailed("it failed before and is left alone for a while")
        try:
            async with asyncio.timeout(hook.timeout_s):
                verdict = _read(await self._exchange(hook, _question(hook, facts, texts)), len(texts))
        except TimeoutError:
            why = f"no answer within {hook.timeout_s:g} s"
        except (Failure, Invalid, HookFailed) as error:
            why = str(error)
        else:
            breaker.succeeded()
            return verdict
        breaker.failed(why)
        raise HookFailed(why)

    async def _exchange(self, hook: Hook, body: bytes) -> bytes:
        host, port, _ = checked_url(hook.url, http=self.is_http_allowed)
        parts = urlsplit(hook.url)
        endpoint = Endpoint(host, port, parts.scheme == "https", hook.timeout_s)
        pool = self._pools.get(endpoint)
        if pool is None:
            pool = self._pools[endpoint] = CheckedPool(endpoint, self.limits, self.tls, self.allowed)
        answer = await exchange(pool, _request(hook, parts.netloc, body), _MAX_ANSWER_BYTES)
        if answer.status != _OK:
            raise HookFailed(f"it answers {answer.status}")
        return answer.body

    def close(self) -> None:
        """Close idle connections."""
        for pool in self._pools.values():
            pool.close()


def _read(body: bytes, n_texts: int) -> Verdict:
    try:
        verdict = _decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise HookFailed(f"its answer is none: {error}") from None
    if verdict.action == "replace" and len(verdict.texts) != n_texts:
        raise HookFailed(f"it gives {len(verdict.texts)} texts for {n_texts}")
    return verdict


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _question(hook: Hook, facts: Mapping[str, str], texts: Sequence[str]) -> bytes:
    said = {"guardrail": hook.name, **facts, "texts": texts}
    return _encode({"type": f"guardrail.{hook.on}", "timestamp": datetime.now(UTC), "data": said})


def _request(hook: Hook, netloc: str, body: bytes) -> bytes:
    parts = urlsplit(hook.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    id_, at = f"msg_{secrets.token_hex(12)}", int(datetime.now(UTC).timestamp())
    lines = {
        "host": netloc,
        "content-type": "application/json",
        "accept-encoding": "identity",
        "user-agent": "Assent",
        "webhook-id": id_,
        "webhook-timestamp": str(at),
        "webhook-signature": sign([hook.secret], id_, at, body),
        "content-length": str(len(body)),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {target} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body


class CheckedPool(Pool):
    """Connections to one host of the outside, made only to addresses that were judged."""

    def __init__(self, endpoint: Endpoint, limits: Limits, tls: ssl.SSLContext, allowed: Allowed) -> None:
        super().__init__(endpoint, limits, tls)
        self._allowed = allowed

    async def _open(self) -> UpstreamConnection:
        """Connect to the first address that answers; one that must not be reached spoils them all."""
        where = self._endpoint
        infos = await self._loop.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(info[4][0]) for info in infos))
        for address in addresses:
            expect_let_through(self._allowed, where.host, address)
        failure = OSError("it has no address")
        for address in addresses:
            try:
                return await self._dial(address, where.host if where.tls else None)
            except OSError as error:
                failure = error
        raise failure
