"""Projections of delivery's events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from assent.delivery.domain import PREVIOUS, State, events
from assent.delivery.store.tables import admissions, drills, rollouts, routes, samplings
from assent.kernel.events import Recorded
from assent.kernel.tx import Projections, Writer

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


@projections.on(events.RolloutConcluded)
def _concluded(conn: Writer, r: Recorded[events.RolloutConcluded]) -> None:
    _end(conn, r, State.CONCLUDED, winner=r.event.winner, figures=r.event.figures, because=None)
    _route(conn, r)


@projections.on(events.RouteCooled)
def _cooled(conn: Writer, r: Recorded[events.RouteCooled]) -> None:
    _route(conn, r)


@projections.on(events.RouteDrilled)
def _drilled(conn: Writer, r: Recorded[events.RouteDrilled]) -> None:
    e = r.event
    _route(conn, r)
    conn.execute(
        sa.insert(drills).values(
            id=e.drill,
            project=e.project,
            environment=e.environment,
            name=e.name,
            drilled_at=r.at,
            drilled_by=r.actor,
            event=r.id,
        )
    )


@projections.on(events.DrillMeasured)
def _measured(conn: Writer, r: Recorded[events.DrillMeasured]) -> None:
    e = r.event
    conn.execute(
        sa.update(drills)
        .where(drills.c.id == e.drill)
        .values(
            measured_at=r.at,
            slowest_ms=e.slowest_ms,
            replicas=[list(pair) for pair in e.replicas],
            silent=list(e.silent),
        )
    )


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
    values = {"document": e.route, "generation": e.route_generation, "changed_at": r.at}
    if isinstance(e, events.RolloutPromoted):
        values["warm_until"] = e.warm_until
    elif PREVIOUS not in e.route["variants"]:
        values["warm_until"] = None
    conn.execute(
        sa.update(routes)
        .where(routes.c.project == e.project, routes.c.environment == e.environment, routes.c.name == e.name)
        .values(values)
    )


def _admit(conn: Writer, event: Any, kind: str, admitted_by: str, at: datetime) -> None:
    key = {"project": event.project, "environment": event.environment, "subject": event.subject}
    conn.execute(sa.delete(admissions).where(*(admissions.c[name] == value for name, value in key.items())))
    conn.execute(sa.insert(admissions).values(**key, kind=kind, event=admitted_by, admitted_at=at))


@projections.on(events.SamplingSet)
def _sampled(conn: Writer, r: Recorded[events.SamplingSet]) -> None:
    e, s = r.event, samplings.c
    here = sa.and_(s.project == e.project, s.environment == e.environment, s.name == e.name)
    conn.execute(sa.delete(samplings).where(here))
    values = {column.name: getattr(e, column.name) for column in samplings.c if hasattr(e, column.name)}
    conn.execute(sa.insert(samplings).values(set_at=r.at, set_by=r.actor, **values))
