"""Groups that a policy names: their members change by two people."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from assent.kernel.errors import Reason
from assent.kernel.events import Event

CHANGE_LIFE = timedelta(days=7)
Verb = Literal["add", "remove"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupGuarded(Event):
    """A policy named a group: from now on two people change its members."""

    TYPE: ClassVar[str] = "identity.group.guarded"
    project: str
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeAsked(Event):
    """Somebody asked to add a person to a guarded group, or to remove them; another must confirm."""

    TYPE: ClassVar[str] = "identity.change.asked"
    change: str
    project: str
    group: str
    person: str
    verb: Verb
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeConfirmed(Event):
    """A second person confirmed a change of a group's members."""

    TYPE: ClassVar[str] = "identity.change.confirmed"
    change: str
    project: str
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWithdrawn(Event):
    """A change of a group's members was withdrawn, by whoever asked or by whoever could have confirmed."""

    TYPE: ClassVar[str] = "identity.change.withdrawn"
    change: str
    project: str
    group: str


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a group's members, and how it stands: open, confirmed, withdrawn."""

    id: str
    project: str
    group: str
    person: str
    verb: Verb
    state: str
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    ended_by: str | None
    ended_at: datetime | None


def why_not_confirm(change: Change, by: str, kind: str, now: datetime) -> list[Reason]:
    """Give every reason why this one may not confirm the change now."""
    reasons = []
    if kind != "person":
        reasons.append(Reason("person", "Only people confirm.", remedy="Ask a person who may confirm."))
    if by == change.asked_by:
        reasons.append(
            Reason("second_person", "You asked for this yourself.", remedy="Another person confirms it.")
        )
    return [*reasons, *why_ended(change, now)]


def why_ended(change: Change, now: datetime) -> list[Reason]:
    """Give the reason why the change can neither be confirmed nor withdrawn any more."""
    if change.state != "open":
        return [Reason("state", f"The change was {change.state} already.")]
    if change.expires_at <= now:
        return [Reason("expired", "The change has expired unconfirmed.", remedy="Ask for it again.")]
    return []


def newly_named(groups: Collection[str], guarded: Collection[str]) -> list[str]:
    """Give the groups that are not guarded yet, in order."""
    return sorted(set(groups) - set(guarded))
