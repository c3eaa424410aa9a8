"""Subscriptions: add, change, pause, resume, remove, rotate; their targets and secrets are kept sealed."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from assent.identity import service as identity
from assent.kernel.errors import Conflict, Invalid, NotFound
from assent.kernel.ids import new_id
from assent.kernel.sealing import seal, unseal
from assent.kernel.tx import Reader, Tx
from assent.ledger import service as ledger
from assent.notifications import store
from assent.notifications.domain.subscriptions import (
    MAX_OVERLAP_HOURS,
    MAX_SUBSCRIPTIONS,
    Channel,
    SecretRotated,
    State,
    Subscription,
    SubscriptionAdded,
    SubscriptionChanged,
    SubscriptionPaused,
    SubscriptionRemoved,
    SubscriptionResumed,
    checked_addresses,
    checked_kinds,
    expect_state,
    spelt_out,
)
from assent.notifications.service.mailing import expect_mail
from assent.notifications.service.outside import Outside
from assent.web.api import checked_name
from assent_client.verify.webhook import PREFIX

PURPOSE = "notifications"
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Target:
    """Where a subscription leads, judged: a URL, or e-mail addresses. `told` may be shown to anybody."""

    channel: Channel
    url: str
    addresses: tuple[str, ...]
    told: str


@dataclass(frozen=True, slots=True)
class Courier:
    """What a message is delivered with: never shown, never logged."""

    subscription: Subscription
    url: str
    addresses: tuple[str, ...]
    secrets: tuple[str, ...]


def judge_target(outside: Outside, channel: Channel, url: str | None, addresses: Sequence[str]) -> Target:
    """Check where a subscription shall lead, before any transaction: names are resolved. Raises: Invalid."""
    if channel == Channel.EMAIL:
        if url:
            raise Invalid("E-mail goes to addresses, not to a URL.", remedy="Leave the URL out.")
        checked = checked_addresses(addresses)
        expect_mail(outside)
        told = "1 address" if len(checked) == 1 else f"{len(checked)} addresses"
        return Target(channel, "", checked, told)
    if addresses or not url:
        raise Invalid(f"A {channel} subscription leads to one URL.", remedy="Give its URL, and no addresses.")
    return Target(channel, url, (), outside.judge(url))


def add(
    tx: Tx, key: bytes, project: str, name: str, kinds: Sequence[str], target: Target
) -> tuple[Subscription, str | None]:
    """Add a subscription; it hears what happens from now on.

    `key` is the sealing secret. Gives the signing secret too, once: only webhooks have one.
    Raises: Invalid, Conflict, NotFound (project).
    """
    checked_name(name, "subscription")
    identity.get_project(tx, project)
    wanted = checked_kinds(kinds, {type_ for type_, _ in tx.ports.projector.known})
    if store.find(tx, project, name) is not None:
        raise Conflict(f"{project} has a subscription {name!r}.", remedy="Change it, or take another name.")
    if len(store.list_(tx, project)) >= MAX_SUBSCRIPTIONS:
        raise Conflict(f"{project} has {MAX_SUBSCRIPTIONS} subscriptions.", remedy="Remove one first.")
    id_ = new_id("sub")
    leaf = ledger.head(tx).size
    store.start_cursor(tx, leaf)
    store.add_receiver(tx, id_, leaf)
    _keep_target(tx, key, id_, target)
    secret = _new_secret(tx, key, id_, 1) if target.channel == Channel.WEBHOOK else None
    tx.record(
        SubscriptionAdded(
            subscription=id_,
            project=project,
            name=name,
            kinds=wanted,
            channel=target.channel.value,
            target=target.told,
        )
    )
    return get(tx, project, name), secret


def change(
    tx: Tx, key: bytes, project: str, name: str, kinds: Sequence[str] | None, target: Target | None
) -> Subscription:
    """Have it hear of other kinds, or lead elsewhere by the same channel. Raises: Invalid, NotFound."""
    found = _locked(tx, project, name)
    if target is not None and target.channel != found.channel:
        raise Invalid(f"{name} is told by {found.channel}.", remedy="Add another subscription.")
    wanted = (
        found.kinds
        if kinds is None
        else checked_kinds(kinds, {type_ for type_, _ in tx.ports.projector.known})
    )
    if target is not None:
        _keep_target(tx, key, found.id, target)
    tx.record(
        SubscriptionChanged(
            **_place(found), kinds=wanted, target=found.target if target is None else target.told
        )
    )
    return get(tx, project, name)


def differences(
    reader: Reader,
    key: bytes,
    found: Subscription,
    kinds: Sequence[str] | None,
    url: str | None,
    addresses: Sequence[str] | None,
) -> list[str]:
    """Name what a change would change, `kinds` or `target`; neither order nor repetition counts.

    Raises: Unavailable (another key folder).
    """
    held = courier(reader, key, found)
    differs = [] if kinds is None or set(spelt_out(kinds)) == set(found.kinds) else ["kinds"]
    is_elsewhere = url is not None and url != held.url
    if is_elsewhere or (addresses and {one.strip() for one in addresses} != set(held.addresses)):
        differs.append("target")
    return differs


def pause(tx: Tx, project: str, name: str) -> Subscription:
    """Tell nothing: what happens meanwhile never, what is queued later. Raises: Conflict, NotFound."""
    found = _locked(tx, project, name)
    expect_state(found, State.ENABLED)
    store.set_receiver(tx, found.id, until_leaf=ledger.head(tx).size)
    tx.record(SubscriptionPaused(**_place(found)))
    return get(tx, project, name)


def resume(tx: Tx, project: str, name: str) -> Subscription:
    """Tell what happens from now on, and what was queued. Raises: Conflict, NotFound."""
    found = _locked(tx, project, name)
    expect_state(found, State.PAUSED, State.DISABLED)
    leaf = ledger.head(tx).size
    store.set_receiver(
        tx, found.id, from_leaf=leaf, until_leaf=None, n_failures=0, failing_since=None, retry_at=None
    )
    tx.record(SubscriptionResumed(**_place(found)))
    return get(tx, project, name)


def remove(tx: Tx, project: str, name: str) -> None:
    """Remove a subscription with its secrets and deliveries. Raises: NotFound."""
    found = _locked(tx, project, name)
    tx.record(SubscriptionRemoved(**_place(found)))
    store.forget(tx, found.id)


def rotate(tx: Tx, key: bytes, project: str, name: str, overlap_hours: int) -> tuple[str, datetime]:
    """Give a new signing secret, once, and when the one before ends: both sign until then.

    Raises: Invalid, NotFound.
    """
    found = _locked(tx, project, name)
    if found.channel != Channel.WEBHOOK:
        raise Invalid(f"{name} is told by {found.channel}, which is not signed.")
    if not 0 <= overlap_hours <= MAX_OVERLAP_HOURS:
        raise Invalid(f"Both secrets sign for 0 to {MAX_OVERLAP_HOURS} hours, not {overlap_hours}.")
    number = store.list_sealed(tx, found.id, store.SIGNING)[0][0]
    ends_at = tx.now() + timedelta(hours=overlap_hours)
    store.end_sealed(tx, found.id, number, ends_at)
    secret = _new_secret(tx, key, found.id, number + 1)
    tx.record(SecretRotated(**_place(found), old_ends_at=ends_at))
    return secret, ends_at


def get(reader: Reader, project: str, name: str) -> Subscription:
    """Get a subscription. Raises: NotFound, naming those that exist."""
    return _found(reader, project, name, store.find(reader, project, name))


def list_(reader: Reader, project: str) -> list[Subscription]:
    """List the subscriptions of a project by name."""
    return store.list_(reader, project)


def courier(reader: Reader, key: bytes, subscription: Subscription) -> Courier:
    """Unseal what a subscription's messages are delivered with. Raises: Unavailable (another key folder)."""
    _, sealed = store.list_sealed(reader, subscription.id, store.TARGET)[0]
    target = json.loads(unseal(key, PURPOSE, _owner(subscription.id, store.TARGET, 0), sealed))
    signing = tuple(
        unseal(key, PURPOSE, _owner(subscription.id, store.SIGNING, number), text).decode()
        for number, text in store.list_sealed(reader, subscription.id, store.SIGNING)
    )
    return Courier(subscription, target["url"], tuple(target["addresses"]), signing)


def _locked(tx: Tx, project: str, name: str) -> Subscription:
    return _found(tx, project, name, store.find(tx, project, name, lock=True))


def _found(reader: Reader, project: str, name: str, found: Subscription | None) -> Subscription:
    if found is None:
        known = ", ".join(one.name for one in store.list_(reader, project)) or "none"
        raise NotFound(
            f"{project} has no subscription {name!r}; it has: {known}.",
            remedy=f"Add it: assent hook add {name} --url URL.",
        )
    return found


def _place(found: Subscription) -> dict[str, str]:
    return {"subscription": found.id, "project": found.project, "name": found.name}


def _owner(subscription: str, purpose: str, number: int) -> str:
    return f"{subscription} {purpose} {number}"


def _keep_target(tx: Tx, key: bytes, subscription: str, target: Target) -> None:
    plain = json.dumps({"url": target.url, "addresses": list(target.addresses)}).encode()
    text = seal(key, PURPOSE, _owner(subscription, store.TARGET, 0), plain)
    store.keep_sealed(tx, subscription, store.TARGET, 0, text)


def _new_secret(tx: Tx, key: bytes, subscription: str, number: int) -> str:
    secret = PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    text = seal(key, PURPOSE, _owner(subscription, store.SIGNING, number), secret.encode())
    store.keep_sealed(tx, subscription, store.SIGNING, number, text)
    return secret
