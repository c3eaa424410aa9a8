"""Watches over what is live: their terms, closed blocks, seals and what was found."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from assent.kernel.events import Recorded
from assent.kernel.tx import Writer
from assent.monitoring.domain.scores import Histogram, tally
from assent.monitoring.domain.watch_events import RegressionDetected, WatchEnded, WatchSealed, WatchStarted
from assent.monitoring.store.blocks import projections
from assent.monitoring.store.tables import live_blocks, live_watches, regressions, seals, units

Scores = Mapping[str, Histogram]


@projections.on(WatchStarted)
def _started(conn: Writer, r: Recorded[WatchStarted]) -> None:
    e = r.event
    conn.execute(
        sa.insert(live_watches).values(
            id=e.watch,
            project=e.project,
            environment=e.environment,
            route=e.route,
            version=e.version,
            alert=e.alert,
            window_s=e.window_s,
            block_s=e.block_s,
            arl_days=e.arl_days,
            hold_s=e.hold_s,
            metrics=[
                {
                    "metric": one.metric,
                    "weight": one.weight,
                    "limit": one.limit,
                    "source": one.source,
                    "reference_n": one.reference_n,
                    "reference_rate": one.reference_rate,
                    "reference_interval": list(one.reference_interval),
                }
                for one in e.metrics
            ],
            slow_above_s=e.slow_above_s,
            started_at=r.at,
        )
    )


@projections.on(WatchEnded)
def _ended(conn: Writer, r: Recorded[WatchEnded]) -> None:
    conn.execute(sa.update(live_watches).where(live_watches.c.id == r.event.watch).values(ended_at=r.at))


@projections.on(WatchSealed)
def _sealed(conn: Writer, r: Recorded[WatchSealed]) -> None:
    e = r.event
    conn.execute(
        sa.insert(seals).values(
            watch=e.watch,
            first_block=e.first_block,
            last_block=e.last_block,
            n_blocks=e.n_blocks,
            digest=e.digest,
            event=r.id,
        )
    )


@projections.on(RegressionDetected)
def _found(conn: Writer, r: Recorded[RegressionDetected]) -> None:
    e = r.event
    conn.execute(
        sa.insert(regressions).values(
            id=e.regression,
            project=e.project,
            watch=e.watch,
            environment=e.environment,
            route=e.route,
            version=e.version,
            metric=e.metric,
            block=e.block,
            since_at=e.since_at,
            found_at=r.at,
            total=e.total,
            n=e.n,
            rate=e.rate,
            low=e.interval[0],
            high=e.interval[1],
            says=e.says,
            event=r.id,
        )
    )


def list_active(conn: sa.Connection, **where: str) -> list[sa.Row[Any]]:
    """List the watches that go on; `where`: columns and their values."""
    wanted = sa.select(live_watches).where(live_watches.c.ended_at.is_(None))
    for name, value in where.items():
        wanted = wanted.where(live_watches.c[name] == value)
    return list(conn.execute(wanted.order_by(live_watches.c.id)))


def lock_active(conn: sa.Connection, watch: str) -> bool:
    """Hold a watch until the transaction ends; False where it has ended."""
    w = live_watches.c
    wanted = sa.select(w.id).where(w.id == watch, w.ended_at.is_(None)).with_for_update()
    return conn.execute(wanted).first() is not None


def list_watches(conn: sa.Connection, project: str, before: str | None, limit: int) -> list[sa.Row[Any]]:
    """List the watches of a project, newest first; ids sort by time."""
    wanted = sa.select(live_watches).where(live_watches.c.project == project)
    if before is not None:
        wanted = wanted.where(live_watches.c.id < before)
    return list(conn.execute(wanted.order_by(live_watches.c.id.desc()).limit(limit)))


def find_watch(conn: sa.Connection, project: str, watch: str) -> sa.Row[Any] | None:
    """Find a watch."""
    w = live_watches.c
    return conn.execute(sa.select(live_watches).where(w.project == project, w.id == watch)).one_or_none()


def list_recent(conn: sa.Connection, after: datetime) -> list[str]:
    """List the watches that go on, or ended after a moment."""
    w = live_watches.c
    wanted = sa.select(w.id).where(sa.or_(w.ended_at.is_(None), w.ended_at > after))
    return list(conn.execute(wanted).scalars())


def add_blocks(conn: sa.Connection, watch: str, closed: Sequence[tuple[int, Any, str]]) -> None:
    """Keep closed blocks: number, scores as JSON, the evidence after it."""
    if closed:
        rows = [
            {"watch": watch, "block": block, "scores": scores, "total": total}
            for block, scores, total in closed
        ]
        conn.execute(sa.insert(live_blocks), rows)


def list_blocks(
    conn: sa.Connection, watch: str, after: int = -1, before: int | None = None
) -> list[tuple[int, Scores]]:
    """List the closed blocks of a watch in their order, between two that are not among them."""
    b = live_blocks.c
    wanted = sa.select(b.block, b.scores).where(b.watch == watch, b.block > after)
    if before is not None:
        wanted = wanted.where(b.block < before)
    return [
        (row.block, {one["metric"]: tally(map(tuple, one["scores"])) for one in row.scores})
        for row in conn.execute(wanted.order_by(b.block))
    ]


def newest_totals(conn: sa.Connection, watch: str, limit: int) -> list[tuple[int, float]]:
    """List the evidence after each of the newest blocks, oldest first."""
    b = live_blocks.c
    wanted = sa.select(b.block, b.total).where(b.watch == watch).order_by(b.block.desc()).limit(limit)
    return [(row.block, float(row.total)) for row in reversed(conn.execute(wanted).all())]


def list_seals(conn: sa.Connection, watch: str) -> list[sa.Row[Any]]:
    """List the seals of a watch in their order."""
    wanted = sa.select(seals).where(seals.c.watch == watch)
    return list(conn.execute(wanted.order_by(seals.c.first_block)))


def sealed_through(conn: sa.Connection, watch: str) -> int:
    """Give the last sealed block; -1 where there is none."""
    found = conn.execute(sa.select(sa.func.max(seals.c.last_block)).where(seals.c.watch == watch)).scalar()
    return -1 if found is None else int(found)


def list_regressions(conn: sa.Connection, watches: Sequence[str]) -> list[sa.Row[Any]]:
    """List what was found in some watches, newest first."""
    r = regressions.c
    wanted = sa.select(regressions).where(r.watch.in_(watches)).order_by(r.id.desc())
    return list(conn.execute(wanted))


def drop_units(conn: sa.Connection, key: str, through: int, limit: int) -> int:
    """Forget the units of a day whose blocks are closed, `through` the last; give how many went."""
    u = units.c
    old = sa.select(u.unit).where(u.rollout == key, u.block <= through).limit(limit).scalar_subquery()
    return conn.execute(sa.delete(units).where(u.rollout == key, u.unit.in_(old))).rowcount
