"""What a rollout's units say, by what their first calls were like."""

from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa

from assent.monitoring.store.blocks import Watch
from assent.monitoring.store.tables import units

STRATUM_S = 3_600.0


class Cell(NamedTuple):
    """Units alike in all of these; `sums` has, by metric, those that have it, their sum and that of squares.

    `hour` is that of their blocks, since 1970. Of units without a call, or from before this was kept,
    application and language are "".
    """

    application: str
    language: str
    hour: int
    arm: str
    closed: bool
    n_units: int
    sums: Mapping[str, tuple[int, float, float]]


def cells(conn: sa.Connection, watch: Watch, metrics: Mapping[str, sa.ColumnElement[float]]) -> list[Cell]:
    """Sum up the metrics of a rollout's units, of closed blocks and of open ones."""
    u = units.c
    application, language = (sa.func.coalesce(column, "") for column in (u.application, u.language))
    hour = sa.func.floor(u.block * watch.block_s / STRATUM_S)
    closed = sa.case((u.block <= watch.closed_through, 1), else_=0)
    # By their places: PostgreSQL takes expressions with parameters for different ones each time.
    alike: list[sa.ColumnElement[int]] = [sa.literal_column(str(place)) for place in range(1, 6)]
    wanted = sa.select(application, language, hour, u.arm, closed, sa.func.count())
    for each in metrics.values():
        wanted = wanted.add_columns(sa.func.count(each), sa.func.sum(each), sa.func.sum(each * each))
    rows = conn.execute(wanted.where(u.rollout == watch.rollout).group_by(*alike))
    return [
        Cell(
            row[0],
            row[1],
            int(row[2]),
            row[3],
            bool(row[4]),
            int(row[5]),
            {
                name: (int(row[i]), float(row[i + 1] or 0), float(row[i + 2] or 0))
                for i, name in zip(range(6, len(row), 3), metrics, strict=True)
            },
        )
        for row in rows
    ]
