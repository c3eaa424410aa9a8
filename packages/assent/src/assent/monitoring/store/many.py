"""Inserting many rows at once, in the way that is fastest on each database."""

from collections.abc import Sequence
from typing import Any, cast

import psycopg
import sqlalchemy as sa

from assent.kernel.db import is_sqlite

COPIED_FROM = 200
"""So many rows are worth the three more statements of a copy on PostgreSQL."""


def write_many(conn: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]], conflict: str) -> int:
    """Insert many rows of plain values, a tuple of all columns each; give how many were written.

    SQLAlchemy looks at each parameter of each row, which costs more than the insert itself; these columns
    need no conversion, so the rows go to the driver as they are.
    """
    if not rows:
        return 0
    if not is_sqlite(conn) and len(rows) >= COPIED_FROM:
        return _copy(conn, table, rows, conflict)
    columns = ", ".join(column.name for column in table.columns)
    marks = ", ".join(("?" if is_sqlite(conn) else "%s",) * len(table.columns))
    statement = f"INSERT INTO {table.name} ({columns}) VALUES ({marks}) {conflict}"  # noqa: S608 -- names of our own tables; values are parameters
    return conn.exec_driver_sql(statement, list(rows)).rowcount


def _copy(conn: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]], conflict: str) -> int:
    """Copy rows beside the table, then insert them from there in one statement, in their order."""
    beside = f"copied_{table.name}"
    columns = ", ".join(column.name for column in table.columns)
    conn.exec_driver_sql(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {beside} (LIKE {table.name}) ON COMMIT DELETE ROWS"
    )
    statement = f"COPY {beside} ({columns}) FROM STDIN"
    try:
        with cast("psycopg.Cursor[Any]", conn.connection.cursor()) as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.DataError as error:
        raise sa.exc.DataError(statement, None, error) from error
    except psycopg.OperationalError as error:
        raise sa.exc.OperationalError(statement, None, error) from error
    inserted = conn.exec_driver_sql(
        f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {beside} {conflict}"  # noqa: S608 -- names of our own tables
    )
    conn.exec_driver_sql(f"TRUNCATE {beside}")
    return inserted.rowcount
