"""Values that are served stale while one thread asks for newer ones: bounded in number and in age.

Younger than `fresh_s` a value is given as it is; up to `stale_s` it is given while one thread refreshes it;
older, or absent, callers wait for one refresh that they share. One that fails leaves the value as it is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from assent_client.errors import AssentError, Unavailable

log = logging.getLogger(__name__)

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How old a value may be, in seconds, and how many are kept.

    `most_s`: the age beyond which a value is refused where no newer one is to be had; None is never.
    """

    fresh_s: float = 30.0
    stale_s: float = 300.0
    most_s: float | None = None
    retry_s: float = 5.0
    n: int = 256


@dataclass(slots=True)
class _Entry(Generic[V]):
    value: V
    at: float
    tried_at: float
    unconfirmed: bool = False


class Cache(Generic[V]):
    """Values by key; `load` gets the key and what is held, and gives what is so now.

    Safe in threads. Call `after_fork` in a child: the parent's locks and flights stay behind, values do not.
    """

    def __init__(
        self,
        load: Callable[[str, V | None], V],
        bounds: Bounds,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._bounds = bounds
        self._clock = clock
        self._entries: OrderedDict[str, _Entry[V]] = OrderedDict()
        self._lock = threading.Lock()
        self._flights: dict[str, Future[V]] = {}

    @property
    def n_loading(self) -> int:
        """Say how many loads are under way."""
        return len(self._flights)

    def put(self, key: str, value: V, age_s: float) -> None:
        """Keep a value from elsewhere, to fall back on: the first who asks for it waits for a newer one."""
        with self._lock:
            self._keep(key, value, self._clock() - age_s, float("-inf"))
            self._entries[key].unconfirmed = True

    def get(self, key: str) -> tuple[V, float]:
        """Give a value and its age in seconds. Raises: what `load` raises, Unavailable (it is too old)."""
        now = self._clock()
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
        if entry is None:
            return self._flight(key, None).result(), 0.0
        age_s = now - entry.at
        if entry.unconfirmed:
            return self._waited(key, entry, age_s)
        if age_s <= self._bounds.fresh_s:
            return entry.value, age_s
        if age_s <= self._bounds.stale_s:
            if now - entry.tried_at >= self._bounds.retry_s:
                self._flight(key, entry, wait=False)
            return entry.value, age_s
        return self._waited(key, entry, age_s)

    def _waited(self, key: str, entry: _Entry[V], age_s: float) -> tuple[V, float]:
        recently = self._clock() - entry.tried_at < self._bounds.retry_s
        try:
            if not recently:
                return self._flight(key, entry).result(), 0.0
        except AssentError as error:
            entry.unconfirmed = False
            log.warning("%s: kept as it was %.0f s ago: %s", key or "snapshot", age_s, error.message)
        most_s = self._bounds.most_s
        if most_s is not None and age_s > most_s:
            raise Unavailable(
                f"What is known is {age_s:.0f} s old; {most_s:.0f} s are allowed.",
                remedy="See why the server does not answer.",
            )
        return entry.value, age_s

    def _flight(self, key: str, entry: _Entry[V] | None, *, wait: bool = True) -> Future[V]:
        """Give the one load of a key that is under way; whoever finds none makes it."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None:
                return flight
            flight = self._flights[key] = Future()
            if entry is not None:
                entry.tried_at = self._clock()
        if wait:
            self._fly(key, entry, flight)
        else:
            thread = threading.Thread(target=self._fly, args=(key, entry, flight), daemon=True)
            thread.start()
        return flight

    def _fly(self, key: str, entry: _Entry[V] | None, flight: Future[V]) -> None:
        began = self._clock()
        try:
            value = self._load(key, None if entry is None else entry.value)
        except BaseException as error:  # noqa: BLE001 -- whoever waits gets it, whatever it is
            with self._lock:
                self._flights.pop(key, None)
            flight.set_exception(error)
            return
        with self._lock:
            self._keep(key, value, began, began)
            self._flights.pop(key, None)
        flight.set_result(value)

    def _keep(self, key: str, value: V, at: float, tried_at: float) -> None:
        self._entries[key] = _Entry(value, at, tried_at)
        self._entries.move_to_end(key)
        while len(self._entries) > self._bounds.n:
            self._entries.popitem(last=False)

    def after_fork(self) -> None:
        """Begin anew in a child with the values that the parent had."""
        self._lock = threading.Lock()
        self._flights = {}
