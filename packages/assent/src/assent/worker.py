"""The worker: evaluations, controllers, timers."""

from __future__ import annotations

import signal
from collections.abc import Callable
from queue import Empty, SimpleQueue

from assent.installation import configure_logging, opened, prepare
from assent.kernel import jobs
from assent.kernel.settings import Settings
from assent.monitoring.service import exposition


def run(settings: Settings, ready: Callable[[], None]) -> None:
    """Work until SIGTERM or SIGINT; `ready` is told when it does. Raises: Frozen, Unavailable, Invalid."""
    configure_logging(settings)
    prepare(settings)
    stops = listen()
    with opened(settings) as runtime, exposition.listening(runtime, settings.metrics_port):
        worker = jobs.start(runtime)
        ready()
        try:
            wait(stops)
        finally:
            worker.stop()


def listen() -> SimpleQueue[int]:
    """Give where SIGTERM and SIGINT are told from now on: unlike an event, safe in a handler."""
    stops: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda told, _: stops.put(told))
    return stops


def wait(stops: SimpleQueue[int]) -> None:
    """Wait for a signal, and look up each second: one just before an endless wait would not end it."""
    while True:
        try:
            stops.get(timeout=1.0)
        except Empty:
            continue
        return
