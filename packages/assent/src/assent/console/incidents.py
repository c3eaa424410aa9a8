"""Incidents: their clock, what the ledger tells of them, and the forms that carry one to its review."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from assent.console.guards import NAMES
from assent.console.parts import Link, TimelineEntry
from assent.console.refs import rollout_link
from assent.console.timeline import told
from assent.console.visit import PageRoute, Visit, see_other, visits
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.errors import AssentError, Conflict, Invalid
from assent.kernel.tx import Reader, Tx
from assent.monitoring import service as monitoring
from assent.monitoring.service.incidents import SEVERITIES, Action, NewIncident, Review
from assent.web.forms import Form, posted_form
from assent.web.pages import duration

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/incidents")
Seen = Annotated[Visit, visits(Permission.MONITORING_READ)]
Opening = Annotated[Visit, visits(Permission.INCIDENT_OPEN)]
Resolving = Annotated[Visit, visits(Permission.INCIDENT_RESOLVE)]
Posted = Annotated[Form, Depends(posted_form)]
N_SHOWN = 100
CLOCK = {
    "to_acknowledge_s": "Acknowledged after",
    "to_mitigate_s": "Mitigated after",
    "to_resolve_s": "Resolved after",
}
ACTION = re.compile(r"\s*([^:]{1,200}):\s*(\S.*)")


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One line of the list."""

    title: str
    address: str
    state: str
    severity: str
    place: str
    opened_at: datetime
    lasted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentView:
    """What the page of an incident shows."""

    title: str
    address: str
    state: str
    summary: str
    facts: Sequence[tuple[str, Any]]
    clock: Sequence[tuple[str, str]]
    rollout: Link | None
    guards: Sequence[Mapping[str, Any]]
    note: str
    review: Mapping[str, Any] | None
    timeline: Sequence[TimelineEntry]
    steps: Sequence[str]


def title_of(reader: Reader, incident: Any) -> str:
    """Give the words of an incident: a person's, or the guard's name."""
    if incident.guard is None:
        return monitoring.incidents.text_of(reader, incident.title) or "(erased)"
    return f"{NAMES.get(incident.guard, incident.guard)} of {incident.route}"


def _row(reader: Reader, incident: Any) -> IncidentRow:
    clock = monitoring.incidents.clock(incident, reader.now())
    return IncidentRow(
        title=title_of(reader, incident),
        address=f"/projects/{incident.project}/incidents/{incident.id}",
        state=monitoring.incidents.state_of(incident),
        severity=incident.severity or "",
        place=f"{incident.route or 'no name'} in {incident.environment}",
        opened_at=incident.opened_at,
        lasted=duration(clock["open_s"]),
    )


def _list(visit: Visit, error: AssentError | None = None, form: Form | None = None) -> Response:
    fields = ("title", "environment", "name", "severity", "rollout", "alert")
    with visit.read() as reader:
        found, _ = monitoring.incidents.list_(reader, visit.project, limit=N_SHOWN)
        rows = [_row(reader, one) for one in found]
        environments = [one.name for one in identity.list_environments(reader, visit.project)]
        alerts = [one.name for one in monitoring.alerts.list_(reader, visit.project)]
    return visit.page(
        "incidents/list.html",
        status=error.status if error else 200,
        errors=(error.reasons or (error,)) if error else (),
        rows=rows,
        environments=environments,
        alerts=alerts,
        severities=SEVERITIES,
        typed={name: form.text(name) if form else "" for name in fields},
        may_open=Permission.INCIDENT_OPEN in visit.allowed,
    )


@router.get("")
def show_all(visit: Seen) -> Response:
    """List incidents, the newest first."""
    return _list(visit)


@router.post("")
def open_incident(visit: Opening, form: Posted) -> Response:
    """Open an incident by hand."""
    new = NewIncident(
        environment=form.text("environment", limit=63),
        title=form.text("title", limit=1000),
        severity=form.text("severity", limit=40),
        route=form.text("name", limit=200) or None,
        rollout=form.text("rollout", limit=64) or None,
        alert=form.text("alert", limit=63) or None,
    )
    try:
        with visit.begin() as tx:
            opened = monitoring.incidents.open_(tx, visit.project, new)
    except AssentError as error:
        return _list(visit, error, form)
    return see_other(f"/projects/{visit.project}/incidents/{opened.id}")


def _steps(incident: Any) -> list[str]:
    """List what can be done next; notes can always be taken."""
    if incident.resolved_at is not None:
        return ["note", *([] if incident.reviewed_at is not None else ["review"])]
    steps = ["acknowledge"] if incident.acknowledged_at is None else []
    return [*steps, "note", *(["mitigate"] if incident.mitigated_at is None else []), "resolve"]


def build(visit: Visit, reader: Reader, incident: Any) -> IncidentView:
    """Gather what the page shows."""
    clock = monitoring.incidents.clock(incident, reader.now())
    shown = [(word, "not yet" if clock[key] is None else duration(clock[key])) for key, word in CLOCK.items()]
    facts: list[tuple[str, Any]] = [
        ("Environment", incident.environment),
        ("Name", incident.route or "none was named"),
        ("Severity", incident.severity or "a guard's: the rollout was taken back"),
        ("Alert", incident.alert or "none was named"),
    ]
    entries = told(reader, monitoring.incidents.timeline(reader, incident))
    return IncidentView(
        title=title_of(reader, incident),
        address=f"/projects/{visit.project}/incidents/{incident.id}",
        state=monitoring.incidents.state_of(incident),
        summary=incident.summary,
        facts=facts,
        clock=[("Open for", duration(clock["open_s"])), *shown],
        rollout=rollout_link(visit.project, incident.rollout, "its rollout") if incident.rollout else None,
        guards=incident.guards,
        note=monitoring.incidents.text_of(reader, incident.note) or "",
        review=monitoring.incidents.review_of(reader, incident),
        timeline=entries,
        steps=_steps(incident) if Permission.INCIDENT_RESOLVE in visit.allowed else [],
    )


def _show(
    visit: Visit, incident: str, error: AssentError | None = None, form: Form | None = None
) -> Response:
    with visit.read() as reader:
        view = build(visit, reader, monitoring.incidents.get(reader, visit.project, incident))
    typed = {name: form.text(name, limit=30_000) if form else "" for name in ("text", "causes", "actions")}
    return visit.page(
        "incidents/page.html",
        status=error.status if error else 200,
        errors=(error.reasons or (error,)) if error else (),
        view=view,
        typed=typed,
    )


@router.get("/{incident}")
def show(visit: Seen, incident: str) -> Response:
    """Show an incident."""
    return _show(visit, incident)


Step = Callable[[Tx, str, str, Form], object]


def _review(tx: Tx, project: str, incident: str, form: Form) -> object:
    lines = [line for line in form.text("actions", limit=30_000).splitlines() if line.strip()]
    read = [(line, ACTION.match(line)) for line in lines]
    wrong = [line for line, found in read if not found]
    if wrong:
        raise Invalid(f"{wrong[0][:100]!r} names no owner.", remedy="Write OWNER: WHAT, one action a line.")
    actions = [Action(found.group(2).strip(), found.group(1).strip()) for _, found in read if found]
    causes = [line.strip() for line in form.text("causes", limit=30_000).splitlines() if line.strip()]
    return monitoring.incidents.review(
        tx, project, incident, Review(form.text("text", limit=30_000), causes, actions)
    )


STEPS: Mapping[str, Step] = {
    "acknowledge": lambda tx, project, incident, _: monitoring.incidents.acknowledge(tx, project, incident),
    "mitigate": lambda tx, project, incident, _: monitoring.incidents.mitigate(tx, project, incident),
    "note": lambda tx, project, incident, form: monitoring.incidents.note(
        tx, project, incident, form.text("text", limit=30_000)
    ),
    "resolve": lambda tx, project, incident, form: monitoring.incidents.resolve(
        tx, project, incident, form.text("text", limit=30_000)
    ),
    "review": _review,
}


@router.post("/{incident}/{step}")
def act(visit: Resolving, incident: str, step: str, form: Posted) -> Response:
    """Take a step with an incident."""
    try:
        if step not in STEPS:
            raise Conflict(f"Nothing is called {step[:40]!r} here.")
        with visit.begin() as tx:
            STEPS[step](tx, visit.project, incident, form)
    except AssentError as error:
        return _show(visit, incident, error, form)
    return see_other(f"/projects/{visit.project}/incidents/{incident}")
