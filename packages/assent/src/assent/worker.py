"""The worker: evaluations, controllers, timers."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

from assent.installation import configure_logging, opened, prepare
from assent.kernel import jobs
from assent.kernel.settings import Settings
from assent.monitoring.service import exposition


def run(settings: Settings, ready: Callable[[], None]) -> None:
    """Work until SIGTERM or SIGINT; `ready` is told when it does. Raises: Frozen, Unavailable, Invalid."""
    configure_logging(settings)
    prepare(settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with opened(settings) as runtime, exposition.listening(runtime, settings.metrics_port):
        worker = jobs.start(runtime)
        ready()
        try:
            stop.wait()
        finally:
            worker.stop()
