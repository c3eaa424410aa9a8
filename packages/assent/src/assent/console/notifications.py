"""Notifications of a project: who is told of which events, what became of it, and what is done about it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from assent.console.visit import PageRoute, Visit, see_other, visits
from assent.identity.domain import Permission
from assent.kernel.addresses import MAX_URL
from assent.kernel.errors import AssentError, Invalid
from assent.kernel.tx import Reader, Tx
from assent.notifications import service as notifications
from assent.notifications.domain.retries import Outcome
from assent.notifications.domain.subscriptions import (
    DEFAULT,
    DEFAULT_KINDS,
    MAX_ADDRESS,
    MAX_ADDRESSES,
    Channel,
    State,
    Subscription,
    shortened,
)
from assent.web.forms import Form, posted_form

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/notifications")
PER_PAGE = 25
MAX_TARGET = max(MAX_URL, MAX_ADDRESSES * (MAX_ADDRESS + 2))
CHANNELS = {Channel.WEBHOOK: "Signed webhook", Channel.SLACK: "Slack or the like", Channel.EMAIL: "E-mail"}
Seen = Annotated[Visit, visits(Permission.SUBSCRIPTION_READ)]
Changing = Annotated[Visit, visits(Permission.SUBSCRIPTION_CHANGE)]
Repeating = Annotated[Visit, visits(Permission.DELIVERY_REPEAT)]
Posted = Annotated[Form, Depends(posted_form)]


@dataclass(frozen=True, slots=True)
class Row:
    """A subscription, what waits and what was given up; `actions` are paths with their words."""

    found: Subscription
    n_pending: int
    n_dead: int
    standing: notifications.Standing
    actions: Sequence[tuple[str, str]]
    dead_address: str
    change_address: str

    @property
    def kinds(self) -> Sequence[str]:
        """The kinds as people write them."""
        return shortened(self.found.kinds)


@dataclass(frozen=True, slots=True)
class Sent:
    """A delivery; `again` is where it is sent again, or nothing."""

    id: str
    name: str
    type: str
    leaf: int
    leaf_address: str
    state: str
    n_tries: int
    status: int | None
    error: str
    at: datetime
    due_at: datetime | None
    again: str


@dataclass(frozen=True, slots=True)
class Tested:
    """How a test ended."""

    name: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed into a form; `changes` is the subscription that it changes, empty for a new one."""

    name: str = ""
    kinds: str = DEFAULT
    channel: str = Channel.WEBHOOK.value
    target: str = ""
    changes: str = ""


@dataclass(frozen=True, slots=True)
class Added:
    """A subscription that was just added, with the signing secret that is shown this once."""

    name: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationsView:
    """What the page shows; `asked` is the subscription and the state that deliveries are listed of."""

    project: str
    rows: Sequence[Row]
    sent: Sequence[Sent]
    asked: tuple[str, str]
    states: Sequence[str]
    older: str
    tested: Tested | None
    added: Added | None
    may_change: bool
    typed: Typed
    default_kinds: Sequence[str] = DEFAULT_KINDS
    channels: Sequence[tuple[str, str]] = tuple((one.value, word) for one, word in CHANNELS.items())


def _actions(visit: Visit, found: Subscription) -> list[tuple[str, str]]:
    place = f"/projects/{visit.project}/notifications/{found.name}"
    if Permission.SUBSCRIPTION_CHANGE not in visit.allowed:
        return []
    stop = (
        ("Pause", f"{place}/pauses") if found.state == State.ENABLED else ("Resume", f"{place}/resumptions")
    )
    return [("Send a test", f"{place}/tests"), stop]


def _rows(visit: Visit, reader: Reader, found: Sequence[Subscription]) -> list[Row]:
    counts = notifications.counts(reader, visit.project)
    rows = []
    for one in found:
        n_dead = counts.get(one.id, {}).get("dead", 0)
        may = Permission.DELIVERY_REPEAT in visit.allowed and n_dead and one.state == State.ENABLED
        again = f"/projects/{visit.project}/notifications/{one.name}/redeliveries" if may else ""
        standing = notifications.standing(reader, one)
        n_pending = counts.get(one.id, {}).get("pending", 0)
        change = f"/projects/{visit.project}/notifications/{one.name}/changes"
        change = change if Permission.SUBSCRIPTION_CHANGE in visit.allowed else ""
        rows.append(Row(one, n_pending, n_dead, standing, _actions(visit, one), again, change))
    return rows


def _sent(visit: Visit, one: notifications.Delivery, found: Subscription | None) -> Sent:
    """Show a delivery; `found` is its subscription, None where it is removed at this moment."""
    may = Permission.DELIVERY_REPEAT in visit.allowed and one.state != "pending"
    may = may and found is not None and found.state == State.ENABLED
    name = found.name if found else ""
    return Sent(
        id=one.id,
        name=name,
        type=one.type,
        leaf=one.leaf,
        leaf_address=f"/projects/{visit.project}/ledger?before={one.leaf + 1}",
        state=one.state,
        n_tries=one.n_tries,
        status=one.status,
        error=one.error or "",
        at=one.queued_at,
        due_at=one.due_at if one.state == "pending" and one.n_tries else None,
        again=f"/projects/{visit.project}/notifications/{name}/redeliveries" if may else "",
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page is asked for beside the subscriptions."""

    name: str = ""
    state: str = ""
    before: str = ""
    tested: Tested | None = None
    added: Added | None = None
    typed: Typed = Typed()


def _show(visit: Visit, shown: Shown, error: AssentError | None = None) -> Response:
    asked = notifications.Asked(shown.name or None, shown.state or None, shown.before or None, PER_PAGE)
    here = f"/projects/{visit.project}/notifications"
    with visit.read() as reader:
        found = notifications.list_(reader, visit.project)
        page, before = notifications.list_deliveries(reader, visit.project, asked)
        by_id = {one.id: one for one in found}
        words = {"name": shown.name, "state": shown.state, "before": before or ""}
        view = NotificationsView(
            project=visit.project,
            rows=_rows(visit, reader, found),
            sent=[_sent(visit, one, by_id.get(one.subscription)) for one in page],
            asked=(shown.name, shown.state),
            states=notifications.STATES,
            older=f"{here}?{urlencode(words)}" if before else "",
            tested=shown.tested,
            added=shown.added,
            may_change=Permission.SUBSCRIPTION_CHANGE in visit.allowed,
            typed=shown.typed,
        )
    errors: Sequence[Any] = () if error is None else error.reasons or (error,)
    status = 200 if error is None else error.status
    return visit.page("notifications/page.html", status=status, view=view, errors=errors)


@router.get("")
def show(
    visit: Seen,
    name: Annotated[str, Query(max_length=63)] = "",
    state: Annotated[str, Query(max_length=20)] = "",
    before: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Show the subscriptions and what was sent, the newest first."""
    return _show(visit, Shown(name, state, before))


@router.post("")
def add(visit: Changing, form: Posted) -> Response:
    """Add a subscription; shows the signing secret of a webhook, this once."""
    typed = Typed(form.text("name"), form.text("kinds"), form.text("channel"), form.text("target"))
    outside = notifications.outside_of(visit.runtime)
    try:
        target = _judged(outside, _channel(typed.channel), form)
        with visit.begin() as tx:
            added, secret = notifications.add(
                tx, outside.secret, visit.project, typed.name, _split(typed.kinds), target
            )
    except AssentError as error:
        return _show(visit, Shown(typed=typed), error)
    if secret is None:
        return see_other(f"/projects/{visit.project}/notifications")
    return _show(visit, Shown(added=Added(added.name, secret)))


@router.post("/{name}/changes")
def change(visit: Changing, name: str, form: Posted) -> Response:
    """Have a subscription hear of other kinds, or, where a target is given, lead elsewhere."""
    typed = Typed(kinds=form.text("kinds"), target=form.text("target"), changes=name)
    outside = notifications.outside_of(visit.runtime)
    with visit.read() as reader:
        channel = notifications.get(reader, visit.project, name).channel
    try:
        target = _judged(outside, channel, form) if typed.target else None
        with visit.begin() as tx:
            notifications.change(tx, outside.secret, visit.project, name, _split(typed.kinds), target)
    except AssentError as error:
        return _show(visit, Shown(typed=typed), error)
    return see_other(f"/projects/{visit.project}/notifications")


def _channel(text: str) -> Channel:
    known = {one.value: one for one in Channel}
    if text not in known:
        raise Invalid("No channel is chosen.", remedy=f"Choose one: {', '.join(known)}.")
    return known[text]


def _judged(outside: notifications.Outside, channel: Channel, form: Form) -> notifications.Target:
    text = form.text("target", limit=MAX_TARGET)
    is_mail = channel == Channel.EMAIL
    return notifications.judge_target(
        outside, channel, None if is_mail else text, _split(text) if is_mail else ()
    )


def _split(text: str) -> list[str]:
    return [one for one in re.split(r"[\s,;]+", text) if one]


@router.post("/{name}/tests")
def test(visit: Changing, name: str, form: Posted) -> Response:
    """Send a test now and show the answer."""
    del form
    _, outcome = notifications.send_test(visit.runtime, visit.project, name)
    return _show(visit, Shown(tested=Tested(name, outcome)))


@router.post("/{name}/pauses")
def pause(visit: Changing, name: str, form: Posted) -> Response:
    """Tell nothing until it is resumed."""
    del form
    return _do(visit, lambda tx: notifications.pause(tx, visit.project, name))


@router.post("/{name}/resumptions")
def resume(visit: Changing, name: str, form: Posted) -> Response:
    """Tell what happens from now on."""
    del form
    return _do(visit, lambda tx: notifications.resume(tx, visit.project, name))


@router.post("/{name}/redeliveries")
def redeliver(visit: Repeating, name: str, form: Posted) -> Response:
    """Send one delivery again, or, where none is named, all that were given up."""
    delivery = form.text("delivery") or None
    return _do(visit, lambda tx: notifications.redeliver(tx, visit.project, name, delivery))


def _do(visit: Visit, action: Callable[[Tx], object]) -> Response:
    try:
        with visit.begin() as tx:
            action(tx)
    except AssentError as error:
        return _show(visit, Shown(), error)
    return see_other(f"/projects/{visit.project}/notifications")
