"""Queries of delivery, and what it keeps between looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from assent.delivery.domain import Rollout, State, parse_plan
from assent.delivery.store.tables import (
    acknowledgements,
    admissions,
    drills,
    judgements,
    rollouts,
    routes,
    samplings,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRow:
    """A route as stored."""

    project: str
    environment: str
    name: str
    document: dict[str, Any]
    generation: int
    changed_at: datetime
    warm_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Which event admits a version to an environment."""

    subject: str
    kind: str
    event: str


def find_route(
    conn: sa.Connection, project: str, environment: str, name: str, *, lock: bool = False
) -> RouteRow | None:
    """Find a route, and lock it where it will be written."""
    query = sa.select(routes).where(
        routes.c.project == project, routes.c.environment == environment, routes.c.name == name
    )
    row = conn.execute(query.with_for_update() if lock else query).mappings().first()
    return None if row is None else RouteRow(**row)


def list_routes(conn: sa.Connection, project: str, environment: str | None = None) -> list[RouteRow]:
    """List the routes of a project, or of one environment."""
    query = sa.select(routes).where(routes.c.project == project).order_by(routes.c.environment, routes.c.name)
    if environment is not None:
        query = query.where(routes.c.environment == environment)
    return [RouteRow(**row) for row in conn.execute(query).mappings()]


def list_warm(conn: sa.Connection, until: datetime) -> list[RouteRow]:
    """List the routes whose version before has been kept warm for long enough."""
    query = sa.select(routes).where(routes.c.warm_until <= until).order_by(routes.c.name)
    return [RouteRow(**row) for row in conn.execute(query).mappings()]


def list_samplings(
    conn: sa.Connection, project: str | None, environment: str | None = None, name: str | None = None
) -> list[sa.Row[Any]]:
    """List samplings, of a project or of all, by project, environment and name."""
    s = samplings.c
    query = sa.select(samplings).order_by(s.project, s.environment, s.name)
    for column, value in ((s.project, project), (s.environment, environment), (s.name, name)):
        query = query if value is None else query.where(column == value)
    return list(conn.execute(query))


def list_drills(conn: sa.Connection, where: Mapping[str, Any], limit: int = 50) -> list[dict[str, Any]]:
    """List drills, newest first; `where`: columns and their values."""
    query = sa.select(drills).order_by(drills.c.id.desc()).limit(limit)
    for name, value in where.items():
        query = query.where(drills.c[name] == value)
    return [dict(row) for row in conn.execute(query).mappings()]


def find_rollout(conn: sa.Connection, rollout: str, *, lock: bool = False) -> dict[str, Any] | None:
    """Find a rollout's row, and lock it where it will be written."""
    query = sa.select(rollouts).where(rollouts.c.id == rollout)
    row = conn.execute(query.with_for_update() if lock else query).mappings().first()
    return None if row is None else dict(row)


def list_rollouts(
    conn: sa.Connection, where: Mapping[str, Any], before: str | None = None, limit: int | None = None
) -> list[dict[str, Any]]:
    """List rollouts, newest first; `where`: columns and the values (or lists of values) that they have."""
    query = sa.select(rollouts).order_by(rollouts.c.id.desc())
    for name, value in where.items():
        column = rollouts.c[name]
        query = query.where(column.in_(value) if isinstance(value, list) else column == value)
    if before is not None:
        query = query.where(rollouts.c.id < before)
    rows = conn.execute(query.limit(limit) if limit else query).mappings()
    return [dict(row) for row in rows]


def rollout_of(row: Mapping[str, Any]) -> Rollout:
    """Read a row as a rollout."""
    return Rollout(
        id=row["id"],
        project=row["project"],
        environment=row["environment"],
        name=row["name"],
        kind=row["kind"],
        subject=row["subject"],
        ref=row["ref"],
        request=row["request"],
        plan=parse_plan(row["plan"]),
        salt=row["salt"],
        state=State(row["state"]),
        step=row["step"],
        step_started_at=row["step_started_at"],
        units_before=row["units_before"],
        stable=row["stable"],
        receipt=row["receipt"],
        because=row["because"],
        generation=row["generation"],
    )


def list_admissions(conn: sa.Connection, project: str, environment: str) -> dict[str, Admission]:
    """Give the admissions of an environment by the version's digest."""
    a = admissions.c
    query = sa.select(a.subject, a.kind, a.event).where(a.project == project, a.environment == environment)
    return {row["subject"]: Admission(**row) for row in conn.execute(query).mappings()}


def put_judgement(conn: sa.Connection, rollout: str, at: datetime, judgement: Mapping[str, Any]) -> None:
    """Keep the newest judgement of a rollout."""
    conn.execute(sa.delete(judgements).where(judgements.c.rollout == rollout))
    conn.execute(sa.insert(judgements).values(rollout=rollout, judged_at=at, judgement=judgement))


def find_judgement(conn: sa.Connection, rollout: str) -> tuple[datetime, dict[str, Any]] | None:
    """Find the newest judgement of a rollout."""
    query = sa.select(judgements.c.judged_at, judgements.c.judgement).where(judgements.c.rollout == rollout)
    row = conn.execute(query).first()
    return None if row is None else (row[0], row[1])


def put_acknowledgement(conn: sa.Connection, row: Mapping[str, Any]) -> None:
    """Keep the newest acknowledgement of a replica."""
    a = acknowledgements
    key = ("project", "environment", "account", "replica")
    conn.execute(sa.delete(a).where(*(a.c[name] == row[name] for name in key)))
    conn.execute(sa.insert(a).values(row))


def list_acknowledgements(conn: sa.Connection, project: str, environment: str) -> list[dict[str, Any]]:
    """List what each replica serves."""
    a = acknowledgements
    query = sa.select(a).where(a.c.project == project, a.c.environment == environment).order_by(a.c.replica)
    return [dict(row) for row in conn.execute(query).mappings()]
