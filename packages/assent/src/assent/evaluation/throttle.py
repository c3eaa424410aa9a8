"""How many requests at once: additive increase, multiplicative decrease, finding the server's limit.

Doubles per round until the first sign of overload, then adds one per round; halves at overload, at most once
per round. A server's Retry-After holds everybody. Source: Chiu and Jain 1989 (AIMD).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

FIRST_WINDOW = 10


class Throttle:
    """Slots for requests; used within one event loop."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._window = float(min(cap, FIRST_WINDOW))
        self._starting = True
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._until_s = 0.0
        self._round = 0
        self._halved_in = -1
        self.in_flight = 0

    @property
    def window(self) -> int:
        """Requests allowed at once now."""
        return max(1, int(self._window))

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[int]:
        """Hold a slot; gives the round in which it was taken."""
        loop = asyncio.get_running_loop()
        while True:
            if (wait_s := self._until_s - loop.time()) > 0:
                await asyncio.sleep(wait_s)
                continue
            if self.in_flight < self.window:
                break
            turn: asyncio.Future[None] = loop.create_future()
            self._waiting.append(turn)
            await turn
        self.in_flight += 1
        try:
            yield self._round
        finally:
            self.in_flight -= 1
            self._wake()

    def _wake(self) -> None:
        free = self.window - self.in_flight
        while free > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1

    def went_well(self) -> None:
        """Note an answer: the window grows."""
        self._window = min(self._cap, self._window + (1.0 if self._starting else 1.0 / self._window))
        self._wake()

    def overloaded(self, taken_in: int, *, retry_after_s: float = 0.0) -> None:
        """Note a sign of overload by a request whose slot was taken in that round: the window shrinks."""
        self._starting = False
        if taken_in >= self._halved_in + 1:
            self._halved_in = self._round
            self._round += 1
            self._window = max(1.0, self._window / 2)
        if retry_after_s > 0:
            self._until_s = max(self._until_s, asyncio.get_running_loop().time() + retry_after_s)
