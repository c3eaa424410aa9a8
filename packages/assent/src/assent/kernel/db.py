"""The database: one set of tables, SQLite or PostgreSQL, written through SQLAlchemy Core."""

import sqlite3
from datetime import datetime
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy import event

from assent.kernel.canonical import canonical
from assent.kernel.clock import from_text, to_text
from assent.kernel.errors import Invalid

Kind = Literal["governed", "body", "operational"]

# Each commit is durable in the log. The log goes into the file at 32 MB, not at 4: pages that change again
# and again, as where many observations come in, are then written there once.
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "busy_timeout=30000",
    "wal_autocheckpoint=8000",
)

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


class Utc(sa.TypeDecorator[datetime]):
    """A UTC time as fixed-width RFC 3339 text: the same on both databases, sortable, readable."""

    impl = sa.String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002 -- SQLAlchemy's signature
        """Write."""
        return None if value is None else to_text(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002 -- SQLAlchemy's signature
        """Read."""
        return None if value is None else from_text(value)


class Json(sa.TypeDecorator[Any]):
    """A JSON value as canonical text: equal values are equal bytes on both databases."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:  # noqa: ARG002 -- SQLAlchemy's signature
        """Write."""
        return None if value is None else canonical(value).decode()

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:  # noqa: ARG002 -- SQLAlchemy's signature
        """Read."""
        return None if value is None else msgspec.json.decode(value)


def table(name: str, *columns: sa.schema.SchemaItem, kind: Kind, in_key_order: bool = False) -> sa.Table:
    """Declare a table and what it is.

    governed: written by projections only, equal to a replay of the ledger.
    body: rebuildable or erasable. operational: tokens, sessions, queues, observations.
    `in_key_order`: SQLite keeps its rows in the primary key's own tree, not in a second one.
    """
    return sa.Table(name, metadata, *columns, info={"kind": kind}, sqlite_with_rowid=not in_key_order)


def tables_of(kind: Kind) -> list[sa.Table]:
    """List the tables of a kind, by name."""
    return [t for t in sorted(metadata.tables.values(), key=lambda t: t.name) if t.info.get("kind") == kind]


def connect(url: str, *, pool_size: int = 10) -> sa.Engine:
    """Open an engine: `sqlite:////path/to.db` or `postgresql+psycopg://…`."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = _sqlite(parsed, pool_size)
    else:
        postgres = parsed.set(drivername="postgresql+psycopg")
        engine = sa.create_engine(postgres, pool_size=pool_size, pool_pre_ping=True)
    event.listen(engine, "handle_error", _refuse_what_no_database_holds)
    return engine


def _refuse_what_no_database_holds(context: sa.engine.ExceptionContext) -> None:
    """Say whose fault it is when a value cannot be written at all. Raises: Invalid."""
    if isinstance(context.original_exception, UnicodeEncodeError | OverflowError):
        raise Invalid(
            "The database cannot hold this: a text is no valid Unicode, or a number has more than 64 bits.",
            remedy="Send text in UTF-8, without halves of surrogate pairs, and smaller numbers.",
        )


def _sqlite(url: sa.URL, pool_size: int) -> sa.Engine:
    engine = sa.create_engine(
        url,
        poolclass=sa.QueuePool,
        pool_size=pool_size,
        connect_args={"check_same_thread": False, "timeout": 30},
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # we begin transactions ourselves
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: sa.Connection) -> None:
        # A deferred transaction that reads and then writes fails at once with "database is locked".
        writes = connection.get_execution_options().get("assent_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def is_sqlite(engine_or_connection: sa.Engine | sa.Connection) -> bool:
    """Tell which of the two databases this is."""
    return engine_or_connection.dialect.name == "sqlite"
