"""Have other processes told that what production runs on has changed, when the transaction commits."""

from __future__ import annotations

import sqlalchemy as sa

from assent.kernel.db import is_sqlite

CHANNEL = "assent_delivery"
TOPIC = "delivery"
"""The topic of this process's own wake-ups, for the same thing."""


def announce(conn: sa.Connection) -> None:
    """Notify on PostgreSQL; on SQLite the data version tells."""
    if not is_sqlite(conn):
        conn.execute(sa.text(f"NOTIFY {CHANNEL}"))
