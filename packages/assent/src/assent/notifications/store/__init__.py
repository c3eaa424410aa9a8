"""Queries of notifications, and writes of what is operational."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from assent.kernel.db import is_sqlite
from assent.kernel.tx import Reader, Tx
from assent.notifications.domain.subscriptions import Channel, State, Subscription
from assent.notifications.store.tables import (
    cursor,
    deliveries,
    projections,
    receivers,
    sealed,
    subscriptions,
)

__all__ = ["projections"]

TARGET, SIGNING = "target", "signing"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one subscription; `id` is the webhook-id, `n_tries` counts since it was last queued."""

    id: str
    subscription: str
    project: str
    leaf: int
    event: str
    type: str
    state: str
    n_tries: int
    due_at: datetime
    queued_at: datetime
    ended_at: datetime | None
    status: int | None
    error: str | None
    attempts: list[dict[str, Any]]


def find(reader: Reader, project: str, name: str, *, lock: bool = False) -> Subscription | None:
    """Find a subscription by its name."""
    s = subscriptions.c
    query = sa.select(subscriptions).where(s.project == project, s.name == name)
    row = reader.conn.execute(query.with_for_update() if lock else query).mappings().first()
    return None if row is None else _subscription(row)


def find_by_id(reader: Reader, id_: str, *, lock: bool = False) -> Subscription | None:
    """Find a subscription by its id."""
    query = sa.select(subscriptions).where(subscriptions.c.id == id_)
    row = reader.conn.execute(query.with_for_update() if lock else query).mappings().first()
    return None if row is None else _subscription(row)


def list_(reader: Reader, project: str) -> list[Subscription]:
    """List the subscriptions of a project by name."""
    query = sa.select(subscriptions).where(subscriptions.c.project == project)
    rows = reader.conn.execute(query.order_by(subscriptions.c.name)).mappings()
    return [_subscription(row) for row in rows]


def list_listening(reader: Reader, start: int) -> list[tuple[Subscription, int, int | None]]:
    """List all that hear a leaf from `start` on: from which leaf, and up to, not including, which."""
    r = receivers.c
    query = (
        sa.select(subscriptions, r.from_leaf, r.until_leaf)
        .join(receivers, r.subscription == subscriptions.c.id)
        .where(sa.or_(r.until_leaf.is_(None), r.until_leaf > start))
        .order_by(subscriptions.c.id)
    )
    return [
        (_subscription(row), row["from_leaf"], row["until_leaf"])
        for row in reader.conn.execute(query).mappings()
    ]


def _subscription(row: Any) -> Subscription:
    columns = {column.name: row[column.name] for column in subscriptions.columns}
    columns |= {"kinds": tuple(columns["kinds"]), "channel": Channel(columns["channel"])}
    return Subscription(**{**columns, "state": State(columns["state"])})


def start_cursor(tx: Tx, leaf: int) -> None:
    """Begin to tail at a leaf, where nobody does yet."""
    insert = sqlite.insert if is_sqlite(tx.conn) else postgresql.insert
    tx.conn.execute(insert(cursor).values(id=1, next_leaf=leaf).on_conflict_do_nothing())


def next_leaf(reader: Reader, *, lock: bool = False) -> int | None:
    """Give the leaf that is read next; None where nobody ever subscribed."""
    query = sa.select(cursor.c.next_leaf).where(cursor.c.id == 1)
    return reader.conn.execute(query.with_for_update() if lock else query).scalar()


def set_cursor(tx: Tx, leaf: int) -> None:
    """Go on from a leaf."""
    tx.conn.execute(sa.update(cursor).where(cursor.c.id == 1).values(next_leaf=leaf))


def queue(tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
    """Add deliveries; one that is there for its leaf and subscription stays as it is."""
    insert = sqlite.insert if is_sqlite(tx.conn) else postgresql.insert
    tx.conn.execute(insert(deliveries).on_conflict_do_nothing(), rows)


def find_receiver(reader: Reader, subscription: str, *, lock: bool = False) -> Any:
    """Find the row of a receiver."""
    query = sa.select(receivers).where(receivers.c.subscription == subscription)
    return reader.conn.execute(query.with_for_update() if lock else query).first()


def set_receiver(tx: Tx, subscription: str, **values: Any) -> None:
    """Keep how a receiver does."""
    tx.conn.execute(sa.update(receivers).where(receivers.c.subscription == subscription).values(**values))


def _ready(now: datetime) -> sa.Select[Any]:
    """Select the receivers that have something due, are enabled, free and not left alone."""
    d, r, s = deliveries.c, receivers.c, subscriptions.c
    due = sa.select(d.id).where(d.state == "pending", d.subscription == r.subscription, d.due_at <= now)
    return (
        sa.select(r.subscription)
        .join(subscriptions, s.id == r.subscription)
        .where(
            s.state == State.ENABLED.value,
            sa.or_(r.lease_until.is_(None), r.lease_until <= now),
            sa.or_(r.retry_at.is_(None), r.retry_at <= now),
            sa.exists(due),
        )
    )


def any_ready(reader: Reader) -> bool:
    """Tell whether anything can be delivered now."""
    return reader.conn.execute(_ready(reader.now()).limit(1)).first() is not None


def lease(tx: Tx, lease_id: str, until: datetime, n: int) -> list[str]:
    """Take up to `n` receivers that have something due, those first that were served longest ago.

    Nobody else delivers to them until then.
    """
    oldest = sa.nulls_first(receivers.c.lease_until.asc())
    query = _ready(tx.now()).order_by(oldest, receivers.c.subscription).limit(n)
    found = list(tx.conn.execute(query.with_for_update(of=receivers, skip_locked=True)).scalars())
    for subscription in found:
        set_receiver(tx, subscription, lease=lease_id, lease_until=until)
    return found


def list_due(reader: Reader, subscription: str, n: int) -> list[Delivery]:
    """List what is due for a subscription, in the order of the leaves."""
    d = deliveries.c
    query = sa.select(deliveries).where(d.subscription == subscription, d.state == "pending")
    query = query.where(d.due_at <= reader.now()).order_by(d.leaf).limit(n)
    return [_delivery(row) for row in reader.conn.execute(query)]


def find_delivery(reader: Reader, project: str, id_: str) -> Delivery | None:
    """Find a delivery of a project."""
    query = sa.select(deliveries).where(deliveries.c.id == id_, deliveries.c.project == project)
    row = reader.conn.execute(query).first()
    return None if row is None else _delivery(row)


def list_deliveries(
    reader: Reader, project: str, subscription: str | None, state: str | None, before: str | None, limit: int
) -> list[Delivery]:
    """List deliveries, the newest first; `before` is the id that ended the page before."""
    d = deliveries.c
    query = sa.select(deliveries).where(d.project == project).order_by(d.id.desc()).limit(limit)
    query = query if subscription is None else query.where(d.subscription == subscription)
    query = query if state is None else query.where(d.state == state)
    query = query if before is None else query.where(d.id < before)
    return [_delivery(row) for row in reader.conn.execute(query)]


def count_deliveries(reader: Reader, project: str) -> dict[str, dict[str, int]]:
    """Count the deliveries of each subscription of a project, by state."""
    d = deliveries.c
    query = sa.select(d.subscription, d.state, sa.func.count()).where(d.project == project)
    counts: dict[str, dict[str, int]] = {}
    for subscription, state, n in reader.conn.execute(query.group_by(d.subscription, d.state)):
        counts.setdefault(subscription, {})[state] = n
    return counts


def set_delivery(tx: Tx, id_: str, **values: Any) -> bool:
    """Change a delivery; tells whether it is there."""
    return tx.conn.execute(sa.update(deliveries).where(deliveries.c.id == id_).values(**values)).rowcount == 1


def requeue_dead(tx: Tx, subscription: str, now: datetime) -> int:
    """Have all dead deliveries of a subscription tried again; gives how many."""
    d = deliveries.c
    found = sa.update(deliveries).where(d.subscription == subscription, d.state == "dead")
    return tx.conn.execute(found.values(state="pending", n_tries=0, due_at=now, ended_at=None)).rowcount


def _old(delivered_before: datetime, dead_before: datetime) -> sa.ColumnElement[bool]:
    d = deliveries.c
    return sa.or_(
        sa.and_(d.state == "delivered", d.ended_at < delivered_before),
        sa.and_(d.state == "dead", d.ended_at < dead_before),
    )


def any_old(reader: Reader, delivered_before: datetime, dead_before: datetime) -> bool:
    """Tell whether there is anything to prune."""
    d, s = deliveries.c, sealed.c
    old = reader.conn.execute(sa.select(d.id).where(_old(delivered_before, dead_before)).limit(1)).first()
    ended = reader.conn.execute(sa.select(s.number).where(s.ends_at <= reader.now()).limit(1)).first()
    return old is not None or ended is not None


def prune(tx: Tx, delivered_before: datetime, dead_before: datetime) -> int:
    """Delete old deliveries and secrets that ended; gives how many deliveries."""
    tx.conn.execute(sa.delete(sealed).where(sealed.c.ends_at <= tx.now()))
    return tx.conn.execute(sa.delete(deliveries).where(_old(delivered_before, dead_before))).rowcount


def keep_sealed(tx: Tx, subscription: str, purpose: str, number: int, text: str) -> None:
    """Keep a sealed text, in place of one of the same number."""
    s = sealed.c
    same = (s.subscription == subscription, s.purpose == purpose, s.number == number)
    tx.conn.execute(sa.delete(sealed).where(*same))
    row = {"subscription": subscription, "purpose": purpose, "number": number, "sealed": text}
    tx.conn.execute(sa.insert(sealed).values(row))


def list_sealed(reader: Reader, subscription: str, purpose: str) -> list[tuple[int, str]]:
    """List the sealed texts that are in force, the newest first, with their numbers."""
    s = sealed.c
    query = sa.select(s.number, s.sealed).where(s.subscription == subscription, s.purpose == purpose)
    query = query.where(sa.or_(s.ends_at.is_(None), s.ends_at > reader.now())).order_by(s.number.desc())
    return [(row.number, row.sealed) for row in reader.conn.execute(query)]


def end_sealed(tx: Tx, subscription: str, number: int, at: datetime) -> None:
    """Have a signing secret end, and those before it at once."""
    s = sealed.c
    mine = (s.subscription == subscription, s.purpose == SIGNING)
    tx.conn.execute(sa.delete(sealed).where(*mine, s.number < number))
    tx.conn.execute(sa.update(sealed).where(*mine, s.number == number).values(ends_at=at))


def add_receiver(tx: Tx, subscription: str, from_leaf: int) -> None:
    """Begin to listen at a leaf."""
    row = {"subscription": subscription, "from_leaf": from_leaf, "n_failures": 0}
    tx.conn.execute(sa.insert(receivers).values(row))


def forget(tx: Tx, subscription: str) -> None:
    """Delete all that is kept beside a subscription."""
    for one in (sealed, receivers, deliveries):
        tx.conn.execute(sa.delete(one).where(one.c.subscription == subscription))


def _delivery(row: Any) -> Delivery:
    return Delivery(**row._mapping)  # noqa: SLF001 -- SQLAlchemy's own name for a row as a mapping
