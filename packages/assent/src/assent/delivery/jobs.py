"""What delivery does on a schedule: rollouts whose time has come start, if policy still agrees."""

from __future__ import annotations

import logging

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
