"""The limits of applications' keys."""

import sqlalchemy as sa

from assent.identity.domain.limits import KeyLimited, Limit
from assent.identity.store.tables import ID, projections
from assent.kernel.db import Json, table
from assent.kernel.events import Recorded
from assent.kernel.tx import Writer

key_limits = table(
    "identity_key_limits",
    sa.Column("key", ID, primary_key=True),
    sa.Column("limits", Json, nullable=False),
    kind="governed",
)


@projections.on(KeyLimited)
def _limited(conn: Writer, r: Recorded[KeyLimited]) -> None:
    conn.execute(sa.delete(key_limits).where(key_limits.c.key == r.event.key))
    conn.execute(sa.insert(key_limits).values(key=r.event.key, limits=r.event.limits))


def limits_of(conn: sa.Connection, keys: list[str]) -> dict[str, dict[str, Limit]]:
    """Give the limits of those keys that have some."""
    k = key_limits.c
    rows = conn.execute(sa.select(k.key, k.limits).where(k.key.in_(keys)).order_by(k.key))
    return {row.key: row.limits for row in rows if row.limits}
