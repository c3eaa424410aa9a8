"""Ticks: watch every rollout each second, look at alerts, have answers judged, keep the ring small."""

import logging
import time

from assent.delivery import service as delivery
from assent.kernel.jobs import tick
from assent.kernel.runtime import Runtime
from assent.kernel.tx import SYSTEM
from assent.monitoring import service

log = logging.getLogger(__name__)

PRUNES_PER_TICK = 20
MAX_BUSY_S = 45.0
"""How long one tick goes on sending spans."""


@tick("monitoring.watch", every_s=1)
def watch(runtime: Runtime) -> None:
    """Close due blocks and act on the verdicts; one rollout's trouble keeps no other from its guard."""
    with runtime.session.read() as reader:
        running = delivery.list_running(reader)
    troubles: list[Exception] = []
    for rollout in running:
        try:
            with runtime.session.read() as reader:
                sight = service.look(reader, rollout)
                due = service.needs_writing(reader, rollout, sight)
            if due:
                with runtime.session.begin(SYSTEM) as tx:
                    service.apply(tx, rollout, sight)
        except Exception as trouble:
            log.exception("watching %s failed", rollout.id)
            troubles.append(trouble)
    if troubles:
        raise ExceptionGroup("some rollouts could not be watched", troubles)


@tick("monitoring.live", every_s=5)
def watch_live(runtime: Runtime) -> None:
    """Begin and end watches over what is live, and close their blocks; each by itself."""
    with runtime.session.read() as reader:
        changes = service.regressions.changes(reader)
    if changes.ending or changes.starting:
        with runtime.session.begin(SYSTEM) as tx:
            service.regressions.change(tx, changes)
    with runtime.session.read() as reader:
        watched = service.regressions.list_watched(reader)
    troubles: list[Exception] = []
    for live, alert in watched:
        try:
            with runtime.session.read() as reader:
                sight = service.regressions.look(reader, live, alert)
                due = sight is not None and service.regressions.needs_writing(reader, sight)
            if sight is not None and due:
                with runtime.session.begin(SYSTEM) as tx:
                    service.regressions.apply(tx, live, sight)
        except Exception as trouble:
            log.exception("watching %s failed", live.id)
            troubles.append(trouble)
    if troubles:
        raise ExceptionGroup("some live versions could not be watched", troubles)


@tick("monitoring.alert", every_s=10)
def alert(runtime: Runtime) -> None:
    """Look at every alert; record what fires, goes on, or is over."""
    with runtime.session.read() as reader:
        found = service.alerts.look(reader, runtime.settings.snapshot_ttl_s)
    if found:
        with runtime.session.begin(SYSTEM) as tx:
            for one, finding in found:
                service.alerts.apply(tx, one, finding)


@tick("monitoring.export_spans", every_s=5)
def export_spans(runtime: Runtime) -> None:
    """Send observed calls to the operator's collector, page after page."""
    url, until = runtime.settings.otlp_url, time.monotonic() + MAX_BUSY_S
    with runtime.session.read() as reader:
        is_right = service.span_export.follows(reader, url)
    if not is_right:
        with runtime.session.begin(SYSTEM) as tx:
            service.span_export.follow(tx, url)
    while url and time.monotonic() < until:
        with runtime.session.read() as reader:
            page = service.span_export.due(reader)
        if page is None:
            return
        outcome = service.span_export.send(service.span_export.outside_to(runtime), page)
        with runtime.session.begin(SYSTEM) as tx:
            if not service.span_export.settle(tx, page, outcome):
                return


@tick("monitoring.judge", every_s=5)
def judge(runtime: Runtime) -> None:
    """Have sampled answers judged within the day's budget; one judge's trouble is no other's."""
    with runtime.session.read() as reader:
        samplings = service.grading.list_due(reader)
    troubles: list[Exception] = []
    for sampling in samplings:
        try:
            with runtime.session.begin(SYSTEM) as tx:
                claimed = service.grading.claim(tx, sampling)
            if claimed is None:
                continue
            grades = service.grading.ask(claimed, runtime.signers.secret)
            with runtime.session.begin(SYSTEM) as tx:
                service.grading.settle(tx, claimed, grades)
        except Exception as trouble:
            log.exception("judging %s in %s failed", sampling.name, sampling.environment)
            troubles.append(trouble)
    if troubles:
        raise ExceptionGroup("some answers could not be judged", troubles)


@tick("monitoring.prune", every_s=30)
def prune(runtime: Runtime) -> None:
    """Delete what is too old, a little at a time."""
    for _ in range(PRUNES_PER_TICK):
        with runtime.session.begin(SYSTEM) as tx:
            if not service.prune(tx):
                return
