"""calls are written in the order of their times, on SQLite."""

import sqlite3
from typing import cast
from zlib import crc32

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"


def _key_of(completion: str, n: int) -> int:
    return n - n % (1 << 32) + crc32(completion.encode())


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "monitoring_completions",
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("key", "n", name=op.f("pk_monitoring_completions")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "uq_monitoring_calls_at",
        "monitoring_calls",
        ["at", "completion"],
        unique=True,
        postgresql_where=sa.text("at IS NULL"),
    )
    bind = op.get_bind()
    if bind.dialect.name != "sqlite":
        return
    op.drop_index("uq_monitoring_calls_completion", "monitoring_calls")
    op.create_index(
        "uq_monitoring_calls_completion",
        "monitoring_calls",
        ["completion", "at"],
        unique=True,
        sqlite_where=sa.text("at IS NULL"),
    )
    driver = cast("sqlite3.Connection", bind.connection.driver_connection)
    driver.create_function("key_of", 2, _key_of, deterministic=True)
    op.execute(
        "INSERT INTO monitoring_completions (key, n) "
        "SELECT key_of(completion, n), n FROM monitoring_calls ORDER BY 1, 2"
    )
