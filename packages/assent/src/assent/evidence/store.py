"""The table of claims, its projection and its queries."""

from typing import Any

import sqlalchemy as sa

from assent.evidence.domain import ClaimRecorded, Evidence, metrics_of
from assent.kernel.db import Json, Utc, table
from assent.kernel.events import Recorded
from assent.kernel.tx import Projections, Writer

claims = table(
    "evidence_claims",
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("project", sa.String(63), nullable=False),
    sa.Column("kind", sa.String(63), nullable=False),
    sa.Column("subject", sa.String(71), nullable=False),
    sa.Column("environment", sa.String(63)),
    sa.Column("name", sa.String(63)),
    sa.Column("value", Json, nullable=False),
    sa.Column("by", sa.String(64), nullable=False),
    sa.Column("issued_at", Utc, nullable=False),
    sa.Column("expires_at", Utc),
    sa.Column("event", sa.String(64), nullable=False),
    sa.Index("ix_evidence_claims_subject", "project", "subject", "kind", "id"),
    sa.Index("ix_evidence_claims_place", "project", "environment", "name", "kind", "id"),
    kind="governed",
)

metrics = table(
    "evidence_metrics",
    sa.Column("project", sa.String(63), primary_key=True),
    sa.Column("subject", sa.String(71), primary_key=True),
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("value", sa.Double, nullable=False),
    sa.Column("claim", sa.String(64), nullable=False),
    sa.Index("ix_evidence_metrics_value", "project", "name", "value", "subject"),
    kind="governed",
)

projections = Projections("evidence")


@projections.on(ClaimRecorded)
def _recorded(conn: Writer, r: Recorded[ClaimRecorded]) -> None:
    e = r.event
    conn.execute(
        sa.insert(claims).values(
            id=e.evidence,
            project=e.project,
            kind=e.kind,
            subject=e.subject,
            environment=e.environment,
            name=e.name,
            value=e.value,
            by=r.actor,
            issued_at=r.at,
            expires_at=e.expires_at,
            event=r.id,
        )
    )
    found = metrics_of(e.value)
    if not found:
        return
    m = metrics.c
    conn.execute(sa.delete(metrics).where(m.project == e.project, m.subject == e.subject, m.name.in_(found)))
    place = {"project": e.project, "subject": e.subject, "claim": e.evidence}
    conn.execute(
        sa.insert(metrics), [{**place, "name": name, "value": value} for name, value in found.items()]
    )


def select(conn: sa.Connection, *where: sa.ColumnElement[bool], limit: int) -> list[Evidence]:
    """List claims, newest first. Ids are UUIDv7, so they sort by time of recording."""
    query = sa.select(claims).where(*where).order_by(claims.c.id.desc()).limit(limit)
    rows: list[Any] = list(conn.execute(query).mappings())
    return [Evidence(**row) for row in rows]
