"""What delivery does on a schedule.

Rollouts whose time has come start, break-glass that is over ends, what was kept warm is let go, and drills
get their figures.
"""

from __future__ import annotations

import logging

from assent.approvals import service as approvals
from assent.delivery import service
from assent.kernel.errors import AssentError
from assent.kernel.jobs import tick
from assent.kernel.runtime import Runtime
from assent.kernel.tx import SYSTEM

log = logging.getLogger(__name__)


@tick("delivery.start_due", every_s=1)
def start_due(runtime: Runtime) -> None:
    """Start what waited for its time; what is refused waits on, and its page says why."""
    with runtime.session.read() as reader:
        now = reader.now()
        waiting = service.list_waiting(reader)
    for rollout in waiting:
        if rollout.plan.start_at is not None and rollout.plan.start_at <= now:
            try:
                with runtime.session.begin(SYSTEM) as tx:
                    service.start(tx, service.Ask(rollout=rollout.id))
            except AssentError as error:
                log.warning("the rollout of %s cannot start: %s", rollout.ref, error.message)
            else:
                runtime.signals.notify(service.TOPIC)


@tick("delivery.settle_break_glass", every_s=1)
def settle_break_glass(runtime: Runtime) -> None:
    """End what went out by break-glass: its time is over, its request is approved, or it was taken back."""
    with runtime.session.read() as reader:
        held = approvals.list_open_break_glass(reader)
    for one in held:
        try:
            with runtime.session.begin(SYSTEM) as tx:
                outcome = service.settle_break_glass(tx, one.id)
        except AssentError as error:
            log.warning("the break-glass for %s goes on: %s", one.ref, error.message)
        else:
            if outcome is not None:
                log.warning("the break-glass for %s ended: %s", one.ref, outcome.value)
                runtime.signals.notify(service.TOPIC)


@tick("delivery.cool", every_s=5)
def cool(runtime: Runtime) -> None:
    """Let go of versions that were kept warm after a switch for as long as their plan says."""
    with runtime.session.read() as reader:
        warm = service.list_warm(reader)
    for place in warm:
        try:
            with runtime.session.begin(SYSTEM) as tx:
                service.cool(tx, place)
        except AssentError as error:
            log.warning("%s keeps a version warm for longer: %s", place.name, error.message)
        else:
            runtime.signals.notify(service.TOPIC)


@tick("delivery.measure_drills", every_s=1)
def measure_drills(runtime: Runtime) -> None:
    """Write down how long each replica took to serve a drill."""
    with runtime.session.read() as reader:
        is_due = service.has_drills_due(reader)
    if is_due:
        with runtime.session.begin(SYSTEM) as tx:
            service.measure_due(tx)
