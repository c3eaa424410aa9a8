"""Tables, projections and queries of delivery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from assent.delivery.domain import Rollout, State, events, parse_plan
from assent.kernel.db import Json, Utc, table
from assent.kernel.events import Recorded
from assent.kernel.tx import Projections, Writer

NAME = sa.String(63)
ID = sa.String(64)
DIGEST = sa.String(71)

routes = table(
    "delivery_routes",
    sa.Column("project", NAME, primary_key=True),
    sa.Column("environment", NAME, primary_key=True),
    sa.Column("name", NAME, primary_key=True),
    sa.Column("document", Json, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("changed_at", Utc, nullable=False),
    kind="governed",
)
rollouts = table(
    "delivery_rollouts",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("environment", NAME, nullable=False),
    sa.Column("name", NAME, nullable=False),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("subject", DIGEST, nullable=False, index=True),
    sa.Column("ref", sa.String(200), nullable=False),
    sa.Column("request", ID, nullable=False, index=True),
    sa.Column("plan", Json, nullable=False),
    sa.Column("plan_digest", DIGEST, nullable=False),
    sa.Column("salt", sa.String(64), nullable=False),
    sa.Column("state", sa.String(15), nullable=False, index=True),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("step_started_at", Utc),
    sa.Column("units_before", sa.Integer, nullable=False),
    sa.Column("stable", DIGEST),
    sa.Column("receipt", Json),
    sa.Column("because", sa.String(20)),
    sa.Column("guard", sa.String(30)),
    sa.Column("e_value", sa.String(40)),
    sa.Column("figures", Json),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("planned_by", ID, nullable=False),
    sa.Column("planned_at", Utc, nullable=False),
    sa.Column("started_by", ID),
    sa.Column("started_at", Utc),
    sa.Column("ended_by", ID),
    sa.Column("ended_at", Utc),
    sa.Column("reason", DIGEST),
    sa.Index("ix_delivery_rollouts_name", "project", "environment", "name"),
    kind="governed",
)
admissions = table(
    "delivery_admissions",
    sa.Column("project", NAME, primary_key=True),
    sa.Column("environment", NAME, primary_key=True),
    sa.Column("subject", DIGEST, primary_key=True),
    sa.Column("kind", sa.String(15), nullable=False),
    sa.Column("event", ID, nullable=False),
    sa.Column("admitted_at", Utc, nullable=False),
    kind="governed",
)
judgements = table(
    "delivery_judgements",
    sa.Column("rollout", ID, primary_key=True),
    sa.Column("judged_at", Utc, nullable=False),
    sa.Column("judgement", Json, nullable=False),
    kind="operational",
)
acknowledgements = table(
    "delivery_acknowledgements",
    sa.Column("project", NAME, primary_key=True),
    sa.Column("environment", NAME, primary_key=True),
    sa.Column("account", ID, primary_key=True),
    sa.Column("replica", sa.String(100), primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("serial", sa.Integer, nullable=False),
    sa.Column("acknowledged_at", Utc, nullable=False),
    kind="operational",
)

projections = Projections("delivery")


@projections.on(events.VersionAdopted)
def _adopted(conn: Writer, r: Recorded[events.VersionAdopted]) -> None:
    e = r.event
    conn.execute(
        sa.insert(routes).values(
            project=e.project,
            environment=e.environment,
            name=e.name,
            document=e.route,
            generation=e.route_generation,
            changed_at=r.at,
        )
    )
    _admit(conn, e, "adopted", r.id, r.at)


@projections.on(events.RolloutPlanned)
def _planned(conn: Writer, r: Recorded[events.RolloutPlanned]) -> None:
    e = r.event
    conn.execute(
        sa.insert(rollouts).values(
            id=e.rollout,
            project=e.project,
            environment=e.environment,
            name=e.name,
            kind=e.kind,
            subject=e.subject,
            ref=e.ref,
            request=e.request,
            plan=e.plan,
            plan_digest=e.plan_digest,
            salt=e.salt,
            state=State.PLANNED.value,
            step=-1,
            units_before=0,
            generation=1,
            planned_by=r.actor,
            planned_at=r.at,
        )
    )


@projections.on(events.RolloutQueued)
def _queued(conn: Writer, r: Recorded[events.RolloutQueued]) -> None:
    _move(conn, r, State.WAITING)


@projections.on(events.RolloutStarted)
def _started(conn: Writer, r: Recorded[events.RolloutStarted]) -> None:
    e = r.event
    _move(
        conn,
        r,
        State.RUNNING,
        step=0,
        step_started_at=r.at,
        stable=e.stable,
        receipt=e.receipt,
        started_by=r.actor,
        started_at=r.at,
    )
    _route(conn, r)
    _admit(conn, e, e.decision_kind, e.decision, r.at)


@projections.on(events.RolloutAdmitted)
def _admitted(conn: Writer, r: Recorded[events.RolloutAdmitted]) -> None:
    e = r.event
    changed = sa.update(rollouts).where(rollouts.c.id == e.rollout)
    conn.execute(changed.values(generation=e.generation))
    _admit(conn, e, e.decision_kind, e.decision, r.at)


@projections.on(events.RolloutAdvanced)
def _advanced(conn: Writer, r: Recorded[events.RolloutAdvanced]) -> None:
    e = r.event
    _move(
        conn, r, State.RUNNING, step=e.step, step_started_at=r.at, units_before=e.n_canary_units, because=None
    )
    _route(conn, r)


@projections.on(events.RolloutPaused)
def _paused(conn: Writer, r: Recorded[events.RolloutPaused]) -> None:
    _move(conn, r, State.PAUSED, because=r.event.because, figures=r.event.figures)


@projections.on(events.RolloutResumed)
def _resumed(conn: Writer, r: Recorded[events.RolloutResumed]) -> None:
    _move(conn, r, State.RUNNING, because=None, step_started_at=r.at)


@projections.on(events.RolloutPromoted)
def _promoted(conn: Writer, r: Recorded[events.RolloutPromoted]) -> None:
    _end(conn, r, State.PROMOTED, figures=r.event.figures, because=None)
    _route(conn, r)


@projections.on(events.RolloutAborted)
def _aborted(conn: Writer, r: Recorded[events.RolloutAborted]) -> None:
    _end(conn, r, State.ABORTED)
    if r.event.route is not None:
        _route(conn, r)


@projections.on(events.RolloutRolledBack)
def _rolled_back(conn: Writer, r: Recorded[events.RolloutRolledBack]) -> None:
    e = r.event
    _end(conn, r, State.ROLLED_BACK, because=e.because, guard=e.guard, e_value=e.e_value, figures=e.figures)
    _route(conn, r)


@projections.on(events.RouteKilled)
def _killed(conn: Writer, r: Recorded[events.RouteKilled]) -> None:
    _route(conn, r)


@projections.on(events.RouteRestored)
def _restored(conn: Writer, r: Recorded[events.RouteRestored]) -> None:
    _route(conn, r)


def _move(conn: Writer, r: Recorded[Any], state: State, **columns: Any) -> None:
    values = {"state": state.value, "generation": r.event.generation, "reason": r.reason, **columns}
    conn.execute(sa.update(rollouts).where(rollouts.c.id == r.event.rollout).values(values))


def _end(conn: Writer, r: Recorded[Any], state: State, **columns: Any) -> None:
    _move(conn, r, state, ended_by=r.actor, ended_at=r.at, **columns)


def _route(conn: Writer, r: Recorded[Any]) -> None:
    e = r.event
    conn.execute(
        sa.update(routes)
        .where(routes.c.project == e.project, routes.c.environment == e.environment, routes.c.name == e.name)
        .values(document=e.route, generation=e.route_generation, changed_at=r.at)
    )


def _admit(conn: Writer, event: Any, kind: str, admitted_by: str, at: datetime) -> None:
    key = {"project": event.project, "environment": event.environment, "subject": event.subject}
    conn.execute(sa.delete(admissions).where(*(admissions.c[name] == value for name, value in key.items())))
    conn.execute(sa.insert(admissions).values(**key, kind=kind, event=admitted_by, admitted_at=at))


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRow:
    """A route as stored."""

    project: str
    environment: str
    name: str
    document: dict[str, Any]
    generation: int
    changed_at: datetime


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
