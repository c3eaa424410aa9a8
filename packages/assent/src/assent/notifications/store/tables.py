"""Tables and projections of notifications."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from assent.kernel.db import Json, Utc, table
from assent.kernel.events import Recorded
from assent.kernel.tx import Projections, Writer
from assent.notifications.domain.subscriptions import (
    SecretRotated,
    State,
    SubscriptionAdded,
    SubscriptionChanged,
    SubscriptionDisabled,
    SubscriptionPaused,
    SubscriptionRemoved,
    SubscriptionResumed,
)

NAME, ID = sa.String(63), sa.String(64)

subscriptions = table(
    "notifications_subscriptions",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("name", NAME, nullable=False),
    sa.Column("kinds", Json, nullable=False),
    sa.Column("channel", sa.String(10), nullable=False),
    sa.Column("target", sa.String(300), nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("because", sa.String(20)),
    sa.Column("added_at", Utc, nullable=False),
    sa.Column("added_by", ID, nullable=False),
    sa.Column("changed_at", Utc, nullable=False),
    sa.UniqueConstraint("project", "name"),
    kind="governed",
)
sealed = table(
    "notifications_secrets",
    sa.Column("subscription", ID, primary_key=True),
    sa.Column("purpose", sa.String(10), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("sealed", sa.Text, nullable=False),
    sa.Column("ends_at", Utc),
    kind="operational",
)
receivers = table(
    "notifications_receivers",
    sa.Column("subscription", ID, primary_key=True),
    sa.Column("from_leaf", sa.BigInteger, nullable=False),
    sa.Column("until_leaf", sa.BigInteger),
    sa.Column("n_failures", sa.Integer, nullable=False),
    sa.Column("failing_since", Utc),
    sa.Column("retry_at", Utc),
    sa.Column("lease", ID),
    sa.Column("lease_until", Utc),
    kind="operational",
)
cursor = table(
    "notifications_cursor",
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("next_leaf", sa.BigInteger, nullable=False),
    kind="operational",
)
deliveries = table(
    "notifications_deliveries",
    sa.Column("id", ID, primary_key=True),
    sa.Column("subscription", ID, nullable=False),
    sa.Column("project", NAME, nullable=False),
    sa.Column("leaf", sa.BigInteger, nullable=False),
    sa.Column("event", ID, nullable=False),
    sa.Column("type", sa.String(200), nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("n_tries", sa.Integer, nullable=False),
    sa.Column("due_at", Utc, nullable=False),
    sa.Column("queued_at", Utc, nullable=False),
    sa.Column("ended_at", Utc),
    sa.Column("status", sa.Integer),
    sa.Column("error", sa.String(500)),
    sa.Column("attempts", Json, nullable=False),
    sa.UniqueConstraint("subscription", "leaf"),
    sa.Index("ix_notifications_deliveries_due", "state", "subscription", "due_at"),
    sa.Index("ix_notifications_deliveries_ended", "state", "ended_at"),
    sa.Index("ix_notifications_deliveries_project", "project", "id"),
    kind="operational",
)

projections = Projections("notifications")


@projections.on(SubscriptionAdded)
def _added(conn: Writer, r: Recorded[SubscriptionAdded]) -> None:
    e = r.event
    conn.execute(
        sa.insert(subscriptions).values(
            id=e.subscription,
            project=e.project,
            name=e.name,
            kinds=list(e.kinds),
            channel=e.channel,
            target=e.target,
            state=State.ENABLED.value,
            because=None,
            added_at=r.at,
            added_by=r.actor,
            changed_at=r.at,
        )
    )


@projections.on(SubscriptionChanged)
def _changed(conn: Writer, r: Recorded[SubscriptionChanged]) -> None:
    _set(conn, r, kinds=list(r.event.kinds), target=r.event.target)


@projections.on(SubscriptionPaused)
def _paused(conn: Writer, r: Recorded[SubscriptionPaused]) -> None:
    _set(conn, r, state=State.PAUSED.value, because=None)


@projections.on(SubscriptionResumed)
def _resumed(conn: Writer, r: Recorded[SubscriptionResumed]) -> None:
    _set(conn, r, state=State.ENABLED.value, because=None)


@projections.on(SubscriptionDisabled)
def _disabled(conn: Writer, r: Recorded[SubscriptionDisabled]) -> None:
    _set(conn, r, state=State.DISABLED.value, because=r.event.because)


@projections.on(SecretRotated)
def _rotated(conn: Writer, r: Recorded[SecretRotated]) -> None:
    _set(conn, r)


@projections.on(SubscriptionRemoved)
def _removed(conn: Writer, r: Recorded[SubscriptionRemoved]) -> None:
    conn.execute(sa.delete(subscriptions).where(subscriptions.c.id == r.event.subscription))


def _set(conn: Writer, r: Recorded[Any], **values: Any) -> None:
    found = sa.update(subscriptions).where(subscriptions.c.id == r.event.subscription)
    conn.execute(found.values(changed_at=r.at, **values))
