"""Finding calls by their completion on SQLite, without an index that each new call writes to.

Ids come in no order: an index of them has another page to write for almost each call, and more of them the
longer the ring. Here the calls of eight batches enter `monitoring_completions` together, in the order of
their hashes; those that came since are looked at one by one. PostgreSQL has an index of the ids themselves.
"""

import sqlite3
from collections.abc import Sequence
from itertools import product
from typing import Any, cast
from zlib import crc32

import msgspec
import sqlalchemy as sa

from assent.kernel.db import is_sqlite
from assent.monitoring.store.tables import ROWS_PER_BATCH, calls, completions

BATCHES_AT_ONCE = 8
PART = 1 << 32  # numbers of calls (131,072 batches): whole parts of the ring are forgotten, and lie together


def key_of(completion: str, n: int) -> int:
    """Give what a call is found by: its part of the ring and a hash; others may have the same."""
    return n - n % PART + crc32(completion.encode())


def keep(conn: sa.Connection, seq: int) -> None:
    """Take up the calls of the last eight batches, when the number of the newest is a multiple of eight."""
    if not is_sqlite(conn) or seq % BATCHES_AT_ONCE:
        return
    driver = cast("sqlite3.Connection", conn.connection.driver_connection)
    driver.create_function("key_of", 2, key_of, deterministic=True)
    c = calls.c
    first, end = (seq - BATCHES_AT_ONCE + 1) * ROWS_PER_BATCH, (seq + 1) * ROWS_PER_BATCH
    key = sa.func.key_of(c.completion, c.n).label("key")
    ours = sa.select(key, c.n).where(c.n >= first, c.n < end).order_by(key, c.n)
    conn.execute(sa.insert(completions).prefix_with("OR IGNORE").from_select(["key", "n"], ours))


def may_have(conn: sa.Connection, wanted: Sequence[str]) -> sa.ColumnElement[bool]:
    """Say which calls may have one of these completions: all that have one, and some others."""
    if not is_sqlite(conn):
        return sa.true()
    ends = [sa.select(end(calls.c.n)).scalar_subquery() for end in (sa.func.min, sa.func.max)]
    oldest, newest = conn.execute(sa.select(*ends)).one()
    if newest is None:
        return sa.false()
    parts = range(oldest - oldest % PART, newest + 1, PART)
    keys = [key_of(completion, part) for part, completion in product(parts, wanted)]
    kept = sa.select(completions.c.n).where(completions.c.key.in_(_each(keys)))
    seq = newest // ROWS_PER_BATCH
    is_new = calls.c.n >= (seq - seq % BATCHES_AT_ONCE + 1) * ROWS_PER_BATCH
    new = sa.select(calls.c.n).where(is_new, calls.c.completion.in_(_each(wanted)))
    return calls.c.n.in_(sa.union_all(kept, new))


def _each(values: Sequence[int | str]) -> sa.Select[Any]:
    """Select many values with one parameter."""
    each = sa.func.json_each(msgspec.json.encode(values).decode()).table_valued("value")
    return sa.select(each.c.value)


def are_before(n: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """Say what is kept of calls before a number, as far as whole parts of the ring are before it."""
    return completions.c.key < n // PART * PART
