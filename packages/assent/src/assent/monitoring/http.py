"""Routes of monitoring."""

from typing import Annotated, Any

import pydantic
import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Query, Request

from assent.identity.domain import Permission
from assent.kernel.tx import Reader
from assent.monitoring import service
from assent.web.api import Call, ProjectPath, page, requires

router = APIRouter(prefix="/v1", tags=["monitoring"])

Reads = Annotated[Call, requires(Permission.MONITORING_READ)]
Resolves = Annotated[Call, requires(Permission.INCIDENT_RESOLVE)]
LastSeconds = Annotated[int, Query(ge=10, le=30 * 86_400, description="How far back, in seconds.")]
Narrowed = Annotated[str | None, Query(max_length=200)]


async def raw_body(request: Request) -> bytes:
    """Read the body as it came: its rows are judged one by one, so no schema may refuse all of it."""
    return await request.body()


_BATCH_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "What `assent_client.observe` sends: calls, feedback, exposures; at most 20,000 rows.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["batch", "instance", "project", "observations"],
                    "properties": {
                        "batch": {"type": "string"},
                        "instance": {"type": "string"},
                        "project": {"type": "string"},
                        "environment": {"type": "string"},
                        "gateway": {"type": "string"},
                        "n_dropped": {"type": "integer", "minimum": 0},
                        "observations": {"type": "array", "items": {"type": "object"}},
                    },
                }
            }
        },
    }
}


@router.post("/observations", openapi_extra=_BATCH_FORM)
def record_observations(
    body: Annotated[bytes, Depends(raw_body)],
    call: Annotated[Call, requires(Permission.OBSERVATION_RECORD)],
) -> dict[str, Any]:
    """Take a batch of observations; the answer comes once they are durable, and names rows that are wrong."""
    batch = service.parse(body, call.runtime.clock.now())
    with call.begin() as tx:
        return service.take(tx, batch, body)


@router.get("/projects/{project}/quality")
def quality(
    project: ProjectPath,
    call: Reads,
    environment: Narrowed = None,
    route: Narrowed = None,
    version: Narrowed = None,
    last_s: LastSeconds = 3600,
) -> dict[str, Any]:
    """Show latency, errors, refusals, opinions and tokens per version, each rate with its interval."""
    with call.read() as reader:
        figures = service.live.by_version(
            reader, project, last_s=last_s, **_where(environment, route, version)
        )
    return page(figures, None)


class PeriodWire(pydantic.BaseModel):
    """Which figures: where, and from when to when (RFC 3339); else the last `last_s` seconds."""

    model_config = pydantic.ConfigDict(extra="forbid")
    environment: Annotated[str | None, pydantic.Field(max_length=200)] = None
    name: Annotated[str | None, pydantic.Field(max_length=200)] = None
    version: Annotated[str | None, pydantic.Field(max_length=200)] = None
    last_s: Annotated[int, pydantic.Field(ge=10, le=92 * 86_400)] = 3600
    from_at: pydantic.AwareDatetime | None = None
    to_at: pydantic.AwareDatetime | None = None


@router.get("/projects/{project}/monitoring")
def monitoring_report(
    project: ProjectPath, call: Reads, asked: Annotated[PeriodWire, Query()]
) -> dict[str, Any]:
    """Show what was served over a period by version and variant: rates, latency, tokens and cost."""
    with call.read() as reader:
        period = service.report.last(reader, asked.last_s)
        if asked.from_at is not None or asked.to_at is not None:
            period = service.report.between(reader, asked.from_at, asked.to_at)
        where = _where(asked.environment, asked.name, asked.version)
        return service.report.report(reader, project, period, **where)


@router.get("/projects/{project}/quality/slots")
def quality_over_time(
    project: ProjectPath,
    call: Reads,
    environment: Narrowed = None,
    route: Narrowed = None,
    version: Narrowed = None,
    last_s: LastSeconds = 600,
) -> dict[str, Any]:
    """Show calls, errors and opinions per version in slots of ten seconds."""
    with call.read() as reader:
        slots = service.live.over_time(reader, project, last_s=last_s, **_where(environment, route, version))
    return page(slots, None)


@router.get("/projects/{project}/versions/{digest}/metrics")
def version_metrics(
    project: ProjectPath,
    digest: Annotated[str, Path(max_length=100)],
    call: Reads,
    last_s: LastSeconds = service.metrics.LAST_S,
) -> dict[str, Any]:
    """Show what evaluation and production say of a version; of a prompt, also of the models that pin it."""
    with call.read() as reader:
        return service.metrics.of_version(reader, project, digest, last_s)


def _where(environment: str | None, route: str | None, version: str | None) -> dict[str, str]:
    given = {"environment": environment, "route": route, "version": version}
    return {name: value for name, value in given.items() if value is not None}


@router.get("/projects/{project}/observers")
def observers(project: ProjectPath, call: Reads) -> dict[str, Any]:
    """Show who observes and what was lost on the way."""
    with call.read() as reader:
        return service.live.observers(reader, project)


@router.get("/projects/{project}/rollouts/{rollout}/figures")
def rollout_figures(project: ProjectPath, rollout: str, call: Reads) -> dict[str, Any]:
    """Show what the guards of a rollout say now."""
    with call.read() as reader:
        return service.live.rollout_figures(reader, project, rollout)


@router.get("/projects/{project}/rollouts/{rollout}/evidence")
def rollout_evidence(project: ProjectPath, rollout: str, call: Reads) -> dict[str, Any]:
    """Compute a verdict again from the closed blocks, and show them."""
    with call.read() as reader:
        return service.evidence.evidence_document(reader, service.evidence.replay(reader, project, rollout))


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
