"""Bounded time for code of ours and of libraries: what runs too long is interrupted, not waited for."""

import ctypes
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL_S = 0.05
_SETTLE_S = 1.0


class OutOfTime(BaseException):
    """The code ran longer than it may. Not an Exception, so that no scorer swallows it by accident."""


class Watchdog:
    """Interrupts threads that run longer than they may, between two bytecodes.

    A call into C is interrupted when it returns; patterns have limits of their own for that reason.
    Whoever takes a thread's entry out of `_until` decides: the thread itself (done) or the watcher (too
    late), so no interrupt reaches code that runs afterwards.
    """

    def __init__(self) -> None:
        self._until: dict[int, float] = {}
        self._starting = threading.Lock()
        self._watcher: threading.Thread | None = None

    def run(self, act: Callable[[], T], limit_s: float) -> T:
        """Give what `act` gives. Raises: OutOfTime, and what it raises."""
        self._start()
        me = threading.get_ident()
        self._until[me] = time.monotonic() + limit_s
        try:
            value = act()
        except OutOfTime:
            raise
        except BaseException:
            self._settle(me)
            raise
        self._settle(me)
        return value

    def _settle(self, me: int) -> None:
        if self._until.pop(me, None) is None:
            waited_until = time.monotonic() + _SETTLE_S
            while time.monotonic() < waited_until:  # the interrupt is on its way
                time.sleep(0.001)

    def _start(self) -> None:
        if self._watcher is None or not self._watcher.is_alive():
            with self._starting:
                if self._watcher is None or not self._watcher.is_alive():
                    self._watcher = threading.Thread(target=self._watch, name="scorers", daemon=True)
                    self._watcher.start()

    def _watch(self) -> None:
        while True:
            time.sleep(POLL_S)
            now = time.monotonic()
            for thread, until in list(self._until.items()):
                if now > until and self._until.pop(thread, None) is not None:
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(thread), ctypes.py_object(OutOfTime)
                    )


WATCHDOG = Watchdog()
