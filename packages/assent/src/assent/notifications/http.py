"""Routes of subscriptions and their deliveries."""

from __future__ import annotations

from typing import Annotated, Any

import pydantic
from fastapi import APIRouter
from fastapi import Query as Parameters

from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.tx import Reader
from assent.notifications import service
from assent.notifications.domain.retries import Outcome
from assent.notifications.domain.subscriptions import Channel, Subscription, shortened
from assent.notifications.service import Delivery
from assent.web.api import Call, ProjectPath, page, requires

router = APIRouter(prefix="/v1/projects/{project}", tags=["notifications"])

Reading = Annotated[Call, requires(Permission.SUBSCRIPTION_READ)]
Changing = Annotated[Call, requires(Permission.SUBSCRIPTION_CHANGE)]
Repeating = Annotated[Call, requires(Permission.DELIVERY_REPEAT)]

Kinds = Annotated[list[str], pydantic.Field(min_length=1, max_length=200)]
Addresses = Annotated[list[str], pydantic.Field(max_length=100)]
Url = Annotated[str, pydantic.Field(max_length=2048)]


class Wire(pydantic.BaseModel):
    """Bodies are strict: unknown fields are errors."""

    model_config = pydantic.ConfigDict(extra="forbid")


class SubscriptionWire(Wire):
    """What a project wants to hear, and where. `kinds`: types of events, `prefix.*`, or `default`."""

    name: str
    kinds: Kinds
    channel: Channel
    url: Url | None = None
    addresses: Addresses = []


class ChangeWire(Wire):
    """What changes; what is left out stays."""

    kinds: Kinds | None = None
    url: Url | None = None
    addresses: Addresses | None = None


class RotationWire(Wire):
    """For how long the secret before signs beside the new one."""

    overlap_hours: int = 24


class RedeliveryWire(Wire):
    """Which delivery is sent again; null: all that were given up."""

    delivery: str | None = None


class Filters(Wire):
    """Which deliveries to list; `state` is pending, delivered or dead."""

    subscription: str | None = None
    state: str | None = None
    cursor: str | None = pydantic.Field(None, max_length=64)
    limit: int = pydantic.Field(50, ge=1, le=200)


@router.get("/subscriptions")
def list_subscriptions(project: ProjectPath, call: Reading) -> dict[str, Any]:
    """List the subscriptions of the project by name."""
    with call.read() as reader:
        counts = service.counts(reader, project)
        return page([_subscription(reader, one, counts) for one in service.list_(reader, project)], None)


@router.post("/subscriptions", status_code=201)
def add_subscription(project: ProjectPath, body: SubscriptionWire, call: Changing) -> dict[str, Any]:
    """Add a subscription; the answer holds the signing secret of a webhook, this once."""
    outside = service.outside_of(call.runtime)
    target = service.judge_target(outside, body.channel, body.url, body.addresses)
    with call.begin() as tx:
        added, secret = service.add(tx, outside.secret, project, body.name, body.kinds, target)
        return {**_subscription(tx, added, {}), "secret": secret}


@router.get("/subscriptions/{name}")
def get_subscription(project: ProjectPath, name: str, call: Reading) -> dict[str, Any]:
    """Show a subscription."""
    with call.read() as reader:
        return _shown(reader, service.get(reader, project, name))


@router.patch("/subscriptions/{name}")
def change_subscription(project: ProjectPath, name: str, body: ChangeWire, call: Changing) -> dict[str, Any]:
    """Have a subscription hear of other kinds, or lead elsewhere."""
    outside = service.outside_of(call.runtime)
    target = None
    if body.url is not None or body.addresses is not None:
        with call.read() as reader:
            channel = service.get(reader, project, name).channel
        target = service.judge_target(outside, channel, body.url, body.addresses or [])
    with call.begin() as tx:
        return _shown(tx, service.change(tx, outside.secret, project, name, body.kinds, target))


@router.post("/subscriptions/{name}/comparisons")
def compare_subscription(project: ProjectPath, name: str, body: ChangeWire, call: Changing) -> dict[str, Any]:
    """Say which of `kinds` and `target` a change would change; nothing is changed, no target is shown."""
    with call.read() as reader:
        found, key = service.get(reader, project, name), call.runtime.signers.secret
        differs = service.differences(reader, key, found, body.kinds, body.url, body.addresses)
    return {"name": name, "differs": differs}


@router.delete("/subscriptions/{name}", status_code=204)
def remove_subscription(project: ProjectPath, name: str, call: Changing) -> None:
    """Remove a subscription; what waits for it is dropped."""
    with call.begin() as tx:
        service.remove(tx, project, name)


@router.post("/subscriptions/{name}/pauses", status_code=201)
def pause(project: ProjectPath, name: str, call: Changing) -> dict[str, Any]:
    """Tell nothing until it is resumed."""
    with call.begin() as tx:
        return _shown(tx, service.pause(tx, project, name))


@router.post("/subscriptions/{name}/resumptions", status_code=201)
def resume(project: ProjectPath, name: str, call: Changing) -> dict[str, Any]:
    """Tell what happens from now on."""
    with call.begin() as tx:
        return _shown(tx, service.resume(tx, project, name))


@router.post("/subscriptions/{name}/rotations", status_code=201)
def rotate(project: ProjectPath, name: str, body: RotationWire, call: Changing) -> dict[str, Any]:
    """Make a new signing secret; the answer holds it, this once."""
    with call.begin() as tx:
        secret, ends_at = service.rotate(tx, call.runtime.signers.secret, project, name, body.overlap_hours)
    return {"name": name, "secret": secret, "old_ends_at": ends_at}


@router.post("/subscriptions/{name}/tests", status_code=201)
def send_test(project: ProjectPath, name: str, call: Changing) -> dict[str, Any]:
    """Send a test now, once, and give what the receiver answered; nothing is queued."""
    id_, outcome = service.send_test(call.runtime, project, name)
    return {"name": name, "id": id_, **_outcome(outcome)}


@router.get("/deliveries")
def list_deliveries(
    project: ProjectPath, call: Reading, filters: Annotated[Filters, Parameters()]
) -> dict[str, Any]:
    """List deliveries, the newest first."""
    asked = service.Asked(filters.subscription, filters.state, filters.cursor, filters.limit)
    with call.read() as reader:
        names = {one.id: one.name for one in service.list_(reader, project)}
        found, before = service.list_deliveries(reader, project, asked)
    return page([_delivery(one, names) for one in found], before)


@router.get("/deliveries/{delivery}")
def get_delivery(project: ProjectPath, delivery: str, call: Reading) -> dict[str, Any]:
    """Show a delivery with its attempts."""
    with call.read() as reader:
        names = {one.id: one.name for one in service.list_(reader, project)}
        return _delivery(service.get_delivery(reader, project, delivery), names)


@router.post("/subscriptions/{name}/redeliveries", status_code=201)
def redeliver(project: ProjectPath, name: str, body: RedeliveryWire, call: Repeating) -> dict[str, Any]:
    """Have one delivery sent again, or all that were given up."""
    with call.begin() as tx:
        return {"name": name, "n_queued": service.redeliver(tx, project, name, body.delivery)}


def _shown(reader: Reader, found: Subscription) -> dict[str, Any]:
    standing = service.standing(reader, found)
    return {
        **_subscription(reader, found, service.counts(reader, found.project)),
        "n_failures": standing.n_failures,
        "failing_since": standing.failing_since,
        "retry_at": standing.retry_at,
    }


def _subscription(reader: Reader, found: Subscription, counts: dict[str, dict[str, int]]) -> dict[str, Any]:
    mine = counts.get(found.id, {})
    return {
        "name": found.name,
        "channel": found.channel,
        "target": found.target,
        "kinds": shortened(found.kinds),
        "state": found.state,
        "because": found.because,
        "added_at": found.added_at,
        "added_by": identity.name_of(reader, found.added_by),
        "changed_at": found.changed_at,
        "n_pending": mine.get("pending", 0),
        "n_delivered": mine.get("delivered", 0),
        "n_dead": mine.get("dead", 0),
    }


def _delivery(one: Delivery, names: dict[str, str]) -> dict[str, Any]:
    return {
        "id": one.id,
        "subscription": names.get(one.subscription),
        "leaf": one.leaf,
        "event": one.event,
        "type": one.type,
        "state": one.state,
        "n_tries": one.n_tries,
        "due_at": one.due_at if one.state == "pending" else None,
        "queued_at": one.queued_at,
        "ended_at": one.ended_at,
        "status": one.status,
        "error": one.error,
        "attempts": one.attempts,
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "ok": outcome.ok,
        "status": outcome.status,
        "error": outcome.error,
        "answer": outcome.answer,
        "duration_s": round(outcome.duration_s, 3),
    }
