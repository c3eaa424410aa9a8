"""Set and read how much applications may use their keys."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from assent.identity import store
from assent.identity.domain.limits import KeyLimited, Limit, checked_limits
from assent.kernel.errors import Conflict, NotFound
from assent.kernel.tx import Reader, Tx


def limit_key(tx: Tx, project: str, key: str, wanted: Mapping[str, Any]) -> dict[str, Limit]:
    """Set a key's limits; the same again records nothing. Raises: Invalid, NotFound, Conflict (revoked)."""
    limits = checked_limits(wanted)
    k = store.keys.c
    row = tx.conn.execute(
        sa.select(k.environment, k.revoked_at).where(k.project == project, k.id == key)
    ).first()
    if row is None:
        raise NotFound(f"{project} has no key {key!r}.", remedy="`assent key list` shows them.")
    if row.revoked_at is not None:
        raise Conflict(f"The key {key} is revoked.", remedy="Limit a key that is in force.")
    if key_limits(tx, [key]).get(key, {}) != limits:
        tx.record(KeyLimited(key=key, project=project, environment=row.environment, limits=limits))
    return limits


def key_limits(reader: Reader, keys: list[str]) -> dict[str, dict[str, Limit]]:
    """Give the limits of those keys that have some."""
    return store.limits_of(reader.conn, keys)
