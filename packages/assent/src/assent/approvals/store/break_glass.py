"""Table, projections and queries of break-glass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from assent.approvals.domain.break_glass import BreakGlass, Finding, Outcome
from assent.approvals.domain.events import (
    BreakGlassEnded,
    BreakGlassOpened,
    BreakGlassReviewed,
    BreakGlassSeconded,
)
from assent.approvals.store.requests import DIGEST, ID, NAME, REF, projections
from assent.kernel.db import Utc, table
from assent.kernel.events import Recorded
from assent.kernel.tx import Writer

break_glass = table(
    "approvals_break_glass",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("environment", NAME, nullable=False),
    sa.Column("request", ID, nullable=False, index=True),
    sa.Column("subject", DIGEST, nullable=False),
    sa.Column("ref", REF, nullable=False),
    sa.Column("name", NAME, nullable=False),
    sa.Column("reason", DIGEST, nullable=False),
    sa.Column("opened_by", ID, nullable=False),
    sa.Column("opened_at", Utc, nullable=False),
    sa.Column("second_by", Utc, nullable=False),
    sa.Column("ends_at", Utc, nullable=False),
    sa.Column("review_by", Utc, nullable=False),
    sa.Column("seconded_by", ID),
    sa.Column("seconded_at", Utc),
    sa.Column("outcome", sa.String(20)),
    sa.Column("ended_at", Utc),
    sa.Column("reviewed_by", ID),
    sa.Column("reviewed_at", Utc),
    sa.Column("finding", sa.String(20)),
    sa.Column("review", DIGEST),
    sa.Index("ix_approvals_break_glass_name", "project", "name"),
    kind="governed",
)


@projections.on(BreakGlassOpened)
def _opened(conn: Writer, r: Recorded[BreakGlassOpened]) -> None:
    e = r.event
    conn.execute(
        sa.insert(break_glass).values(
            id=e.break_glass,
            project=e.project,
            environment=e.environment,
            request=e.request,
            subject=e.subject,
            ref=e.ref,
            name=e.name,
            reason=e.reason,
            opened_by=r.actor,
            opened_at=r.at,
            second_by=e.second_by,
            ends_at=e.ends_at,
            review_by=e.review_by,
        )
    )


@projections.on(BreakGlassSeconded)
def _seconded(conn: Writer, r: Recorded[BreakGlassSeconded]) -> None:
    _set(conn, r.event.break_glass, seconded_by=r.actor, seconded_at=r.at)


@projections.on(BreakGlassEnded)
def _ended(conn: Writer, r: Recorded[BreakGlassEnded]) -> None:
    _set(conn, r.event.break_glass, outcome=r.event.outcome, ended_at=r.at)


@projections.on(BreakGlassReviewed)
def _reviewed(conn: Writer, r: Recorded[BreakGlassReviewed]) -> None:
    e = r.event
    _set(conn, e.break_glass, reviewed_by=r.actor, reviewed_at=r.at, finding=e.finding, review=e.review)


def _set(conn: Writer, which: str, **values: Any) -> None:
    conn.execute(sa.update(break_glass).where(break_glass.c.id == which).values(**values))


def find_break_glass(conn: sa.Connection, which: str, *, lock: bool = False) -> BreakGlass | None:
    """Find one, and lock it where it will be written."""
    query = sa.select(break_glass).where(break_glass.c.id == which)
    row = conn.execute(query.with_for_update() if lock else query).mappings().first()
    return None if row is None else _read(row)


def select_break_glass(
    conn: sa.Connection, *where: sa.ColumnElement[bool], limit: int | None = None
) -> list[BreakGlass]:
    """List them, newest first."""
    query = sa.select(break_glass).where(*where).order_by(break_glass.c.id.desc()).limit(limit)
    return [_read(row) for row in conn.execute(query).mappings()]


def _read(row: Mapping[Any, Any]) -> BreakGlass:
    values = dict(row)
    values["outcome"] = None if values["outcome"] is None else Outcome(values["outcome"])
    values["finding"] = None if values["finding"] is None else Finding(values["finding"])
    return BreakGlass(**values)
