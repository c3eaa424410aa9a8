"""Tables, projections and queries of flags and segments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from assent.flags.domain import events
from assent.kernel.db import Utc, is_sqlite, table
from assent.kernel.events import Recorded
from assent.kernel.tx import Projections, Writer

NAME = sa.String(63)
ID = sa.String(64)
DIGEST = sa.String(71)
KIND = sa.String(10)
FLAG = "flag"
SEGMENT = "segment"


def _key(*, primary: bool = True) -> list[sa.Column[Any]]:
    return [
        sa.Column("project", NAME, primary_key=primary, nullable=False),
        sa.Column("environment", NAME, primary_key=primary, nullable=False),
        sa.Column("kind", KIND, primary_key=primary, nullable=False),
        sa.Column("name", NAME, primary_key=primary, nullable=False),
    ]


definitions = table(
    "flags_definitions",
    *_key(),
    sa.Column("body", DIGEST, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("archived", sa.Boolean, nullable=False),
    sa.Column("created_at", Utc, nullable=False),
    sa.Column("changed_at", Utc, nullable=False),
    sa.Column("changed_by", ID, nullable=False),
    kind="governed",
)
generations = table(
    "flags_generations",
    *_key(),
    sa.Column("generation", sa.Integer, primary_key=True),
    sa.Column("body", DIGEST, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("how", sa.String(20), nullable=False),
    sa.Column("proposed_by", ID),
    sa.Column("changed_by", ID, nullable=False),
    sa.Column("changed_at", Utc, nullable=False),
    sa.Column("reason", DIGEST),
    kind="governed",
)
proposals = table(
    "flags_proposals",
    *_key(),
    sa.Column("body", DIGEST, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("how", sa.String(20), nullable=False),
    sa.Column("proposed_by", ID, nullable=False),
    sa.Column("proposed_at", Utc, nullable=False),
    sa.Column("reason", DIGEST),
    kind="governed",
)
sightings = table(
    "flags_sightings",
    sa.Column("project", NAME, primary_key=True),
    sa.Column("environment", NAME, primary_key=True),
    sa.Column("name", NAME, primary_key=True),
    sa.Column("variant", NAME, primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("n", sa.Integer, nullable=False),
    sa.Column("last_at", Utc, nullable=False),
    kind="operational",
)

projections = Projections("flags")


@projections.on(events.FlagCreated)
def _created(conn: Writer, r: Recorded[events.FlagCreated]) -> None:
    _insert(conn, r, FLAG)
    _keep(conn, r, FLAG, "create")


@projections.on(events.FlagChanged)
def _changed(conn: Writer, r: Recorded[events.FlagChanged]) -> None:
    _update(conn, r, FLAG)
    _keep(conn, r, FLAG, r.event.how, r.event.proposed_by)


@projections.on(events.FlagProposed)
def _proposed(conn: Writer, r: Recorded[events.FlagProposed]) -> None:
    _propose(conn, r, FLAG, r.event.how)


@projections.on(events.FlagArchived)
def _archived(conn: Writer, r: Recorded[events.FlagArchived]) -> None:
    _update(conn, r, FLAG, archived=True)
    _keep(conn, r, FLAG, "archive")


@projections.on(events.SegmentSet)
def _set(conn: Writer, r: Recorded[events.SegmentSet]) -> None:
    if r.event.generation == 1:
        _insert(conn, r, SEGMENT)
    else:
        _update(conn, r, SEGMENT)
    _keep(conn, r, SEGMENT, "change", r.event.proposed_by)


@projections.on(events.SegmentProposed)
def _segment_proposed(conn: Writer, r: Recorded[events.SegmentProposed]) -> None:
    _propose(conn, r, SEGMENT, "change")


@projections.on(events.ProposalWithdrawn)
def _withdrawn(conn: Writer, r: Recorded[events.ProposalWithdrawn]) -> None:
    _drop_proposal(conn, r.event, r.event.kind)


def _of(event: Any, kind: str) -> dict[str, Any]:
    return {"project": event.project, "environment": event.environment, "kind": kind, "name": event.name}


def _where(columns: Any, key: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    return [columns[name] == value for name, value in key.items()]


def _insert(conn: Writer, r: Recorded[Any], kind: str) -> None:
    e = r.event
    values = {"body": e.body, "generation": e.generation, "enabled": e.enabled, "archived": False}
    values |= {"created_at": r.at, "changed_at": r.at, "changed_by": r.actor}
    conn.execute(sa.insert(definitions).values(_of(e, kind) | values))


def _update(conn: Writer, r: Recorded[Any], kind: str, *, archived: bool = False) -> None:
    e = r.event
    values = {"body": e.body, "generation": e.generation, "enabled": e.enabled, "archived": archived}
    values |= {"changed_at": r.at, "changed_by": r.actor}
    conn.execute(sa.update(definitions).where(*_where(definitions.c, _of(e, kind))).values(values))
    _drop_proposal(conn, e, kind)  # it was made on what is no more


def _keep(conn: Writer, r: Recorded[Any], kind: str, how: str, proposed_by: str | None = None) -> None:
    e = r.event
    values = {
        "generation": e.generation,
        "body": e.body,
        "enabled": e.enabled,
        "how": how,
        "reason": r.reason,
    }
    values |= {"proposed_by": proposed_by, "changed_by": r.actor, "changed_at": r.at}
    conn.execute(sa.insert(generations).values(_of(e, kind) | values))


def _propose(conn: Writer, r: Recorded[Any], kind: str, how: str) -> None:
    e = r.event
    _drop_proposal(conn, e, kind)
    values = {"body": e.body, "generation": e.generation, "how": how, "reason": r.reason}
    values |= {"proposed_by": r.actor, "proposed_at": r.at}
    conn.execute(sa.insert(proposals).values(_of(e, kind) | values))


def _drop_proposal(conn: Writer, event: Any, kind: str) -> None:
    conn.execute(sa.delete(proposals).where(*_where(proposals.c, _of(event, kind))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A flag or segment as stored; `body` is the digest of its document."""

    project: str
    environment: str
    kind: str
    name: str
    body: str
    generation: int
    enabled: bool
    archived: bool
    created_at: datetime
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What waits for a second person; `generation`: of the flag that it was proposed for."""

    project: str
    environment: str
    kind: str
    name: str
    body: str
    generation: int
    how: str
    proposed_by: str
    proposed_at: datetime
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """One state that a flag or segment was in."""

    generation: int
    body: str
    enabled: bool
    how: str
    proposed_by: str | None
    changed_by: str
    changed_at: datetime
    reason: str | None


Key = Mapping[str, str]


def find(conn: sa.Connection, key: Key, *, lock: bool = False) -> Row | None:
    """Find a flag or segment, and lock it where it will be written."""
    query = sa.select(definitions).where(*_where(definitions.c, key))
    row = conn.execute(query.with_for_update() if lock else query).mappings().first()
    return None if row is None else Row(**row)


def list_rows(conn: sa.Connection, where: Key) -> list[Row]:
    """List by name what is not archived."""
    d = definitions.c
    query = sa.select(definitions).where(*_where(d, where), ~d.archived)
    return [Row(**row) for row in conn.execute(query.order_by(d.environment, d.name)).mappings()]


def find_proposal(conn: sa.Connection, key: Key, *, lock: bool = False) -> Proposal | None:
    """Find what is proposed, and lock it where it will be decided."""
    query = sa.select(proposals).where(*_where(proposals.c, key))
    row = conn.execute(query.with_for_update() if lock else query).mappings().first()
    return None if row is None else Proposal(**row)


def list_proposals(conn: sa.Connection, where: Key) -> list[Proposal]:
    """List what is proposed."""
    query = sa.select(proposals).where(*_where(proposals.c, where)).order_by(proposals.c.name)
    return [Proposal(**row) for row in conn.execute(query).mappings()]


def list_generations(
    conn: sa.Connection, key: Key, before: int | None = None, limit: int = 50
) -> list[Generation]:
    """List the states of a flag or segment, newest first."""
    g = generations.c
    fields = [g[name] for name in Generation.__dataclass_fields__]
    query = sa.select(*fields).where(*_where(g, key)).order_by(g.generation.desc()).limit(limit)
    if before is not None:
        query = query.where(g.generation < before)
    return [Generation(**row) for row in conn.execute(query).mappings()]


def find_generation(conn: sa.Connection, key: Key, generation: int) -> Generation | None:
    """Find one state."""
    g = generations.c
    fields = [g[name] for name in Generation.__dataclass_fields__]
    query = sa.select(*fields).where(*_where(g, key), g.generation == generation)
    row = conn.execute(query).mappings().first()
    return None if row is None else Generation(**row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """That applications were given a variant on a day."""

    name: str
    variant: str
    n: int
    last_at: datetime


def add_sighting(conn: sa.Connection, key: Key, n: int, at: datetime) -> None:
    """Count that a variant was given; `key`: project, environment, name, variant."""
    insert = sqlite.insert if is_sqlite(conn) else postgresql.insert
    new = insert(sightings).values(**key, day=at.date().isoformat(), n=n, last_at=at)
    counted = {"n": sightings.c.n + new.excluded.n, "last_at": new.excluded.last_at}
    conn.execute(new.on_conflict_do_update(index_elements=list(sightings.primary_key), set_=counted))


def list_sightings(conn: sa.Connection, project: str, environment: str, since: date) -> list[Sighting]:
    """List what was given since a day, by flag and variant."""
    s = sightings.c
    query = (
        sa.select(s.name, s.variant, sa.func.sum(s.n).label("n"), sa.func.max(s.last_at).label("last_at"))
        .where(s.project == project, s.environment == environment, s.day >= since.isoformat())
        .group_by(s.name, s.variant)
        .order_by(s.name, s.variant)
    )
    return [Sighting(**row) for row in conn.execute(query).mappings()]


def prune_sightings(conn: sa.Connection, key: Key, before: date) -> None:
    """Forget that a variant was given before a day."""
    s = sightings
    conn.execute(sa.delete(s).where(*_where(s.c, key), s.c.day < before.isoformat()))


def names_of(conn: sa.Connection, project: str, names: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Give those of (environment, name) that are flags."""
    d = definitions.c
    query = sa.select(d.environment, d.name).where(
        d.project == project, d.kind == FLAG, d.name.in_(sorted({name for _, name in names}))
    )
    return {(row.environment, row.name) for row in conn.execute(query)} & set(names)
