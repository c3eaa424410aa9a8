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
        """Hold a slot; gives the round in which it was taken. First come, first served."""
        loop = asyncio.get_running_loop()
        await self._turn()
        try:
            while (wait_s := self._until_s - loop.time()) > 0:  # noqa: ASYNC110 -- the end may move meanwhile
                await asyncio.sleep(wait_s)
            yield self._round
        finally:
            self._leave()

    async def _turn(self) -> None:
        """Wait for a slot behind those who wait already: who has just left one does not get ahead of them."""
        if self.in_flight < self.window and not self._waiting:
            self.in_flight += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the slot was given just before
                self._leave()
            raise

    def _leave(self) -> None:
        self.in_flight -= 1
        self._wake()

    def _wake(self) -> None:
        """Give free slots to those who wait."""
        while self._waiting and self.in_flight < self.window:
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)

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
