"""See that another process has committed: SQLite's data version, PostgreSQL's notifications."""

from __future__ import annotations

import threading
from typing import Any, Protocol

import sqlalchemy as sa

from assent.kernel.announcing import CHANNEL, announce
from assent.kernel.db import is_sqlite

__all__ = ["PostgresWatch", "SqliteWatch", "Watch", "announce", "watch_of"]

LOOK_EVERY_S = 0.02


class Watch(Protocol):
    """Waits for a commit elsewhere."""

    def wait(self, wake: threading.Event, most_s: float) -> bool:
        """Wait until a commit, until woken, or `most_s` seconds; tell whether something came."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


def watch_of(engine: sa.Engine) -> Watch:
    """Open the watch that this database has."""
    return SqliteWatch(engine) if is_sqlite(engine) else PostgresWatch(engine)


class SqliteWatch:
    """Looks at `PRAGMA data_version`, which changes with each commit of another connection."""

    def __init__(self, engine: sa.Engine) -> None:
        self._pooled = engine.raw_connection()
        self._seen = self._version()

    def wait(self, wake: threading.Event, most_s: float) -> bool:
        """Look every 20 ms."""
        waited = 0.0
        while waited < most_s:
            if wake.wait(LOOK_EVERY_S):
                return True
            waited += LOOK_EVERY_S
            version = self._version()
            if version != self._seen:
                self._seen = version
                return True
        return False

    def _version(self) -> Any:
        cursor = self._pooled.cursor()
        try:
            return cursor.execute("PRAGMA data_version").fetchone()
        finally:
            cursor.close()

    def close(self) -> None:
        """Give the connection back."""
        self._pooled.close()


class PostgresWatch:
    """Listens on a channel; the transaction that changes a route notifies it."""

    def __init__(self, engine: sa.Engine) -> None:
        pooled = engine.raw_connection()
        driver: Any = pooled.driver_connection
        pooled.detach()
        try:
            driver.autocommit = True
            driver.execute(f"LISTEN {CHANNEL}")
        except BaseException:
            driver.close()  # no pool would
            raise
        self._connection = driver

    def wait(self, wake: threading.Event, most_s: float) -> bool:
        """Wait for a notification; the process's own commits notify too."""
        if wake.is_set():
            return True
        return any(True for _ in self._connection.notifies(timeout=most_s, stop_after=1))

    def close(self) -> None:
        """End the connection; the pool has none that listens."""
        self._connection.close()
