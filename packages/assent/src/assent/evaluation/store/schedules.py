"""Schedules of suites: table, projections, queries."""

from typing import Any

import sqlalchemy as sa

from assent.evaluation.domain.schedules import ScheduleRemoved, ScheduleSet
from assent.evaluation.store.records import ID, NAME, REF, projections
from assent.kernel.db import Utc, table
from assent.kernel.events import Recorded
from assent.kernel.tx import Reader, Writer

schedules = table(
    "evaluation_schedules",
    sa.Column("project", NAME, primary_key=True),
    sa.Column("suite", NAME, primary_key=True),
    sa.Column("name", NAME, primary_key=True),
    sa.Column("environment", NAME, primary_key=True),
    sa.Column("suite_ref", REF, nullable=False),
    sa.Column("every_s", sa.Integer, nullable=False),
    sa.Column("set_at", Utc, nullable=False),
    sa.Column("set_by", ID, nullable=False),
    kind="governed",
)


@projections.on(ScheduleSet)
def _set(conn: Writer, r: Recorded[ScheduleSet]) -> None:
    e = r.event
    conn.execute(_removal(e))
    conn.execute(
        sa.insert(schedules).values(
            project=e.project,
            suite=e.suite,
            name=e.name,
            environment=e.environment,
            suite_ref=e.suite_ref,
            every_s=e.every_s,
            set_at=r.at,
            set_by=r.actor,
        )
    )


@projections.on(ScheduleRemoved)
def _removed(conn: Writer, r: Recorded[ScheduleRemoved]) -> None:
    conn.execute(_removal(r.event))


def _removal(e: ScheduleSet | ScheduleRemoved) -> sa.Delete:
    s = schedules.c
    here = (s.project == e.project, s.suite == e.suite, s.name == e.name, s.environment == e.environment)
    return sa.delete(schedules).where(*here)


def list_schedules(reader: Reader, project: str | None = None) -> list[sa.Row[Any]]:
    """List the schedules of a project, or of all."""
    s = schedules.c
    wanted = sa.select(schedules).order_by(s.project, s.name, s.environment, s.suite)
    if project is not None:
        wanted = wanted.where(s.project == project)
    return list(reader.conn.execute(wanted))
