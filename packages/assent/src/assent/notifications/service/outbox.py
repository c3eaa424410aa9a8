"""The outbox: leaves become deliveries, deliveries are tried until they arrive or are given up.

A leaf and a subscription make one row, in the transaction that moves the cursor, so none is missed or doubled
whatever dies in between. A delivery that was sent, but not settled, is sent again under the same id.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from assent.kernel.clock import to_text
from assent.kernel.errors import Conflict, Invalid, NotFound
from assent.kernel.ids import new_id
from assent.kernel.runtime import Runtime
from assent.kernel.tx import Reader, Tx
from assent.ledger import service as ledger
from assent.ledger.domain import Leaf
from assent.notifications import store
from assent.notifications.domain import messages, retries
from assent.notifications.domain.messages import Heard
from assent.notifications.domain.retries import Outcome
from assent.notifications.domain.subscriptions import (
    Channel,
    State,
    Subscription,
    SubscriptionDisabled,
    expect_state,
)
from assent.notifications.service import subscriptions
from assent.notifications.service.mailing import mail
from assent.notifications.service.outside import Outside, outside_of, post
from assent.notifications.service.subscriptions import Courier
from assent.notifications.store import Delivery
from assent_client.verify.webhook import sign

BATCH = 500
MAX_RECEIVERS = 16
MAX_AT_ONCE = 50
LEASE_S = 30.0
"""How long a receiver is held without a sign; each delivery that was settled renews it."""

MAX_PAGE = 200
STATES = ("pending", "delivered", "dead")
_CHANCES = 1_000_000


def is_behind(reader: Reader) -> bool:
    """Tell whether there are leaves that the outbox has not seen."""
    at = store.next_leaf(reader)
    return at is not None and at < ledger.head(reader).size


def tail(tx: Tx) -> int:
    """Queue what the next leaves have for subscriptions, and move the cursor; gives how many were read."""
    start = store.next_leaf(tx, lock=True)
    if start is None:
        return 0
    leaves = ledger.leaves(tx, start, BATCH)
    listening = store.list_listening(tx, start)
    now = tx.now()
    rows = [
        _queued(leaf, subscription, now)
        for leaf in leaves
        for subscription, first, until in listening
        if subscription.project == leaf.project
        and first <= leaf.index
        and (until is None or leaf.index < until)
        and subscription.hears(leaf.type)
    ]
    if rows:
        store.queue(tx, rows)
    if leaves:
        store.set_cursor(tx, leaves[-1].index + 1)
    return len(leaves)


def _queued(leaf: Leaf, subscription: Subscription, now: datetime) -> dict[str, Any]:
    return {
        "id": new_id("msg"),
        "subscription": subscription.id,
        "project": subscription.project,
        "leaf": leaf.index,
        "event": leaf.event_id,
        "type": leaf.type,
        "state": "pending",
        "n_tries": 0,
        "due_at": now,
        "queued_at": now,
        "attempts": [],
    }


def any_ready(reader: Reader) -> bool:
    """Tell whether anything can be delivered now."""
    return store.any_ready(reader)


def lease(tx: Tx) -> tuple[str, list[str]]:
    """Take receivers for a while: nobody else delivers to them; gives the lease and the subscriptions."""
    lease_id = new_id("lse")
    until = tx.now() + timedelta(seconds=LEASE_S)
    return lease_id, store.lease(tx, lease_id, until, MAX_RECEIVERS)


def due(
    reader: Reader, key: bytes, lease_id: str, subscription: str
) -> tuple[Courier, list[tuple[Delivery, Heard]]] | None:
    """Give what is due for a subscription, in the order of leaves, and what to deliver it with.

    None where it was removed or stopped meanwhile, or the lease is over. Raises: Unavailable.
    """
    found, receiver = store.find_by_id(reader, subscription), store.find_receiver(reader, subscription)
    if found is None or found.state != State.ENABLED or not _is_held(receiver, lease_id, reader.now()):
        return None
    waiting = store.list_due(reader, subscription, MAX_AT_ONCE)
    return subscriptions.courier(reader, key, found), [(one, heard(reader, one.leaf)) for one in waiting]


def _is_held(receiver: Any, lease_id: str, now: datetime) -> bool:
    return receiver is not None and receiver.lease == lease_id and receiver.lease_until > now


def heard(reader: Reader, index: int) -> Heard:
    """Read what a leaf tells."""
    leaf = ledger.leaf_at(reader, index)
    said = json.loads(leaf.entry)
    return Heard(leaf.type, to_text(leaf.at), leaf.project or "", index, leaf.event_id, said["data"])


def send(outside: Outside, courier: Courier, id_: str, heard: Heard) -> Outcome:
    """Send a message once, by the subscription's channel; whatever goes wrong is an outcome."""
    base_url = outside.settings.base_url
    channel = courier.subscription.channel
    if channel == Channel.EMAIL:
        return mail(outside, courier.addresses, id_, *messages.email(heard, base_url))
    told = messages.slack(heard, base_url) if channel == Channel.SLACK else messages.body(heard, base_url)
    content = json.dumps(told, separators=(",", ":")).encode()
    headers = {"content-type": "application/json", "user-agent": "Assent"}
    if channel == Channel.WEBHOOK:
        at = int(outside.clock.now().timestamp())
        headers |= {
            "webhook-id": id_,
            "webhook-timestamp": str(at),
            "webhook-signature": sign(courier.secrets, id_, at, content),
        }
    return post(outside, courier.url, content, headers)


def send_test(runtime: Runtime, project: str, name: str) -> tuple[str, Outcome]:
    """Send a test now, once, outside of any transaction; gives its id and how it ended.

    A subscription that is paused or disabled is tested too. Raises: NotFound, Unavailable.
    """
    outside = outside_of(runtime)
    with runtime.session.read() as reader:
        found = subscriptions.get(reader, project, name)
        courier = subscriptions.courier(reader, outside.secret, found)
    id_ = new_id("msg")
    return id_, send(outside, courier, id_, messages.ping(project, name, to_text(runtime.clock.now())))


def settle(tx: Tx, lease_id: str, delivery: Delivery, outcome: Outcome) -> bool:
    """Keep how an attempt ended. Gives whether the next delivery of this lease may follow.

    Records that a subscription is disabled where its receiver failed for days, or said that it is gone.
    """
    now = tx.now()
    found = store.find_by_id(tx, delivery.subscription, lock=True)
    receiver = store.find_receiver(tx, delivery.subscription, lock=True)
    if found is None or receiver is None:
        return False
    tried = _tried(delivery, outcome, now)
    because = None
    if outcome.ok:
        tried |= {"state": "delivered", "ended_at": now}
        state: dict[str, Any] = {"n_failures": 0, "failing_since": None, "retry_at": None}
    else:
        n_failures, since = receiver.n_failures + 1, receiver.failing_since or now
        chance = secrets.randbelow(_CHANCES) / _CHANCES
        rest = retries.rest(outcome, tried["n_tries"], n_failures, now, chance)
        tried |= {"state": "dead", "ended_at": now} if rest.due_at is None else {"due_at": rest.due_at}
        state = {"n_failures": n_failures, "failing_since": since, "retry_at": rest.receiver_at}
        because = retries.is_hopeless(outcome, since, now)
    store.set_delivery(tx, delivery.id, **tried)
    store.set_receiver(tx, delivery.subscription, **state)
    is_on, is_held = found.state == State.ENABLED, _is_held(receiver, lease_id, now)
    if is_held:
        store.set_receiver(tx, found.id, lease_until=now + timedelta(seconds=LEASE_S))
    if because is not None and is_on:
        _disable(tx, found, because)
    return is_held and is_on and because is None and not outcome.is_down


def _tried(delivery: Delivery, outcome: Outcome, now: datetime) -> dict[str, Any]:
    attempt = {
        "at": to_text(now),
        "status": outcome.status,
        "error": outcome.error,
        "duration_ms": round(outcome.duration_s * 1000),
    }
    return {
        "n_tries": delivery.n_tries + 1,
        "status": outcome.status,
        "error": outcome.error,
        "attempts": [*delivery.attempts, attempt][-retries.KEEP_ATTEMPTS :],
    }


def _disable(tx: Tx, found: Subscription, because: str) -> None:
    store.set_receiver(tx, found.id, until_leaf=ledger.head(tx).size)
    tx.record(
        SubscriptionDisabled(subscription=found.id, project=found.project, name=found.name, because=because)
    )


def release(tx: Tx, lease_id: str, subscription: str) -> None:
    """Give a receiver back, where it is still held."""
    receiver = store.find_receiver(tx, subscription, lock=True)
    if receiver is not None and receiver.lease == lease_id:
        store.set_receiver(tx, subscription, lease=None, lease_until=tx.now())


def get_delivery(reader: Reader, project: str, id_: str) -> Delivery:
    """Get a delivery. Raises: NotFound."""
    found = store.find_delivery(reader, project, id_)
    if found is None:
        raise NotFound(
            f"{project} has no delivery {id_!r}; delivered ones are kept {retries.KEEP_DELIVERED.days} days."
        )
    return found


@dataclass(frozen=True, slots=True)
class Standing:
    """How a receiver does: failures in a row, since when, and until when it is left alone."""

    n_failures: int
    failing_since: datetime | None
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class Asked:
    """Which deliveries to list, the newest first; `before` is the id that ended the page before."""

    name: str | None = None
    state: str | None = None
    before: str | None = None
    limit: int = 50


def list_deliveries(reader: Reader, project: str, asked: Asked) -> tuple[Sequence[Delivery], str | None]:
    """List a page of deliveries, and the `before` of the next. Raises: Invalid, NotFound (subscription)."""
    if asked.state is not None and asked.state not in STATES:
        raise Invalid(f"No delivery is {asked.state!r}.", remedy=f"One of {', '.join(STATES)}.")
    if not 1 <= asked.limit <= MAX_PAGE:
        raise Invalid(f"A page has 1 to {MAX_PAGE} deliveries, not {asked.limit}.")
    id_ = None if asked.name is None else subscriptions.get(reader, project, asked.name).id
    found = store.list_deliveries(reader, project, id_, asked.state, asked.before, asked.limit)
    return found, found[-1].id if len(found) == asked.limit else None


def standing(reader: Reader, subscription: Subscription) -> Standing:
    """Say how the receiver of a subscription does."""
    row = store.find_receiver(reader, subscription.id)
    return Standing(row.n_failures, row.failing_since, row.retry_at)


def counts(reader: Reader, project: str) -> dict[str, dict[str, int]]:
    """Count the deliveries of each subscription, by its id and by state."""
    return store.count_deliveries(reader, project)


def redeliver(tx: Tx, project: str, name: str, delivery: str | None) -> int:
    """Have one delivery, whatever became of it, or all dead ones (None) sent again; gives how many.

    Raises: NotFound, Conflict (the subscription is stopped).
    """
    found = subscriptions.get(tx, project, name)
    expect_state(found, State.ENABLED)
    if delivery is None:
        return store.requeue_dead(tx, found.id, tx.now())
    one = get_delivery(tx, project, delivery)
    if one.subscription != found.id:
        raise NotFound(f"{name} has no delivery {delivery!r}.")
    if one.state == "pending" and one.due_at <= tx.now():
        raise Conflict(f"{delivery} is about to be sent.")
    store.set_delivery(tx, one.id, state="pending", n_tries=0, due_at=tx.now(), ended_at=None)
    return 1


def any_old(reader: Reader) -> bool:
    """Tell whether there is anything to prune."""
    now = reader.now()
    return store.any_old(reader, now - retries.KEEP_DELIVERED, now - retries.KEEP_DEAD)


def prune(tx: Tx) -> int:
    """Delete deliveries that arrived a week ago or were given up a month ago, and secrets that ended."""
    now = tx.now()
    return store.prune(tx, now - retries.KEEP_DELIVERED, now - retries.KEEP_DEAD)
