"""Routes of incidents."""

from typing import Annotated, Any

import pydantic
import sqlalchemy as sa
from fastapi import APIRouter, Query

from assent.identity.domain import Permission
from assent.kernel.tx import Reader
from assent.monitoring import service
from assent.web.api import Call, ProjectPath, page, requires

router = APIRouter(tags=["monitoring"])

Reads = Annotated[Call, requires(Permission.MONITORING_READ)]
Resolves = Annotated[Call, requires(Permission.INCIDENT_RESOLVE)]
Narrowed = Annotated[str | None, Query(max_length=200)]


class IncidentNote(pydantic.BaseModel):
    """What ended an incident."""

    model_config = pydantic.ConfigDict(extra="forbid")
    note: str


class IncidentReview(pydantic.BaseModel):
    """What was learned from an incident."""

    model_config = pydantic.ConfigDict(extra="forbid")
    review: str


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
    with call.begin() as tx:
        return _wire(tx, service.incidents.review(tx, project, incident, body.review))


def _wire(reader: Reader, incident: sa.Row[Any]) -> dict[str, Any]:
    return {
        **incident._asdict(),
        "state": service.incidents.state_of(incident),
        "note": service.incidents.text_of(reader, incident.note),
        "review": service.incidents.text_of(reader, incident.review),
    }
