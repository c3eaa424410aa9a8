"""What a process holds: settings, the session, keys, signals."""

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from assent.kernel.blobs import Blobs
from assent.kernel.clock import Clock
from assent.kernel.settings import Settings
from assent.kernel.signing import Signers
from assent.kernel.tx import Session


class Signals:
    """Wake-ups within a process: a topic, no content. A subscriber reads the state by itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: defaultdict[str, list[Callable[[], None]]] = defaultdict(list)

    def subscribe(self, topic: str, call: Callable[[], None]) -> Callable[[], None]:
        """Have `call` run, on the notifier's thread, at each notification; gives what ends it."""
        with self._lock:
            self._calls[topic].append(call)

        def end() -> None:
            with self._lock:
                self._calls[topic].remove(call)

        return end

    def notify(self, topic: str) -> None:
        """Wake the subscribers of a topic."""
        with self._lock:
            calls = list(self._calls[topic])
        for call in calls:
            call()


@dataclass(frozen=True, slots=True)
class Runtime:
    """Shared by everything that runs in a process."""

    settings: Settings
    session: Session
    signers: Signers
    signals: Signals = field(default_factory=Signals)

    @property
    def clock(self) -> Clock:
        """Give the clock."""
        return self.session.ports.clock

    @property
    def blobs(self) -> Blobs:
        """Give the blob store."""
        return self.session.ports.blobs
