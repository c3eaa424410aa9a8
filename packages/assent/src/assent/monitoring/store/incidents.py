"""Incidents."""

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from assent.kernel.events import Recorded
from assent.kernel.tx import Writer
from assent.monitoring.domain.events import (
    IncidentAcknowledged,
    IncidentMitigated,
    IncidentNoted,
    IncidentOpened,
    IncidentResolved,
    IncidentReviewed,
)
from assent.monitoring.store.blocks import projections
from assent.monitoring.store.tables import incidents


@projections.on(IncidentOpened)
def _opened(conn: Writer, r: Recorded[IncidentOpened]) -> None:
    e = r.event
    conn.execute(
        sa.insert(incidents).values(
            id=e.incident,
            project=e.project,
            environment=e.environment,
            rollout=e.rollout,
            route=e.route,
            subject=e.subject,
            guard=e.guard,
            total=e.total,
            threshold=e.threshold,
            summary=e.summary,
            last_block=e.last_block,
            guards=[
                {
                    **asdict(guard),
                    "canary_interval": list(guard.canary_interval),
                    "stable_interval": list(guard.stable_interval),
                }
                for guard in e.guards
            ],
            title=e.title,
            severity=e.severity,
            alert=e.alert,
            opened_at=r.at,
            opened_by=r.actor,
            # A guard opens it together with the rollback: nobody is harmed from then on.
            mitigated_at=None if e.guard is None else r.at,
            mitigated_by=None if e.guard is None else r.actor,
        )
    )


@projections.on(IncidentAcknowledged)
def _acknowledged(conn: Writer, r: Recorded[IncidentAcknowledged]) -> None:
    conn.execute(_change(r.event.incident).values(acknowledged_at=r.at, acknowledged_by=r.actor))


@projections.on(IncidentNoted)
def _noted(conn: Writer, r: Recorded[IncidentNoted]) -> None:
    """Keep nothing: the ledger itself is where notes are read."""


@projections.on(IncidentMitigated)
def _mitigated(conn: Writer, r: Recorded[IncidentMitigated]) -> None:
    conn.execute(_change(r.event.incident).values(mitigated_at=r.at, mitigated_by=r.actor))


@projections.on(IncidentResolved)
def _resolved(conn: Writer, r: Recorded[IncidentResolved]) -> None:
    conn.execute(_change(r.event.incident).values(resolved_at=r.at, resolved_by=r.actor, note=r.event.note))


@projections.on(IncidentReviewed)
def _reviewed(conn: Writer, r: Recorded[IncidentReviewed]) -> None:
    conn.execute(
        _change(r.event.incident).values(reviewed_at=r.at, reviewed_by=r.actor, review=r.event.review)
    )


def _change(incident: str) -> sa.Update:
    return sa.update(incidents).where(incidents.c.id == incident)


def find(conn: sa.Connection, project: str, incident: str) -> sa.Row[Any] | None:
    """Find an incident."""
    i = incidents.c
    return conn.execute(sa.select(incidents).where(i.project == project, i.id == incident)).one_or_none()


def list_(
    conn: sa.Connection, project: str, rollout: str | None, before: str | None, limit: int
) -> list[sa.Row[Any]]:
    """List incidents, newest first; ids sort by time."""
    i = incidents.c
    wanted = sa.select(incidents).where(i.project == project)
    if rollout is not None:
        wanted = wanted.where(i.rollout == rollout)
    if before is not None:
        wanted = wanted.where(i.id < before)
    return list(conn.execute(wanted.order_by(i.id.desc()).limit(limit)))
