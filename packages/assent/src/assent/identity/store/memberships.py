"""Groups whose members change by two people, and the changes that wait for the second."""

import sqlalchemy as sa

from assent.identity.domain.memberships import (
    ChangeAsked,
    ChangeConfirmed,
    ChangeWithdrawn,
    GroupGuarded,
)
from assent.identity.store.tables import ID, NAME, projections
from assent.kernel.db import Utc, table
from assent.kernel.events import Recorded
from assent.kernel.tx import Writer

guarded_groups = table(
    "identity_guarded_groups",
    sa.Column("project", NAME, primary_key=True),
    sa.Column("group", NAME, primary_key=True),
    sa.Column("since", Utc, nullable=False),
    kind="governed",
)
changes = table(
    "identity_changes",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("group", NAME, nullable=False),
    sa.Column("person", ID, nullable=False),
    sa.Column("verb", sa.String(10), nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("asked_by", ID, nullable=False),
    sa.Column("asked_at", Utc, nullable=False),
    sa.Column("expires_at", Utc, nullable=False),
    sa.Column("ended_by", ID),
    sa.Column("ended_at", Utc),
    sa.Index("ix_identity_changes_group", "project", "group"),
    kind="governed",
)


@projections.on(GroupGuarded)
def _guarded(conn: Writer, r: Recorded[GroupGuarded]) -> None:
    conn.execute(sa.insert(guarded_groups).values(project=r.event.project, group=r.event.group, since=r.at))


@projections.on(ChangeAsked)
def _asked(conn: Writer, r: Recorded[ChangeAsked]) -> None:
    e = r.event
    conn.execute(
        sa.insert(changes).values(
            id=e.change,
            project=e.project,
            group=e.group,
            person=e.person,
            verb=e.verb,
            state="open",
            asked_by=r.actor,
            asked_at=r.at,
            expires_at=e.expires_at,
        )
    )


@projections.on(ChangeConfirmed)
def _confirmed(conn: Writer, r: Recorded[ChangeConfirmed]) -> None:
    _ended(conn, r, "confirmed")


@projections.on(ChangeWithdrawn)
def _withdrawn(conn: Writer, r: Recorded[ChangeWithdrawn]) -> None:
    _ended(conn, r, "withdrawn")


def _ended(conn: Writer, r: Recorded[ChangeConfirmed] | Recorded[ChangeWithdrawn], state: str) -> None:
    conn.execute(
        sa.update(changes)
        .where(changes.c.id == r.event.change)
        .values(state=state, ended_by=r.actor, ended_at=r.at)
    )
