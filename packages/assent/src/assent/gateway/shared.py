"""What all connections of one gateway process share; one event loop owns it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine
from time import monotonic
from typing import Final, Protocol

from assent.gateway.heads import Form
from assent.gateway.hooks import Hooks
from assent.gateway.request import Request
from assent.gateway.settings import Limits
from assent.gateway.targets import Endpoint
from assent.gateway.upstream import Pool
from assent.kernel.addresses import Allowed
from assent_client.calls.refusals import Refusal

_MOST_HEADS: Final = 512


class Timed(Protocol):
    """What has a time limit: a client's connection, a call."""

    deadline: float

    def on_deadline(self) -> None:
        """End what takes too long."""


class Cuttable(Timed, Protocol):
    """A call, as a kill sees it."""

    @property
    def name(self) -> str:
        """Give the name that was called."""

    def cut(self, refusal: Refusal) -> None:
        """End at once."""


class Closable(Timed, Protocol):
    """A client's connection, as an orderly end sees it."""

    def close_idle(self) -> None:
        """Close if nothing is under way."""

    def end(self) -> None:
        """Close in any case."""


class Shared:
    """Limits, pools, and everything that is under way."""

    def __init__(self, limits: Limits, tls: ssl.SSLContext, hooks: Hooks | None = None) -> None:
        self.limits = limits
        self.tls = tls
        self.hooks = hooks or Hooks(Allowed(), is_http_allowed=False, limits=limits, tls=tls)
        self.clients: set[Closable] = set()
        self.active: set[Cuttable] = set()
        self.is_draining = False
        self.n_mirrored = self.n_not_mirrored = 0
        """Mirrored calls under way, and those that were left out because others were."""
        self._quiet: asyncio.Event | None = None
        """What an orderly end waits for; None while nobody does."""
        self._pools: dict[Endpoint, Pool] = {}
        self._aside: set[asyncio.Task[None]] = set()
        self.heads: dict[Form, Request] = {}
        """Requests that were parsed before, by the forms of their heads."""

    def pool(self, endpoint: Endpoint) -> Pool:
        """Give the connections to an endpoint."""
        pool = self._pools.get(endpoint)
        if pool is None:
            pool = self._pools[endpoint] = Pool(endpoint, self.limits, self.tls)
        return pool

    def learn(self, head: Form, request: Request) -> None:
        """Remember a head; applications that never repeat one cost no more than these."""
        if len(self.heads) >= _MOST_HEADS:
            self.heads.clear()
        self.heads[head] = request.again(b"", 0.0)

    def begin(self, call: Cuttable) -> None:
        """Take notice that a call is under way."""
        self.active.add(call)

    def forget(self, call: Cuttable) -> None:
        """Take notice that a call has ended."""
        self.active.discard(call)
        if self._quiet is not None and not self.active:
            self._quiet.set()

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start work beside the calls; an orderly end waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)
        return task

    async def settle(self) -> None:
        """Wait until no call and no work beside them is under way."""
        while self.active:
            self._quiet = asyncio.Event()
            await self._quiet.wait()
        while self._aside:
            await asyncio.wait(self._aside)

    def sweep(self) -> None:
        """End what is over its time; called several times a second, so that no request needs a timer."""
        time = monotonic()  # not the loop's time: uvloop's moves in steps of a millisecond
        for call in [call for call in self.active if call.deadline < time]:
            call.on_deadline()
        for client in [client for client in self.clients if client.deadline < time]:
            client.on_deadline()

    def close_pools(self) -> None:
        """Close idle upstream connections."""
        for pool in self._pools.values():
            pool.close()
        self.hooks.close()
