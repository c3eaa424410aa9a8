"""What approvals does on a schedule: time-outs fail closed, and what became decidable is decided."""

from __future__ import annotations

import logging

from assent.approvals import service
from assent.kernel.errors import AssentError
from assent.kernel.jobs import tick
from assent.kernel.runtime import Runtime
from assent.kernel.tx import SYSTEM

log = logging.getLogger(__name__)


@tick("approvals.settle", every_s=5)
def settle(runtime: Runtime) -> None:
    """End requests whose time is over, and decide open ones for which the last evidence has come."""
    with runtime.session.read() as reader:
        now = reader.now()
        pending = service.list_pending(reader)
        due = [one.id for one in pending if one.expires_at <= now]
        ripe = [one.id for one in pending if one.id not in due and service.decidable(reader, one)]
    for request in due + ripe:
        try:
            with runtime.session.begin(SYSTEM) as tx:
                if not service.expire(tx, request):
                    service.settle(tx, service.get(tx, request, lock=True))
        except AssentError as error:
            log.warning("the request %s stays as it is: %s", request, error.message)
