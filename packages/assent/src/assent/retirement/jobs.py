"""A tick: give the notices that are due, and tell which base models near their end."""

from __future__ import annotations

import logging

from assent.identity import service as identity
from assent.kernel.errors import AssentError
from assent.kernel.jobs import tick
from assent.kernel.runtime import Runtime
from assent.kernel.tx import SYSTEM
from assent.retirement import service
from assent.retirement.domain import State

log = logging.getLogger(__name__)


@tick("retirement.notify", every_s=20)
def notify(runtime: Runtime) -> None:
    """Give what is due; one version's trouble keeps no other waiting."""
    with runtime.session.read() as reader:
        announced = service.list_(reader, None, State.DEPRECATED)
        projects = [project.name for project in identity.list_projects(reader)]
    for one in announced:
        try:
            with runtime.session.begin(SYSTEM) as tx:
                service.give_notice(tx, one)
        except AssentError as error:
            log.warning("no notice of %s was given: %s", one.ref, error.message)
    for project in projects:
        with runtime.session.begin(SYSTEM) as tx:
            service.near(tx, project)
