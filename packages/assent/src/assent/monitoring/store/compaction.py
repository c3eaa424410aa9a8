"""Fold the sums and histograms of old slots into hours."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from assent.monitoring.store.observations import ROLLUP_SUMS, add_to_latencies, add_to_rollups
from assent.monitoring.store.tables import latencies, rollups, series


def fold(conn: sa.Connection, before_slot: int, slots_per_hour: int) -> bool:
    """Fold one hour of one series before a slot into the hour's first slot; tell whether there was one."""
    found = _next_hour(conn, before_slot, slots_per_hour)
    if found is None:
        return False
    sums = sa.select(*(sa.func.sum(rollups.c[name]) for name in ROLLUP_SUMS))
    t = latencies.c
    counts = sa.select(t.kind, t.bucket, sa.func.sum(t.n)).group_by(t.kind, t.bucket)
    of_rollups, of_latencies = (_within(table, found, slots_per_hour) for table in (rollups, latencies))
    summed = [(*found, *row) for row in conn.execute(sums.where(of_rollups))]
    counted = [(*found, *row) for row in conn.execute(counts.where(of_latencies))]
    conn.execute(sa.delete(rollups).where(of_rollups))
    conn.execute(sa.delete(latencies).where(of_latencies))
    add_to_rollups(conn, summed)
    add_to_latencies(conn, counted)
    return True


def _next_hour(conn: sa.Connection, before_slot: int, slots_per_hour: int) -> tuple[int, int] | None:
    """Find a series and the first slot of an hour that is not folded, whole before `before_slot`."""
    r = rollups.c
    end = before_slot - before_slot % slots_per_hour
    unfolded = sa.select(sa.func.min(r.slot)).where(
        r.series == series.c.id, r.slot < end, r.slot % slots_per_hour != 0
    )
    wanted = sa.select(series.c.id, unfolded.scalar_subquery().label("slot")).subquery()
    row = conn.execute(sa.select(wanted).where(wanted.c.slot.is_not(None)).limit(1)).first()
    return None if row is None else (int(row.id), int(row.slot - row.slot % slots_per_hour))


def _within(table: sa.Table, found: tuple[int, int], slots_per_hour: int) -> Any:
    which, hour = found
    t = table.c
    return sa.and_(t.series == which, t.slot >= hour, t.slot < hour + slots_per_hour)
