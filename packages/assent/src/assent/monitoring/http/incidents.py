"""Routes of incidents."""

import json
from datetime import date
from typing import Annotated, Any

import pydantic
import sqlalchemy as sa
from fastapi import APIRouter, Query

from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.tx import Reader
from assent.ledger.domain import Leaf
from assent.monitoring import service
from assent.web.api import Call, ProjectPath, page, requires

router = APIRouter(tags=["monitoring"])

Reads = Annotated[Call, requires(Permission.MONITORING_READ)]
Opens = Annotated[Call, requires(Permission.INCIDENT_OPEN)]
Short = Annotated[str, pydantic.Field(max_length=200)]
WITH_TEXT = ("monitoring.incident.opened", "monitoring.incident.noted", "monitoring.incident.resolved")
Resolves = Annotated[Call, requires(Permission.INCIDENT_RESOLVE)]
Narrowed = Annotated[str | None, Query(max_length=200)]


class Wire(pydantic.BaseModel):
    """Bodies are strict: unknown fields are errors."""

    model_config = pydantic.ConfigDict(extra="forbid")


class IncidentWire(Wire):
    """What is wrong, and where; `severity` is low, high or critical."""

    environment: Short
    title: Short
    severity: Short = "high"
    name: Short | None = None
    rollout: Short | None = None
    alert: Short | None = None


class IncidentNote(Wire):
    """What ended an incident, or what was seen or done."""

    note: str


class ActionWire(Wire):
    """What is to change, and who sees to it; `due` is a day."""

    what: Annotated[str, pydantic.Field(max_length=2000)]
    owner: Short
    due: date | None = None


class IncidentReview(Wire):
    """What was learned from an incident: what happened, why, what changes."""

    review: str
    causes: Annotated[
        list[Annotated[str, pydantic.Field(max_length=2000)]], pydantic.Field(max_length=50)
    ] = []
    actions: Annotated[list[ActionWire], pydantic.Field(max_length=50)] = []


@router.post("/projects/{project}/incidents", status_code=201)
def open_incident(project: ProjectPath, body: IncidentWire, call: Opens) -> dict[str, Any]:
    """Open an incident by hand."""
    new = service.incidents.NewIncident(
        environment=body.environment, title=body.title, severity=body.severity,
        route=body.name, rollout=body.rollout, alert=body.alert,
    )  # fmt: skip
    with call.begin() as tx:
        return _wire(tx, service.incidents.open_(tx, project, new))


@router.get("/projects/{project}/incidents")
def list_incidents(
    project: ProjectPath,
    call: Reads,
    rollout: Narrowed = None,
    cursor: Narrowed = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """List incidents, newest first."""
    with call.read() as reader:
        found, after = service.incidents.list_(reader, project, rollout=rollout, cursor=cursor, limit=limit)
        return page([_wire(reader, incident) for incident in found], after)


@router.get("/projects/{project}/incidents/{incident}")
def get_incident(project: ProjectPath, incident: str, call: Reads) -> dict[str, Any]:
    """Show an incident with its figures."""
    with call.read() as reader:
        return _wire(reader, service.incidents.get(reader, project, incident))


@router.post("/projects/{project}/incidents/{incident}/acknowledgements", status_code=201)
def acknowledge_incident(project: ProjectPath, incident: str, call: Resolves) -> dict[str, Any]:
    """Say that you are on it."""
    with call.begin() as tx:
        return _wire(tx, service.incidents.acknowledge(tx, project, incident))


@router.post("/projects/{project}/incidents/{incident}/notes", status_code=201)
def note_incident(project: ProjectPath, incident: str, body: IncidentNote, call: Resolves) -> dict[str, Any]:
    """Write down what was seen or done; it stands in the timeline."""
    with call.begin() as tx:
        return _wire(tx, service.incidents.note(tx, project, incident, body.note))


@router.post("/projects/{project}/incidents/{incident}/mitigations", status_code=201)
def mitigate_incident(project: ProjectPath, incident: str, call: Resolves) -> dict[str, Any]:
    """Say that users are harmed no longer."""
    with call.begin() as tx:
        return _wire(tx, service.incidents.mitigate(tx, project, incident))


@router.get("/projects/{project}/incidents/{incident}/timeline")
def incident_timeline(project: ProjectPath, incident: str, call: Reads) -> dict[str, Any]:
    """Show what the ledger holds of an incident, oldest first."""
    with call.read() as reader:
        found = service.incidents.get(reader, project, incident)
        return page([_entry(reader, leaf) for leaf in service.incidents.timeline(reader, found)], None)


@router.post("/projects/{project}/incidents/{incident}/resolutions", status_code=201)
def resolve_incident(
    project: ProjectPath, incident: str, body: IncidentNote, call: Resolves
) -> dict[str, Any]:
    """Say that it is over, and what ended it."""
    with call.begin() as tx:
        return _wire(tx, service.incidents.resolve(tx, project, incident, body.note))


@router.post("/projects/{project}/incidents/{incident}/reviews", status_code=201)
def review_incident(
    project: ProjectPath, incident: str, body: IncidentReview, call: Resolves
) -> dict[str, Any]:
    """Look back on it: what happened, why, what changes."""
    actions = [
        service.incidents.Action(one.what, one.owner, one.due.isoformat() if one.due else None)
        for one in body.actions
    ]
    learned = service.incidents.Review(body.review, body.causes, actions)
    with call.begin() as tx:
        return _wire(tx, service.incidents.review(tx, project, incident, learned))


def _wire(reader: Reader, incident: sa.Row[Any]) -> dict[str, Any]:
    learned = service.incidents.review_of(reader, incident) or {"text": None, "causes": [], "actions": []}
    people = {by: getattr(incident, by) for by in ("acknowledged_by", "resolved_by", "reviewed_by")}
    return {
        **incident._asdict(),
        **{by: person and identity.name_of(reader, person) for by, person in people.items()},
        "state": service.incidents.state_of(incident),
        "clock": service.incidents.clock(incident, reader.now()),
        "title": service.incidents.text_of(reader, incident.title),
        "note": service.incidents.text_of(reader, incident.note),
        "review": learned["text"],
        "causes": learned["causes"],
        "actions": learned["actions"],
    }


def _entry(reader: Reader, leaf: Leaf) -> dict[str, Any]:
    told = json.loads(leaf.entry)
    said = told["data"].get("note") or told["data"].get("title")
    return {
        "leaf": leaf.index,
        "at": leaf.at,
        "type": leaf.type,
        "actor": leaf.actor,
        "actor_name": identity.name_of(reader, leaf.actor),
        "text": service.incidents.text_of(reader, said if leaf.type in WITH_TEXT else None),
        "data": told["data"],
    }
