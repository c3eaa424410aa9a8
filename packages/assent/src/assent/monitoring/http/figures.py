"""Routes of figures: observations come in, what they say goes out."""

from typing import Annotated, Any

import pydantic
from fastapi import APIRouter, Depends, Path, Query, Request

from assent.delivery.service import Place
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.errors import Invalid, NotFound
from assent.kernel.tx import Reader
from assent.monitoring import service
from assent.web.api import Call, ProjectPath, page, requires

router = APIRouter(tags=["monitoring"])

Reads = Annotated[Call, requires(Permission.MONITORING_READ)]
LastSeconds = Annotated[int, Query(ge=10, le=30 * 86_400, description="How far back, in seconds.")]
Narrowed = Annotated[str | None, Query(max_length=200)]


async def raw_body(request: Request) -> bytes:
    """Read the body as it came: its rows are judged one by one, so no schema may refuse all of it."""
    return await request.body()


_BATCH_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "What `assent_client.observe` sends: calls, feedback, exposures, samples.",
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
                        "observations": {
                            "type": "array",
                            "description": "At most 20,000 rows; the answer names those that are wrong.",
                        },
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
    with call.read() as reader:
        prepared = service.prepare(reader, batch, body)
    with call.begin() as tx:
        return service.take(tx, batch, body, prepared)


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


class DriftWire(pydantic.BaseModel):
    """What is compared: the last `window_s` seconds with as many, `back_s` seconds earlier.

    With `suite`, what is live under a name is compared with the newest run of that suite that it passed.
    """

    model_config = pydantic.ConfigDict(extra="forbid")
    environment: Annotated[str | None, pydantic.Field(max_length=200)] = None
    name: Annotated[str | None, pydantic.Field(max_length=200)] = None
    version: Annotated[str | None, pydantic.Field(max_length=200)] = None
    window_s: Annotated[int, pydantic.Field(ge=60, le=31 * 86_400)] = service.drift.WINDOW_S
    back_s: Annotated[int, pydantic.Field(ge=60, le=366 * 86_400)] = service.drift.BACK_S
    suite: Annotated[str | None, pydantic.Field(max_length=63)] = None


@router.get("/projects/{project}/drift")
def drift(project: ProjectPath, call: Reads, asked: Annotated[DriftWire, Query()]) -> dict[str, Any]:
    """Show whether inputs, outputs and latency are distributed as before, corrected for all comparisons."""
    where = _where(asked.environment, asked.name, asked.version)
    with call.read() as reader:
        if asked.suite is not None:
            return service.drift.document(_from_run(reader, project, asked, asked.suite))
        found = service.drift.compare(reader, project, where, asked.window_s, asked.back_s)
    return service.drift.document(found)


def _from_run(reader: Reader, project: str, asked: DriftWire, suite: str) -> service.drift.Compared:
    if not asked.name or not asked.environment or asked.version:
        text = "A run is compared with what is live under one name of one environment."
        raise Invalid(text, remedy="Give name and environment, and no version.")
    place = Place(project=project, environment=asked.environment, name=asked.name)
    found = service.drift.compare_with_run(reader, place, suite, asked.window_s)
    if found is None:
        raise NotFound(
            f"What is live under {asked.name} passed no run of {suite}.",
            remedy=f"assent eval run {suite} --subject {asked.name}@VERSION",
        )
    return found


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


@router.get("/projects/{project}/keys/{key}/usage")
def key_usage(
    project: ProjectPath, key: str, call: Annotated[Call, requires(Permission.KEY_READ)]
) -> dict[str, Any]:
    """Show what an application used of its key, this day and this month (UTC), as told so far."""
    with call.read() as reader:
        identity.get_key(reader, project, key)
        return {
            "id": key,
            "limits": identity.key_limits(reader, [key]).get(key, {}),
            **service.usage.of_application(reader, project, key),
        }


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


@router.get("/projects/{project}/rollouts/{rollout}/slices")
def rollout_slices(project: ProjectPath, rollout: str, call: Reads) -> dict[str, Any]:
    """Show an A/B test by application and by language: exploratory, corrected for all comparisons."""
    with call.read() as reader:
        return service.slices.slices(reader, project, rollout)


@router.get("/projects/{project}/rollouts/{rollout}/evidence")
def rollout_evidence(project: ProjectPath, rollout: str, call: Reads) -> dict[str, Any]:
    """Compute a verdict again from the closed blocks, and show them."""
    with call.read() as reader:
        return service.evidence.evidence_document(reader, service.evidence.replay(reader, project, rollout))
