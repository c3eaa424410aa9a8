"""Locks by name, for what no row stands for yet: the first of its kind, a number, a place."""

import sqlalchemy as sa

from assent.kernel.db import is_sqlite
from assent.kernel.tx import Tx


def lock_name(tx: Tx, kind: str, project: str, name: str) -> None:
    """Let one transaction at a time decide on a name, until it ends; SQLite has one writer anyway."""
    if not is_sqlite(tx.conn):
        key = f"{kind}/{project}/{name}"
        tx.conn.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(key, 0))))
