"""Alerts of a project: what is watched, what fires, and the forms that change it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from assent.console.timeline import Names
from assent.console.visit import PageRoute, Visit, see_other, visits
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.errors import AssentError, Invalid
from assent.kernel.tx import Tx
from assent.monitoring import service as monitoring
from assent.monitoring.domain.alerts import METRICS, Kind
from assent.web.forms import Form, posted_form

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/alerts")
Seen = Annotated[Visit, visits(Permission.MONITORING_READ)]
Changing = Annotated[Visit, visits(Permission.ALERT_CHANGE)]
Silencing = Annotated[Visit, visits(Permission.ALERT_SILENCE)]
Posted = Annotated[Form, Depends(posted_form)]

KINDS = {
    Kind.THRESHOLD: "A figure is above a limit",
    Kind.BURN: "A budget is used up too fast",
    Kind.NO_TRAFFIC: "No traffic at all",
    Kind.LAGGING: "A snapshot is stale, or a replica lags behind",
    Kind.DROPPED: "Observations were lost",
    Kind.DRIFT: "Inputs, outputs or latency drift",
    Kind.SUITE: "What is live fails a suite",
    Kind.REGRESSION: "What is live has become worse",
    Kind.JUDGE: "A judge of live calls cannot be relied on",
}
FIELDS = ("name", "environment", "route", "kind", "metric", "above", "budget", "factor", "window_s", "min_n")
LENGTHS = {"1800": "30 minutes", "7200": "2 hours", "86400": "1 day", "604800": "7 days"}


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An alert, in words."""

    name: str
    state: str
    environment: str
    watched: str
    kind: str
    condition: Sequence[tuple[str, str]]
    says: str
    checked_at: datetime | None
    fired_at: datetime | None
    resolved_at: datetime | None
    silenced_until: datetime | None
    silence: str
    address: str


def _row(found: Mapping[str, Any], project: str, who: str) -> AlertRow:
    condition = found["condition"]
    told = [(key.replace("_", " "), str(value)) for key, value in condition.items() if key != "kind"]
    why = f"{who}: “{found['silence_reason'] or ''}”" if found["silenced_until"] else ""
    return AlertRow(
        name=found["name"],
        state=found["state"],
        environment=found["environment"],
        watched=found["route"] or "all names",
        kind=KINDS[Kind(condition["kind"])],
        condition=told,
        says=found["says"] or "not looked at yet",
        checked_at=found["checked_at"],
        fired_at=found["fired_at"] if found["firing"] else None,
        resolved_at=None if found["firing"] else found["resolved_at"],
        silenced_until=found["silenced_until"],
        silence=why,
        address=f"/projects/{project}/alerts/{found['name']}",
    )


def _show(visit: Visit, error: AssentError | None = None, form: Form | None = None) -> Response:
    with visit.read() as reader:
        names = Names(reader)
        alerts = monitoring.alerts.list_(reader, visit.project)
        rows = [
            _row(
                monitoring.alerts.document(reader, one),
                visit.project,
                names.of(one.silenced_by) if one.silenced_by else "",
            )
            for one in alerts
        ]
        environments = [one.name for one in identity.list_environments(reader, visit.project)]
    order = {"firing": 0, "pending": 1, "unknown": 2, "silenced": 3, "quiet": 4}
    return visit.page(
        "alerts/page.html",
        status=error.status if error else 200,
        errors=(error.reasons or (error,)) if error else (),
        rows=sorted(rows, key=lambda row: order[row.state]),
        environments=environments,
        kinds=[(kind.value, words) for kind, words in KINDS.items()],
        metrics=METRICS,
        lengths=LENGTHS,
        typed={name: form.text(name) if form else "" for name in FIELDS},
        may_change=Permission.ALERT_CHANGE in visit.allowed,
        may_silence=Permission.ALERT_SILENCE in visit.allowed,
    )


@router.get("")
def show(visit: Seen) -> Response:
    """Show the alerts."""
    return _show(visit)


@router.post("")
def set_alert(visit: Changing, form: Posted) -> Response:
    """Add an alert, or change the one of this name."""

    def act(tx: Tx) -> object:
        condition: dict[str, Any] = {
            name: text
            for name in ("kind", "metric", "above", "budget", "factor")
            if (text := form.text(name))
        }
        condition |= {name: _whole(form, name) for name in ("window_s", "min_n") if form.text(name)}
        new = monitoring.alerts.NewAlert(
            form.text("name", limit=63),
            form.text("environment", limit=63),
            condition,
            form.text("route") or None,
        )
        return monitoring.alerts.set_(tx, visit.project, new)

    return _do(visit, act, form)


def _whole(form: Form, name: str) -> int | str:
    text = form.text(name, limit=20)
    return int(text) if text.isdecimal() else text


@router.post("/{name}/removal")
def remove(visit: Changing, name: str, _form: Posted) -> Response:
    """Remove an alert."""
    return _do(visit, lambda tx: monitoring.alerts.remove(tx, visit.project, name))


@router.post("/{name}/silence")
def silence(visit: Silencing, name: str, form: Posted) -> Response:
    """Have it tell nothing for a while."""

    def act(tx: Tx) -> object:
        length = form.text("length", limit=20)
        if length not in LENGTHS:
            raise Invalid("Say for how long it is silent.", remedy="Choose one of the lengths.")
        until = tx.now() + timedelta(seconds=int(length))
        return monitoring.alerts.silence(tx, visit.project, name, until, form.text("reason"))

    return _do(visit, act)


@router.post("/{name}/unsilence")
def unsilence(visit: Silencing, name: str, _form: Posted) -> Response:
    """End its silence."""
    return _do(visit, lambda tx: monitoring.alerts.unsilence(tx, visit.project, name))


def _do(visit: Visit, act: Callable[[Tx], object], form: Form | None = None) -> Response:
    try:
        with visit.begin() as tx:
            act(tx)
    except AssentError as error:
        return _show(visit, error, form)
    return see_other(f"/projects/{visit.project}/alerts")
