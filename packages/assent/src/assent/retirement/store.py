"""Tables, projections and queries of retirement."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from assent.kernel.db import Json, Utc, table
from assent.kernel.events import Recorded
from assent.kernel.tx import Projections, Reader, Writer
from assent.retirement.domain import (
    BaseModelNeared,
    BrownoutNeared,
    Deprecation,
    DeprecationUndone,
    NoticeGiven,
    State,
    VersionDeprecated,
    VersionRetired,
    WaiverGranted,
)

NAME, ID, DIGEST = sa.String(63), sa.String(64), sa.String(71)

deprecations = table(
    "retirement_deprecations",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("name", NAME, nullable=False),
    sa.Column("number", sa.String(64), nullable=False),
    sa.Column("subject", DIGEST, nullable=False, index=True),
    sa.Column("successor", DIGEST),
    sa.Column("successor_ref", sa.String(130)),
    sa.Column("at", Utc, nullable=False),
    sa.Column("by", ID, nullable=False),
    sa.Column("reason", DIGEST),
    sa.Column("sunset_at", Utc, nullable=False),
    sa.Column("brownouts", Json, nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("ended_at", Utc),
    sa.Column("waiver", sa.String(20)),
    sa.Column("waiver_by", ID),
    sa.Column("waiver_expires_at", Utc),
    kind="governed",
)
notices = table(
    "retirement_notices",
    sa.Column("deprecation", ID, primary_key=True),
    sa.Column("days", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", Utc, nullable=False),
    sa.Column("dependents", Json, nullable=False),
    sa.Column("applications", Json, nullable=False),
    sa.Column("n_calls", sa.BigInteger, nullable=False),
    kind="governed",
)
brownouts = table(
    "retirement_brownouts",
    sa.Column("deprecation", ID, primary_key=True),
    sa.Column("starts_at", Utc, primary_key=True),
    sa.Column("at", Utc, nullable=False),
    kind="governed",
)
neared = table(
    "retirement_neared",
    sa.Column("project", NAME, primary_key=True),
    sa.Column("base_model", sa.String(200), primary_key=True),
    sa.Column("ends_on", sa.String(10), primary_key=True),
    sa.Column("at", Utc, nullable=False),
    kind="governed",
)

projections = Projections("retirement")


@projections.on(VersionDeprecated)
def _deprecated(conn: Writer, r: Recorded[VersionDeprecated]) -> None:
    e = r.event
    conn.execute(
        sa.insert(deprecations).values(
            id=e.deprecation,
            project=e.project,
            name=e.name,
            number=e.number,
            subject=e.subject,
            successor=e.successor,
            successor_ref=e.successor_ref,
            at=r.at,
            by=r.actor,
            reason=r.reason,
            sunset_at=e.sunset_at,
            brownouts=[[start.isoformat(), end.isoformat()] for start, end in e.brownouts],
            state=State.DEPRECATED.value,
        )
    )


@projections.on(DeprecationUndone)
def _undone(conn: Writer, r: Recorded[DeprecationUndone]) -> None:
    _end(conn, r, State.UNDONE)


@projections.on(VersionRetired)
def _retired(conn: Writer, r: Recorded[VersionRetired]) -> None:
    _end(conn, r, State.RETIRED)


@projections.on(WaiverGranted)
def _waived(conn: Writer, r: Recorded[WaiverGranted]) -> None:
    e = r.event
    found = sa.update(deprecations).where(deprecations.c.id == e.deprecation)
    conn.execute(found.values(waiver=e.waiver, waiver_by=r.actor, waiver_expires_at=e.expires_at))


@projections.on(NoticeGiven)
def _noticed(conn: Writer, r: Recorded[NoticeGiven]) -> None:
    e = r.event
    conn.execute(
        sa.insert(notices).values(
            deprecation=e.deprecation,
            days=e.days,
            at=r.at,
            dependents=list(e.dependents),
            applications=list(e.applications),
            n_calls=e.n_calls,
        )
    )


@projections.on(BrownoutNeared)
def _brownout_neared(conn: Writer, r: Recorded[BrownoutNeared]) -> None:
    e = r.event
    row = {"deprecation": e.deprecation, "starts_at": e.starts_at, "at": r.at}
    conn.execute(sa.insert(brownouts).values(row))


@projections.on(BaseModelNeared)
def _neared(conn: Writer, r: Recorded[BaseModelNeared]) -> None:
    e = r.event
    row = {"project": e.project, "base_model": e.base_model, "ends_on": e.ends_on, "at": r.at}
    conn.execute(sa.insert(neared).values(row))


def _end(conn: Writer, r: Recorded[Any], state: State) -> None:
    found = sa.update(deprecations).where(deprecations.c.id == r.event.deprecation)
    conn.execute(found.values(state=state.value, ended_at=r.at))


def find(reader: Reader, project: str, subject: str, *, lock: bool = False) -> Deprecation | None:
    """Find the newest deprecation of a version."""
    d = deprecations.c
    query = sa.select(deprecations).where(d.project == project, d.subject == subject)
    query = query.order_by(d.at.desc(), d.id.desc()).limit(1)
    row = reader.conn.execute(query.with_for_update() if lock else query).mappings().first()
    return None if row is None else _deprecation(row)


def list_(reader: Reader, project: str | None, state: State | None = None) -> list[Deprecation]:
    """List deprecations by sunset, of all projects for None."""
    d = deprecations.c
    query = sa.select(deprecations).order_by(d.sunset_at, d.id).limit(1000)
    query = query if project is None else query.where(d.project == project)
    query = query if state is None else query.where(d.state == state.value)
    return [_deprecation(row) for row in reader.conn.execute(query).mappings()]


def list_notices(reader: Reader, deprecation: str) -> list[dict[str, Any]]:
    """List the notices given, oldest first."""
    n = notices.c
    query = sa.select(notices).where(n.deprecation == deprecation).order_by(n.days.desc())
    return [dict(row) for row in reader.conn.execute(query).mappings()]


def told_brownouts(reader: Reader, deprecation: str) -> list[datetime]:
    """List the beginnings of the brown-outs that were told of."""
    query = sa.select(brownouts.c.starts_at).where(brownouts.c.deprecation == deprecation)
    return list(reader.conn.execute(query).scalars())


def is_neared(reader: Reader, project: str, base_model: str, ends_on: str) -> bool:
    """Tell whether the coming end was told."""
    n = neared.c
    query = sa.select(n.at).where(n.project == project, n.base_model == base_model, n.ends_on == ends_on)
    return reader.conn.execute(query).first() is not None


def _deprecation(row: Any) -> Deprecation:
    columns = dict(row)
    pairs = columns.pop("brownouts")
    brownouts = tuple((datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in pairs)
    return Deprecation(**{**columns, "state": State(columns["state"])}, brownouts=brownouts)
