"""What pages and clients read: live figures, late outcomes."""

from typing import Any

import sqlalchemy as sa

from assent.monitoring.store.observations import ROLLUP_SUMS, USAGE_SUMS
from assent.monitoring.store.tables import (
    calls,
    facets,
    feedback,
    instances,
    latencies,
    rollups,
    series,
    units,
    usage,
)
from assent_client.observe import SHADOW


def sums_by_series(
    conn: sa.Connection, where: dict[str, str], from_slot: int, to_slot: int
) -> list[sa.Row[Any]]:
    """Sum the roll-ups of each series between two slots, the second not included."""
    s, r = series.c, rollups.c
    within = sa.and_(
        r.slot >= from_slot, r.slot < to_slot, *(s[name] == value for name, value in where.items())
    )
    columns = (s.id, s.environment, s.route, s.variant, s.version)
    sums = [sa.func.sum(r[name]).label(name) for name in ROLLUP_SUMS]
    joined = series.join(rollups, r.series == s.id)
    wanted = sa.select(*columns, *sums).select_from(joined).where(within).group_by(*columns)
    return list(conn.execute(wanted.order_by(s.environment, s.route, s.variant, s.version)))


def histograms(
    conn: sa.Connection, ids: list[int], from_slot: int, to_slot: int
) -> dict[tuple[int, int], dict[int, int]]:
    """Merge the latency histograms of each series and kind between two slots."""
    t = latencies.c
    within = sa.and_(t.series.in_(ids), t.slot >= from_slot, t.slot < to_slot)
    wanted = sa.select(t.series, t.kind, t.bucket, sa.func.sum(t.n)).where(within)
    merged: dict[tuple[int, int], dict[int, int]] = {}
    for series_id, kind, bucket, n in conn.execute(wanted.group_by(t.series, t.kind, t.bucket)):
        merged.setdefault((series_id, kind), {})[bucket] = int(n)
    return merged


def sums_by_slot(
    conn: sa.Connection, where: dict[str, str], from_slot: int, to_slot: int
) -> list[sa.Row[Any]]:
    """List the roll-ups of each version, slot by slot; without mirrored calls."""
    s, r = series.c, rollups.c
    within = sa.and_(
        r.slot >= from_slot,
        r.slot < to_slot,
        s.variant != SHADOW,
        *(s[name] == value for name, value in where.items()),
    )
    sums = [sa.func.sum(r[name]).label(name) for name in ROLLUP_SUMS]
    joined = series.join(rollups, r.series == s.id)
    wanted = sa.select(r.slot, s.version, *sums).select_from(joined).where(within).group_by(r.slot, s.version)
    return list(conn.execute(wanted.order_by(r.slot, s.version)))


def unit_counts(conn: sa.Connection, rollout: str) -> dict[str, sa.Row[Any]]:
    """Count, per arm, units exposed, their calls, and outcomes that came after a window."""
    u = units.c
    wanted = sa.select(
        u.arm,
        sa.func.count().label("n_units"),
        sa.func.sum(u.n_calls).label("n_calls"),
        sa.func.sum(u.n_late).label("n_late"),
        sa.func.sum(u.late_badness).label("late_badness"),
    )
    rows = conn.execute(wanted.where(u.rollout == rollout).group_by(u.arm))
    return {row.arm: row for row in rows}


def lost(conn: sa.Connection, project: str) -> list[sa.Row[Any]]:
    """List the instances that observe, with what each has lost."""
    wanted = sa.select(instances).where(instances.c.project == project)
    return list(conn.execute(wanted.order_by(instances.c.seen_at.desc()).limit(100)))


def n_unmatched_feedback(conn: sa.Connection) -> int:
    """Count the feedback whose call is not known."""
    return int(conn.execute(sa.select(sa.func.count()).where(~feedback.c.matched)).scalar_one())


def count_callers(
    conn: sa.Connection, project: str, version: str, since: float
) -> list[tuple[int, str, int]]:
    """Count the calls of a version in the ring since a time, by day since 1970 and application."""
    s, f, c = series.c, facets.c, calls.c
    day = sa.cast(sa.func.floor(c.at / 86_400), sa.BigInteger).label("day")
    joined = series.join(facets, f.series == s.id).join(calls, c.facet == f.id)
    wanted = sa.select(day, f.application, sa.func.count()).select_from(joined)
    wanted = wanted.where(s.project == project, s.version == version, s.variant != SHADOW, c.at >= since)
    rows = conn.execute(wanted.group_by(day, f.application).order_by(day.desc(), f.application))
    return [(int(number), str(who), int(n)) for number, who, n in rows]


def usage_since(
    conn: sa.Connection, project: str, from_day: int, application: str | None = None
) -> list[sa.Row[Any]]:
    """Sum what applications used since a day, by application, day and version; without mirrored calls."""
    s, t = series.c, usage.c
    columns = (t.application, t.day, s.version)
    sums = [sa.func.sum(t[name]).label(name) for name in USAGE_SUMS]
    wanted = sa.select(*columns, *sums).select_from(usage.join(series, t.series == s.id))
    wanted = wanted.where(s.project == project, t.day >= from_day, s.variant != SHADOW)
    if application is not None:
        wanted = wanted.where(t.application == application)
    return list(conn.execute(wanted.group_by(*columns).order_by(*columns)))
