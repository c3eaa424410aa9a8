"""Ticks: read new leaves, deliver what is due, prune."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor

from assent.kernel.errors import AssentError
from assent.kernel.jobs import tick
from assent.kernel.runtime import Runtime
from assent.kernel.tx import SYSTEM
from assent.notifications import service
from assent.notifications.service import Outside, outside_of

log = logging.getLogger(__name__)

THREADS = 8
MAX_BUSY_S = 45.0
"""How long one tick goes on with one receiver."""


@tick("notifications.tail", every_s=2)
def tail(runtime: Runtime) -> None:
    """Queue what new leaves have for subscriptions, batch after batch."""
    while True:
        with runtime.session.read() as reader:
            if not service.is_behind(reader):
                return
        with runtime.session.begin(SYSTEM) as tx:
            service.tail(tx)


@tick("notifications.deliver", every_s=2)
def deliver(runtime: Runtime) -> None:
    """Deliver what is due: receivers beside each other, the deliveries of each in the order of leaves."""
    with runtime.session.read() as reader:
        if not service.any_ready(reader):
            return
    with runtime.session.begin(SYSTEM) as tx:
        lease, found = service.lease(tx)
    outside = outside_of(runtime)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="deliver") as threads:
        for one in found:
            threads.submit(serve, runtime, outside, lease, one)


def serve(runtime: Runtime, outside: Outside, lease: str, subscription: str) -> None:
    """Deliver to one receiver; its trouble keeps no other waiting, and itself until the lease ends."""
    try:
        _serve(runtime, outside, lease, subscription)
    except AssentError as error:
        log.warning("deliveries of %s wait: %s", subscription, error.message)
    except Exception:
        log.exception("deliveries of %s failed", subscription)
    else:
        with runtime.session.begin(SYSTEM) as tx:
            service.release(tx, lease, subscription)


def _serve(runtime: Runtime, outside: Outside, lease: str, subscription: str) -> None:
    until = time.monotonic() + MAX_BUSY_S
    with runtime.session.read() as reader:
        found = service.due(reader, outside.secret, lease, subscription)
    if found is None:
        return
    courier, waiting = found
    for delivery, heard in waiting:
        outcome = service.send(outside, courier, delivery.id, heard)
        with runtime.session.begin(SYSTEM) as tx:
            goes_on = service.settle(tx, lease, delivery, outcome)
        if not goes_on or time.monotonic() > until:
            return


@tick("notifications.prune", every_s=30)
def prune(runtime: Runtime) -> None:
    """Delete what is old."""
    with runtime.session.read() as reader:
        if not service.any_old(reader):
            return
    with runtime.session.begin(SYSTEM) as tx:
        service.prune(tx)
