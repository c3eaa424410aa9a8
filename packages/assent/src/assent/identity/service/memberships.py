"""Changing who is in a group: at once, or, where a policy names the group, by two people."""

from collections.abc import Collection

import sqlalchemy as sa

from assent.identity import store
from assent.identity.domain import MemberAdded, MemberRemoved
from assent.identity.domain.memberships import (
    CHANGE_LIFE,
    Change,
    ChangeAsked,
    ChangeConfirmed,
    ChangeWithdrawn,
    GroupGuarded,
    Verb,
    newly_named,
    why_ended,
    why_not_confirm,
)
from assent.identity.service.projects import has_group, members_of
from assent.identity.store import Account
from assent.kernel.errors import Invalid, NotFound, Reason, Refused
from assent.kernel.ids import new_id
from assent.kernel.locks import lock_name
from assent.kernel.tx import Reader, Tx


def guard_groups(tx: Tx, project: str, groups: Collection[str]) -> None:
    """Have two people change the members of these groups from now on: a policy names them."""
    for group in newly_named(groups, guarded_groups(tx, project)):
        tx.record(GroupGuarded(project=project, group=group))


def guarded_groups(reader: Reader, project: str) -> frozenset[str]:
    """Give the groups whose members two people change; they may not exist yet."""
    g = store.guarded_groups.c
    return frozenset(reader.conn.execute(sa.select(g.group).where(g.project == project)).scalars())


def add_member(tx: Tx, project: str, group: str, person: str) -> None:
    """Put a person into a group; doing it again changes nothing.

    Raises: NotFound, Invalid, Refused (two people change this group: `ask_change`).
    """
    account = _candidate(tx, project, group, person)
    if account.id not in members_of(tx, project, group):
        _require_unguarded(tx, project, group)
        tx.record(MemberAdded(project=project, group=group, person=account.id))


def remove_member(tx: Tx, project: str, group: str, person: str) -> None:
    """Take a person out of a group. Raises: NotFound, Refused (two people change this group)."""
    account = _member(tx, project, group, person)
    _require_unguarded(tx, project, group)
    tx.record(MemberRemoved(project=project, group=group, person=account.id))


def ask_change(tx: Tx, project: str, group: str, person: str, verb: Verb) -> Change | None:
    """Change a group's members at once, or ask a second person to confirm; None: done, or as it was.

    Asked again, it gives the change that waits already. Raises: NotFound, Invalid.
    """
    adding = verb == "add"
    lock_name(tx, "members", project, group)
    account = (_candidate if adding else _member)(tx, project, group, person)
    if group not in guarded_groups(tx, project):
        (add_member if adding else remove_member)(tx, project, group, account.id)
        return None
    if adding and account.id in members_of(tx, project, group):
        return None
    waiting = [c for c in list_changes(tx, project) if (c.person, c.group) == (account.id, group)]
    if waiting:
        return waiting[0]
    change, expires_at = new_id("chg"), tx.now() + CHANGE_LIFE
    tx.record(
        ChangeAsked(
            change=change, project=project, group=group, person=account.id, verb=verb, expires_at=expires_at
        )
    )
    return get_change(tx, project, change)


def confirm_change(tx: Tx, project: str, change_id: str) -> Change:
    """Confirm, as a second person, a change that somebody asked for. Raises: NotFound, Refused."""
    change = get_change(tx, project, change_id, lock=True)
    reasons = why_not_confirm(change, tx.actor.id, tx.actor.kind, tx.now())
    if reasons:
        raise Refused("You cannot confirm this change.", reasons=reasons)
    tx.record(ChangeConfirmed(change=change.id, project=project, group=change.group))
    inside = change.person in members_of(tx, project, change.group)
    if change.verb == "add" and not inside:
        tx.record(MemberAdded(project=project, group=change.group, person=change.person))
    if change.verb == "remove" and inside:
        tx.record(MemberRemoved(project=project, group=change.group, person=change.person))
    return get_change(tx, project, change_id)


def withdraw_change(tx: Tx, project: str, change_id: str) -> Change:
    """Withdraw a change that waits; whoever may ask or confirm may. Raises: NotFound, Refused."""
    change = get_change(tx, project, change_id, lock=True)
    reasons = why_ended(change, tx.now())
    if reasons:
        raise Refused("This change waits no more.", reasons=reasons)
    tx.record(ChangeWithdrawn(change=change.id, project=project, group=change.group))
    return get_change(tx, project, change_id)


def get_change(reader: Reader, project: str, change_id: str, *, lock: bool = False) -> Change:
    """Get a change of a group's members. Raises: NotFound."""
    c = store.changes
    query = sa.select(c).where(c.c.project == project, c.c.id == change_id)
    row = reader.conn.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise NotFound(f"{project} has no change {change_id!r}.", remedy="`assent group changes` shows them.")
    return Change(*row)


def list_changes(reader: Reader, project: str) -> list[Change]:
    """List the changes that wait for a second person, the oldest first."""
    c = store.changes
    query = sa.select(c).where(c.c.project == project, c.c.state == "open", c.c.expires_at > reader.now())
    return [Change(*row) for row in reader.conn.execute(query.order_by(c.c.id))]


def _require_unguarded(reader: Reader, project: str, group: str) -> None:
    if group in guarded_groups(reader, project):
        text = f"A policy names the group {group}: two people change its members."
        raise Refused(text, reasons=[Reason("two_people", text, remedy="Ask; another person confirms.")])


def _candidate(reader: Reader, project: str, group: str, person: str) -> Account:
    if not has_group(reader, project, group):
        raise NotFound(f"{project} has no group {group!r}.", remedy="`assent group list` lists them.")
    account = store.find_account(reader.conn, person)
    if account is None:
        raise NotFound(f"There is no account {person!r}.", remedy="`assent user list` shows all.")
    if account.kind != "person":
        raise Invalid(f"{account.name} is a service account; only people vote.")
    return account


def _member(reader: Reader, project: str, group: str, person: str) -> Account:
    account = store.find_account(reader.conn, person)
    if account is None or account.id not in members_of(reader, project, group):
        raise NotFound(f"{person} is not a member of {group}.")
    return account
