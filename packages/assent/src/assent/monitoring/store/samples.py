"""Sampled answers: kept, asked about, judged, erased; and whether their judges answer."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import sqlalchemy as sa

from assent.kernel.events import Recorded
from assent.kernel.tx import Writer
from assent.monitoring.domain.quality import Health, State
from assent.monitoring.domain.quality_events import SampleOpened
from assent.monitoring.store.blocks import projections
from assent.monitoring.store.sample_tables import contents, judges, openings, samples

_AT_ONCE = 1_000


class Place(NamedTuple):
    """A name in an environment of a project."""

    project: str
    environment: str
    route: str


class Scored(NamedTuple):
    """How many samples of a version stand how, and what the judged ones come to, a unit each."""

    environment: str
    route: str
    variant: str
    version: str
    counts: Mapping[str, int]
    n_cut: int
    n_redacted: int
    n_units: int
    total: float


@projections.on(SampleOpened)
def _opened(conn: Writer, r: Recorded[SampleOpened]) -> None:
    e = r.event
    row = {"event": r.id, "project": e.project, "sample": e.sample, "opened_at": r.at, "opened_by": r.actor}
    conn.execute(sa.insert(openings).values(row))


def _at(table: sa.Table, place: Place) -> sa.ColumnElement[bool]:
    return sa.and_(*(table.c[name] == value for name, value in place._asdict().items()))


def add(conn: sa.Connection, rows: Sequence[Mapping[str, Any]], sealed: Mapping[str, str]) -> int:
    """Keep samples and their contents; those that are known are left alone. Gives how many are new."""
    ids = [row["id"] for row in rows]
    known = set(conn.execute(sa.select(samples.c.id).where(samples.c.id.in_(ids))).scalars())
    new = [row for row in rows if row["id"] not in known]
    if new:
        conn.execute(sa.insert(samples), new)
        names = ("project", "environment", "route", "at")
        kept = [
            {"sample": row["id"], "sealed": sealed[row["id"]]} | {name: row[name] for name in names}
            for row in new
        ]
        conn.execute(sa.insert(contents), kept)
    return len(new)


def claim(conn: sa.Connection, place: Place, now_s: float, until_s: float, limit: int) -> list[sa.Row[Any]]:
    """Take the newest samples that are due for asking, with their contents; nobody else does until then."""
    s = samples.c
    waits = sa.and_(s.state.in_([State.WAITING, State.ASKED]), s.next_at <= now_s)
    wanted = sa.select(samples, contents.c.sealed).join(contents, contents.c.sample == s.id)
    wanted = wanted.where(_at(samples, place), waits).order_by(s.at.desc(), s.id).limit(limit)
    rows = list(conn.execute(wanted.with_for_update(of=samples, skip_locked=True)))
    ids = [row.id for row in rows]
    taken = sa.update(samples).where(s.id.in_(ids))
    conn.execute(taken.values(state=State.ASKED, attempts=s.attempts + 1, next_at=until_s))
    return rows


def settle(conn: sa.Connection, sample: str, values: Mapping[str, Any]) -> bool:
    """Write what came of asking; False where it is settled already."""
    s = samples.c
    mine = sa.and_(s.id == sample, s.state == State.ASKED)
    return conn.execute(sa.update(samples).where(mine).values(values)).rowcount == 1


def mark(conn: sa.Connection, sample: str, *, in_window: bool) -> None:
    """Keep whether a score counts in its unit's."""
    conn.execute(sa.update(samples).where(samples.c.id == sample).values(in_window=in_window))


def n_spent(conn: sa.Connection, place: Place, since_s: float, now_s: float) -> int:
    """Count the replies since a time, and the questions that are on their way."""
    s = samples.c
    replied = sa.and_(s.state.in_([State.JUDGED, State.UNREADABLE]), s.judged_at >= since_s)
    asked = sa.and_(s.state == State.ASKED, s.next_at > now_s)
    wanted = sa.select(sa.func.count()).select_from(samples).where(_at(samples, place), replied | asked)
    return int(conn.execute(wanted).scalar_one())


def replies(conn: sa.Connection, place: Place, since_s: float) -> tuple[int, int]:
    """Count the replies since a time, and those of them that were off-format."""
    s = samples.c
    wanted = sa.select(sa.func.count(), sa.func.count().filter(s.state == State.UNREADABLE))
    among = s.state.in_([State.JUDGED, State.UNREADABLE]) & (s.judged_at >= since_s)
    row = conn.execute(wanted.where(_at(samples, place), among)).one()
    return int(row[0]), int(row[1])


def leave_out(conn: sa.Connection, place: Place, before_s: float) -> int:
    """Leave out what nobody has judged in time, and erase its contents; give how many."""
    s = samples.c
    late = sa.and_(_at(samples, place), s.state.in_([State.WAITING, State.ASKED]), s.at < before_s)
    ids = list(conn.execute(sa.select(s.id).where(late).limit(_AT_ONCE)).scalars())
    conn.execute(sa.delete(contents).where(contents.c.sample.in_(ids)))
    return conn.execute(sa.update(samples).where(s.id.in_(ids)).values(state=State.LEFT_OUT)).rowcount


def erase(conn: sa.Connection, place: Place, before_s: float) -> int:
    """Erase contents of before a time; give how many."""
    old = sa.delete(contents).where(_at(contents, place), contents.c.at < before_s)
    return conn.execute(old).rowcount


def prune(conn: sa.Connection, before_s: float, limit: int) -> int:
    """Delete samples of before a time, and their contents; give how many."""
    old = sa.select(samples.c.id).where(samples.c.at < before_s).limit(limit)
    ids = list(conn.execute(old).scalars())
    conn.execute(sa.delete(contents).where(contents.c.sample.in_(ids)))
    return conn.execute(sa.delete(samples).where(samples.c.id.in_(ids))).rowcount


def find(conn: sa.Connection, project: str, sample: str) -> sa.Row[Any] | None:
    """Find a sample with its contents, which are None once erased."""
    joined = samples.outerjoin(contents, contents.c.sample == samples.c.id)
    wanted = sa.select(samples, contents.c.sealed).select_from(joined)
    return conn.execute(wanted.where(samples.c.project == project, samples.c.id == sample)).one_or_none()


def list_(
    conn: sa.Connection, project: str, where: Mapping[str, str], page: tuple[str | None, int]
) -> list[sa.Row[Any]]:
    """List samples, newest first, without their contents; `page`: after which sample, and how many."""
    s = samples.c
    after, limit = page
    has = sa.exists().where(contents.c.sample == s.id).label("has_contents")
    wanted = sa.select(samples, has).where(s.project == project)
    for name, value in where.items():
        wanted = wanted.where(s[name] == value)
    if after is not None:
        at = sa.select(s.at).where(s.id == after).scalar_subquery()
        wanted = wanted.where((s.at < at) | ((s.at == at) & (s.id > after)))
    return list(conn.execute(wanted.order_by(s.at.desc(), s.id).limit(limit)))


def list_openings(conn: sa.Connection, project: str, sample: str) -> list[sa.Row[Any]]:
    """List who read a sample, newest first."""
    wanted = sa.select(openings).where(openings.c.project == project, openings.c.sample == sample)
    return list(conn.execute(wanted.order_by(openings.c.opened_at.desc())))


def scored(
    conn: sa.Connection, project: str, where: Mapping[str, str], between_s: tuple[float, float]
) -> list[Scored]:
    """Sum up the samples of calls between two times, by version."""
    s = samples.c
    key = (s.environment, s.route, s.variant, s.version)
    within = [s.project == project, s.at >= between_s[0], s.at < between_s[1]]
    within += [s[name] == value for name, value in where.items()]
    cut, struck = sa.func.sum(sa.case((s.is_cut, 1), else_=0)), sa.func.sum(s.n_redacted)
    states = sa.select(*key, s.state, sa.func.count(), cut, struck).where(*within).group_by(*key, s.state)
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for *place, state, n, n_cut, n_struck in conn.execute(states.order_by(*key)):
        one = found.setdefault(tuple(place), {"counts": {}, "n_cut": 0, "n_redacted": 0})
        one["counts"][state] = int(n)
        one["n_cut"] += int(n_cut)
        one["n_redacted"] += int(n_struck)
    judged = [*within, s.state == State.JUDGED]
    each = (
        sa.select(*key, sa.func.avg(s.score).label("mean")).where(*judged).group_by(*key, s.unit).subquery()
    )
    columns = [each.c[column.name] for column in key]
    means = sa.select(*columns, sa.func.count(), sa.func.sum(each.c.mean)).group_by(*columns)
    for *place, n_units, total in conn.execute(means):
        found[tuple(place)] |= {"n_units": int(n_units), "total": float(total)}
    return [Scored._make([*place, *_summed(one)]) for place, one in found.items()]


def _summed(one: Mapping[str, Any]) -> tuple[Any, ...]:
    return one["counts"], one["n_cut"], one["n_redacted"], one.get("n_units", 0), one.get("total", 0.0)


def health(conn: sa.Connection, place: Place) -> Health:
    """Give whether the judge of a sampling answers."""
    columns = [judges.c[name] for name in ("n_failures", "failing_since", "next_at", "answered_at", "why")]
    row = conn.execute(sa.select(*columns).where(_at(judges, place))).one_or_none()
    return Health() if row is None else Health(*row)


def put_health(conn: sa.Connection, place: Place, present: Health) -> None:
    """Keep whether the judge of a sampling answers."""
    conn.execute(sa.delete(judges).where(_at(judges, place)))
    conn.execute(sa.insert(judges).values(**place._asdict(), **asdict(present)))
