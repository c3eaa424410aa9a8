"""Which observed calls were sent to a collector, and the next ones."""

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from assent.monitoring.domain.span_export import Observed
from assent.monitoring.store.tables import ROWS_PER_BATCH, batches, calls, facets, series, span_export

BATCHES_AT_ONCE = 500


class Export(NamedTuple):
    """How far the sending is, and how it goes; `next_n` is the place of the first call not sent."""

    target: str
    next_n: int
    n_sent: int
    n_refused: int
    n_dropped: int
    started_at: datetime
    sent_at: datetime | None
    n_failures: int
    retry_at: datetime | None
    error: str | None


def find(conn: sa.Connection, *, lock: bool = False) -> Export | None:
    """Find how far the sending is; None where nothing is sent."""
    wanted = sa.select(*(span_export.c[name] for name in Export._fields))
    row = conn.execute(wanted.with_for_update() if lock else wanted).one_or_none()
    return None if row is None else Export._make(row)


def start(conn: sa.Connection, target: str, now: datetime) -> None:
    """Begin with what comes from now on."""
    newest = conn.execute(sa.select(sa.func.max(batches.c.seq))).scalar()
    first = ((newest or 0) + 1) * ROWS_PER_BATCH
    new = Export(target, first, 0, 0, 0, now, None, 0, None, None)
    conn.execute(sa.insert(span_export).values(id=1, **new._asdict()))


def put(conn: sa.Connection, **changes: Any) -> None:
    """Keep what changed."""
    conn.execute(sa.update(span_export).values(**changes))


def stop(conn: sa.Connection) -> None:
    """Forget the sending."""
    conn.execute(sa.delete(span_export))


def settled(conn: sa.Connection, next_n: int, before_s: float) -> int:
    """Give the place up to which no call can come any more.

    A batch gets its number before it is committed, so one that is missing may still come; once a later one
    arrived before `before_s` it never will.
    """
    first = next_n // ROWS_PER_BATCH
    b = batches.c
    known = sa.select(b.seq, b.received_at).where(b.seq >= first).order_by(b.seq).limit(BATCHES_AT_ONCE)
    for seq, received_at in conn.execute(known):
        if seq > first and received_at > before_s:
            break
        first = seq + 1
    return max(next_n, first * ROWS_PER_BATCH)


def page(conn: sa.Connection, from_n: int, to_n: int, limit: int) -> list[Observed]:
    """List the next calls, in the order in which they came."""
    columns = [next(t.c[name] for t in (calls, series, facets) if name in t.c) for name in Observed._fields]
    joined = calls.join(facets, facets.c.id == calls.c.facet).join(series, series.c.id == facets.c.series)
    among = sa.and_(calls.c.n >= from_n, calls.c.n < to_n)
    rows = conn.execute(sa.select(*columns).select_from(joined).where(among).order_by(calls.c.n).limit(limit))
    return [Observed._make(row) for row in rows]


def waiting_since(conn: sa.Connection, next_n: int) -> float | None:
    """Say when the oldest call came that is not sent (seconds since 1970); None where all are."""
    oldest = conn.execute(sa.select(sa.func.min(calls.c.n)).where(calls.c.n >= next_n)).scalar()
    if oldest is None:
        return None
    came = sa.select(batches.c.received_at).where(batches.c.seq == oldest // ROWS_PER_BATCH)
    return float(conn.execute(came).scalar_one())


def pass_over(conn: sa.Connection, next_n: int, before_s: float) -> tuple[int, int] | None:
    """Count the calls that came before a time and are not sent; give the place behind them, and how many.

    None where there are none.
    """
    newest = conn.execute(
        sa.select(sa.func.max(batches.c.seq)).where(batches.c.received_at < before_s)
    ).scalar()
    end = ((newest or 0) + 1) * ROWS_PER_BATCH
    if end <= next_n:
        return None
    lost = sa.select(sa.func.count()).select_from(calls).where(calls.c.n >= next_n, calls.c.n < end)
    return end, int(conn.execute(lost).scalar_one())
