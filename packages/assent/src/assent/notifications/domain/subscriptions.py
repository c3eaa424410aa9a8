"""Subscriptions: what a project wants to be told, and where; what happens to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from assent.kernel.errors import Conflict, Invalid, Reason
from assent.kernel.events import Event

MAX_KINDS = 50
MAX_ADDRESSES = 20
MAX_ADDRESS = 254
MAX_SUBSCRIPTIONS = 100
MAX_OVERLAP_HOURS = 168
DEFAULT = "default"
DEFAULT_KINDS = (
    "retirement.*",  # whoever owns what depends on a version: deprecations, notices, sunsets, provider ends
    "approvals.request.submitted",  # reviewers
    "approvals.break_glass.*",
    "approvals.policy.proposed",
    "cards.card.submitted",
    "identity.change.asked",
    "approvals.decision.made",  # whoever asked
    "approvals.request.expired",
    "monitoring.incident.*",  # on-call
    "monitoring.alert.fired",
    "monitoring.alert.repeated",
    "monitoring.alert.resolved",
    "delivery.rollout.rolled_back",
    "delivery.rollout.aborted",
    "delivery.rollout.paused",
    "delivery.route.killed",
    "notifications.subscription.disabled",
)
"""What `default` stands for: what somebody must act on or waits for."""

_PREFIX = re.compile(r"[a-z]+(\.[a-z_]+)?\.\*\Z|\*\Z")
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\Z"
)


class Channel(StrEnum):
    """How it is told."""

    WEBHOOK = "webhook"
    SLACK = "slack"
    EMAIL = "email"


class State(StrEnum):
    """Whether anything is told: a person pauses and resumes, a long failure disables."""

    ENABLED = "enabled"
    PAUSED = "paused"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionAdded(Event):
    """A project wants to hear of events. `target` is what may be told of where: an origin, or a number."""

    TYPE: ClassVar[str] = "notifications.subscription.added"
    subscription: str
    project: str
    name: str
    kinds: tuple[str, ...]
    channel: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionChanged(Event):
    """A subscription hears of other events, or leads elsewhere."""

    TYPE: ClassVar[str] = "notifications.subscription.changed"
    subscription: str
    project: str
    name: str
    kinds: tuple[str, ...]
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionPaused(Event):
    """Nothing is told until somebody resumes it."""

    TYPE: ClassVar[str] = "notifications.subscription.paused"
    subscription: str
    project: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionResumed(Event):
    """What happens from now on is told again."""

    TYPE: ClassVar[str] = "notifications.subscription.resumed"
    subscription: str
    project: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionDisabled(Event):
    """Assent gave a subscription up. `because`: failing (for days), or gone (the receiver answered 410)."""

    TYPE: ClassVar[str] = "notifications.subscription.disabled"
    subscription: str
    project: str
    name: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRemoved(Event):
    """A subscription is no more; what waited for it is dropped."""

    TYPE: ClassVar[str] = "notifications.subscription.removed"
    subscription: str
    project: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRotated(Event):
    """A subscription signs with a new secret; the one before signs beside it until `old_ends_at`."""

    TYPE: ClassVar[str] = "notifications.secret.rotated"
    subscription: str
    project: str
    name: str
    old_ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A subscription as it stands; `because` says why it is disabled."""

    id: str
    project: str
    name: str
    kinds: tuple[str, ...]
    channel: Channel
    target: str
    state: State
    because: str | None
    added_at: datetime
    added_by: str
    changed_at: datetime

    def hears(self, type_: str) -> bool:
        """Tell whether it wants events of this type."""
        return any(fits(kind, type_) for kind in self.kinds)


def fits(kind: str, type_: str) -> bool:
    """Tell whether a kind, exact or `prefix.*`, names a type."""
    return type_.startswith(kind[:-1]) if kind.endswith("*") else kind == type_


def spelt_out(wanted: Sequence[str]) -> tuple[str, ...]:
    """Give kinds in order, each once, with what `default` stands for."""
    kinds: dict[str, None] = {}
    for one in wanted:
        kinds |= dict.fromkeys(DEFAULT_KINDS if one == DEFAULT else (one,))
    return tuple(kinds)


def shortened(kinds: Sequence[str]) -> tuple[str, ...]:
    """Give kinds as people write them: `default` for what it stands for, where all of that is there."""
    if not frozenset(DEFAULT_KINDS) <= frozenset(kinds):
        return tuple(kinds)
    return (DEFAULT, *(kind for kind in kinds if kind not in DEFAULT_KINDS))


def checked_kinds(wanted: Sequence[str], known: Iterable[str]) -> tuple[str, ...]:
    """Give the kinds in order, `default` spelt out. Raises: Invalid with every mistake."""
    types, kinds = frozenset(known), spelt_out(wanted)
    mistakes = [Reason("kinds", text, remedy) for text, remedy in _kind_mistakes(kinds, types)]
    if mistakes:
        message = " ".join(mistake.message for mistake in mistakes)
        raise Invalid(message, remedy=mistakes[0].remedy, reasons=mistakes)
    return kinds


def _kind_mistakes(kinds: Sequence[str], types: frozenset[str]) -> Iterator[tuple[str, str]]:
    if not kinds:
        yield "No kind of event is named.", "Name kinds, or `default`."
    if len(kinds) > MAX_KINDS:
        yield f"{len(kinds)} kinds are named; {MAX_KINDS} at most.", "Use prefixes: delivery.*."
    for kind in kinds:
        if "*" in kind and not _PREFIX.match(kind):
            yield f"{kind!r} is not a prefix.", "Write slice.*, slice.noun.* or *."
        elif not any(fits(kind, type_) for type_ in types):
            yield f"No event is called {kind!r}.", "docs/events.md lists all."


def checked_addresses(wanted: Sequence[str]) -> tuple[str, ...]:
    """Check e-mail addresses. Raises: Invalid with every mistake."""
    addresses = tuple(dict.fromkeys(one.strip() for one in wanted))
    mistakes = [
        Reason("addresses", f"{one[:MAX_ADDRESS]!r} is not an e-mail address.", "Write name@example.org.")
        for one in addresses
        if not _ADDRESS.match(one) or len(one) > MAX_ADDRESS
    ]
    if not 1 <= len(addresses) <= MAX_ADDRESSES:
        mistakes.append(
            Reason("addresses", f"There are {len(addresses)} addresses, not 1 to {MAX_ADDRESSES}.")
        )
    if mistakes:
        raise Invalid(" ".join(mistake.message for mistake in mistakes), reasons=mistakes)
    return addresses


def expect_state(subscription: Subscription, *states: State) -> None:
    """Refuse what its state does not allow. Raises: Conflict."""
    if subscription.state not in states:
        raise Conflict(
            f"{subscription.name} is {subscription.state}.",
            remedy="`assent hook resume` enables it." if State.ENABLED in states else None,
        )
