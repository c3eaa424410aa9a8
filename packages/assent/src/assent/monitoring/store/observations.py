"""Writing what was observed, and finding it again."""

from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from assent.kernel.db import is_sqlite
from assent.monitoring.store import completions
from assent.monitoring.store.many import write_many
from assent.monitoring.store.tables import (
    ROWS_PER_BATCH,
    batches,
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
from assent.monitoring.store.tables import completions as kept

Row = Mapping[str, Any]
DAY_S = 86_400
FACET_SEEN_EVERY_S = 3600.0
ROLLUP_SUMS = (
    "n_calls", "n_errors", "n_refusals", "n_not_as_approved",
    "tokens_in", "tokens_out", "n_guardrails", "n_unguarded", "n_counted", "in_in", "in_out", "out_out",
    "n_feedback", "badness",
)  # fmt: skip
UNIT_SUMS = (
    "n_calls", "n_errors", "n_refusals", "n_slow", "n_feedback", "badness", "n_late", "late_badness",
    "latency_s", "tokens_in", "tokens_out", "n_guarded", "n_hits",
    "n_judged", "judged_badness",
)  # fmt: skip
USAGE_SUMS = ("n_calls", "n_counted", "tokens_in", "tokens_out")
UNIT_FIRSTS = ("application", "language")


class Called(NamedTuple):
    """Where a call belongs."""

    completion: str
    series: int
    rollout: str | None
    unit: str
    at: float


class Said(NamedTuple):
    """Feedback as it was counted."""

    completion: str
    at: float
    badness: float
    matched: bool
    in_window: bool


def find_batch(conn: sa.Connection, batch: str) -> sa.Row[str, Any] | None:
    """Find a batch that was taken before."""
    wanted = sa.select(batches.c.digest, batches.c.receipt).where(batches.c.batch == batch)
    return conn.execute(wanted).one_or_none()


def insert_batch(conn: sa.Connection, row: Row) -> int:
    """Write a batch down; give its number. Raises: sqlalchemy.exc.IntegrityError when it is there already."""
    return int(conn.execute(sa.insert(batches).values(row).returning(batches.c.seq)).scalar_one())


def finish_batch(conn: sa.Connection, seq: int, receipt: Row) -> None:
    """Keep what was answered."""
    conn.execute(sa.update(batches).where(batches.c.seq == seq).values(receipt=receipt))


def put_instance(conn: sa.Connection, row: Row) -> None:
    """Keep how much an instance has lost; the figure never falls."""
    statement = _insert(conn, instances)
    lost = sa.case(
        (statement.excluded.n_dropped > instances.c.n_dropped, statement.excluded.n_dropped),
        else_=instances.c.n_dropped,
    )
    changed = {"n_dropped": lost, "seen_at": statement.excluded.seen_at}
    conn.execute(statement.on_conflict_do_update(index_elements=["instance"], set_=changed), row)


def add_series(conn: sa.Connection, keys: Mapping[int, Collection[str]]) -> None:
    """Make sure that these series are known: their numbers, and the columns of each."""
    write_many(
        conn, series, [(number, *key) for number, key in sorted(keys.items())], "ON CONFLICT DO NOTHING"
    )


def add_facets(conn: sa.Connection, rows: Sequence[tuple[Any, ...]], now_s: float) -> None:
    """Make sure that these facets are known, a tuple of all columns but the last each.

    `seen_at` follows by the hour: a change would hold the row until the end of the transaction.
    """
    write_many(conn, facets, sorted((*row, now_s) for row in rows), "ON CONFLICT DO NOTHING")
    f = facets.c
    stale = sa.and_(f.id.in_([row[0] for row in rows]), f.seen_at < now_s - FACET_SEEN_EVERY_S)
    conn.execute(sa.update(facets).where(stale).values(seen_at=now_s))


def numbers(seq: int, n: int) -> range:
    """Give the numbers of a batch's calls."""
    return range(seq * ROWS_PER_BATCH, seq * ROWS_PER_BATCH + n)


def add_calls(conn: sa.Connection, seq: int, rows: Sequence[tuple[Any, ...]]) -> int:
    """Write a batch's calls, a tuple of all columns each; those that are known are left out.

    Give how many were written.
    """
    n = write_many(conn, calls, rows, "ON CONFLICT DO NOTHING")
    completions.keep(conn, seq)
    return n


def written(conn: sa.Connection, seq: int) -> list[int]:
    """List the places of the calls that were written in the newest batch, ascending."""
    first = seq * ROWS_PER_BATCH
    found = sa.select(calls.c.n - first).where(calls.c.n >= first).order_by(calls.c.n)
    return list(conn.execute(found).scalars())


def find_calls(conn: sa.Connection, names: Sequence[str]) -> dict[str, Called]:
    """Find where calls belong, by completion; where an upstream gave an id twice, the newest call."""
    if not names:
        return {}
    c, f = calls.c, facets.c
    which = (c.completion, f.series, f.rollout, c.unit, c.at)
    wanted = sa.select(*which).join(facets, f.id == c.facet).order_by(c.at)
    rows = conn.execute(wanted.where(_among(conn, c.completion, names), completions.may_have(conn, names)))
    return {row.completion: Called(*row) for row in rows}


def find_units(conn: sa.Connection, rollout: str, names: Collection[str]) -> list[sa.Row[Any]]:
    """Find the units of a rollout that are known: rollout, unit, arm, first_at, block."""
    u = units.c
    wanted = sa.select(u.rollout, u.unit, u.arm, u.first_at, u.block).where(u.rollout == rollout)
    return list(conn.execute(wanted.where(_among(conn, u.unit, names))))


def add_to_units(conn: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Add outcomes to units; the first row of a unit fixes its arm, first exposure and block.

    Its first call fixes the application and language by which it is sliced.
    """
    _add(conn, units, rows, UNIT_SUMS, UNIT_FIRSTS)


def add_to_rollups(conn: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Add to the sums of series and slots."""
    _add(conn, rollups, rows, ROLLUP_SUMS)


def add_to_latencies(conn: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Add to the histograms of series and slots."""
    _add(conn, latencies, rows, ("n",))


def add_to_usage(conn: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Add to what applications used by day and series."""
    _add(conn, usage, rows, USAGE_SUMS)


def find_feedback(conn: sa.Connection, names: Sequence[str]) -> dict[str, Said]:
    """Find the feedback on these completions."""
    if not names:
        return {}
    f = feedback.c
    wanted = sa.select(f.completion, f.at, f.badness, f.matched, f.in_window)
    rows = conn.execute(wanted.where(_among(conn, f.completion, names)))
    return {row.completion: Said(*row) for row in rows}


def has_unmatched_feedback(conn: sa.Connection) -> bool:
    """Tell whether feedback waits for its call."""
    return conn.execute(sa.select(feedback.c.at).where(~feedback.c.matched).limit(1)).first() is not None


def put_feedback(conn: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Keep feedback, a tuple of all columns each; the last one on a completion stands."""
    changed = ", ".join(f"{name} = excluded.{name}" for name in ("at", "badness", "matched", "in_window"))
    write_many(conn, feedback, rows, f"ON CONFLICT (completion) DO UPDATE SET {changed}")


def prune(conn: sa.Connection, before: Mapping[str, float], limit: int) -> int:
    """Delete at most `limit` rows of each kind that are older than `before`; give how many went."""
    c, f, b, shared = calls.c, feedback.c, batches.c, facets.c
    newest = sa.select(sa.func.max(b.seq)).where(b.received_at < before["calls"]).scalar_subquery()
    end = (sa.func.coalesce(newest, 0) + 1) * ROWS_PER_BATCH
    aged = (
        (calls, c.n, c.n < end),
        (kept, kept.c.key, completions.are_before(end)),
        (feedback, f.completion, f.at < before["feedback"]),
        (batches, b.seq, b.received_at < before["batches"]),
        (facets, shared.id, shared.seen_at < before["batches"]),
        (usage, usage.c.day, usage.c.day < before["usage"] // DAY_S),
    )
    gone = 0
    for table, key, is_old in aged:
        old = sa.select(key).where(is_old).limit(limit).scalar_subquery()
        gone += conn.execute(sa.delete(table).where(key.in_(old))).rowcount
    return gone


def _among(
    conn: sa.Connection, column: sa.ColumnElement[str], values: Collection[str]
) -> sa.ColumnElement[bool]:
    """Ask for any of many values with one parameter: a marker each would be compiled anew and has a limit."""
    if is_sqlite(conn):
        each = sa.func.json_each(msgspec.json.encode(list(values)).decode()).table_valued("value")
        return column.in_(sa.select(each.c.value))
    return column == sa.any_(sa.cast(list(values), postgresql.ARRAY(sa.Text)))


def _insert(conn: sa.Connection, table: sa.Table) -> Any:
    return sqlite.insert(table) if is_sqlite(conn) else postgresql.insert(table)


def _add(
    conn: sa.Connection,
    table: sa.Table,
    rows: Sequence[tuple[Any, ...]],
    sums: Sequence[str],
    firsts: Sequence[str] = (),
) -> None:
    """Add to `sums`; `firsts` are written together, while the first of them is null."""
    keys = ", ".join(column.name for column in table.primary_key)
    its = table.name
    added = [f"{name} = {its}.{name} + excluded.{name}" for name in sums]
    added += [
        f"{name} = CASE WHEN {its}.{firsts[0]} IS NULL THEN excluded.{name} ELSE {its}.{name} END"
        for name in firsts
    ]
    # One order for everybody (the keys stand first): two writers then never wait for each other in a ring.
    # Key by key, from the last: to compare single values takes a third of the time of whole rows.
    ordered = list(rows)
    for place in reversed(range(len(table.primary_key))):
        ordered.sort(key=itemgetter(place))
    write_many(conn, table, ordered, f"ON CONFLICT ({keys}) DO UPDATE SET {', '.join(added)}")
