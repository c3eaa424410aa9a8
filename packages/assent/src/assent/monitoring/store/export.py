"""Reading calls of the raw ring with all that is known of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from assent.monitoring.store.tables import ROWS_PER_BATCH, batches, calls, facets, feedback, series

EARLIEST_S = 60.0
"""A call comes at most so long before its own time: clocks that go wrong by more are refused."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which calls: of a project, from a time to before another (seconds), narrowed by columns of series."""

    project: str
    start: float
    end: float
    where: Mapping[str, str]


def page(conn: sa.Connection, asked: Asked, after: int, limit: int) -> list[tuple[Any, ...]]:
    """List the next calls: number, time in microseconds, then the columns of an export in their order."""
    s, f, c = series.c, facets.c, calls.c
    columns = (
        c.n, c.at, s.environment, s.route, s.variant, s.version, c.completion, c.unit, f.application,
        f.operation, f.rollout, f.serial, f.rule, f.reason, f.sticky, f.stream, f.status, f.error_class,
        c.latency_s, c.ttft_s, c.tokens_in, c.tokens_out, f.finish_reason, f.response_model, f.as_approved,
        f.guardrails, f.language, f.unguarded, 1.0 - feedback.c.badness,
    )  # fmt: skip
    joined = _joined().outerjoin(feedback, feedback.c.completion == c.completion)
    wanted = sa.select(*columns).select_from(joined).where(_among(asked), c.n > after)
    rows = conn.execute(wanted.order_by(c.n).limit(limit))
    return [(n, round(at * 1_000_000), *rest) for n, at, *rest in rows]


def has_more_than(conn: sa.Connection, asked: Asked, n: int) -> bool:
    """Tell whether there are more calls than so many."""
    some = sa.select(calls.c.n).select_from(_joined()).where(_among(asked)).limit(n + 1).subquery()
    return int(conn.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()) > n


def _joined() -> sa.Join:
    return calls.join(facets, facets.c.id == calls.c.facet).join(series, series.c.id == facets.c.series)


def _among(asked: Asked) -> sa.ColumnElement[bool]:
    """Say which calls; the first batch that may hold one spares the walk over those before it."""
    arrived = batches.c.received_at >= asked.start - EARLIEST_S
    first = sa.select(sa.func.min(batches.c.seq)).where(arrived).scalar_subquery()
    return sa.and_(
        calls.c.n >= first * ROWS_PER_BATCH,
        calls.c.at >= asked.start,
        calls.c.at < asked.end,
        series.c.project == asked.project,
        *(series.c[name] == value for name, value in asked.where.items()),
    )
