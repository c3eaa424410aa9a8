"""What a rollout's units say, slice by slice: by what their first calls were like."""

from collections.abc import Mapping

import sqlalchemy as sa

from assent.monitoring.store.blocks import Watch
from assent.monitoring.store.tables import units

STRATUM_S = 3_600.0
COLUMNS = {"application": units.c.application, "language": units.c.language}
Sums = dict[tuple[str, int, str], dict[str, tuple[int, float, float]]]


def sums(
    conn: sa.Connection, watch: Watch, dimension: str, metrics: Mapping[str, sa.ColumnElement[float]]
) -> Sums:
    """Sum the metrics of units in closed blocks up: by value, hour (since 1970) and arm.

    Gives, for each metric, units that have it, their sum and the sum of their squares. A unit without a
    call, or one from before this was kept, has the value "".
    """
    u, value = units.c, sa.func.coalesce(COLUMNS[dimension], "").label("value")
    hour = sa.func.floor(u.block * watch.block_s / STRATUM_S).label("hour")
    wanted = sa.select(value, hour, u.arm)
    for each in metrics.values():
        wanted = wanted.add_columns(sa.func.count(each), sa.func.sum(each), sa.func.sum(each * each))
    within = sa.and_(u.rollout == watch.rollout, u.block <= watch.closed_through)
    rows = conn.execute(wanted.where(within).group_by(value, hour, u.arm))
    return {
        (row[0], int(row[1]), row[2]): {
            name: (int(row[i]), float(row[i + 1] or 0), float(row[i + 2] or 0))
            for i, name in zip(range(3, len(row), 3), metrics, strict=True)
        }
        for row in rows
    }


def counts(conn: sa.Connection, rollout: str, dimension: str) -> dict[str, dict[str, int]]:
    """Count the units exposed so far by value and arm."""
    u, value = units.c, sa.func.coalesce(COLUMNS[dimension], "").label("value")
    wanted = sa.select(value, u.arm, sa.func.count()).where(u.rollout == rollout).group_by(value, u.arm)
    found: dict[str, dict[str, int]] = {}
    for name, arm, n in conn.execute(wanted):
        found.setdefault(name, {})[arm] = n
    return found
