"""Routes of judged quality: what judges say of live calls, and the samples that they graded."""

from typing import Annotated, Any

import pydantic
from fastapi import APIRouter, Query

from assent.identity.domain import Permission
from assent.monitoring import service
from assent.web.api import Call, ProjectPath, page, requires

router = APIRouter(prefix="/projects/{project}", tags=["monitoring"])

Reads = Annotated[Call, requires(Permission.MONITORING_READ)]
Narrowed = Annotated[str | None, pydantic.Field(max_length=200)]


class Where(pydantic.BaseModel):
    """Of which environment, name and version; else of all."""

    model_config = pydantic.ConfigDict(extra="forbid")
    environment: Narrowed = None
    name: Narrowed = None
    version: Narrowed = None

    @property
    def given(self) -> dict[str, str]:
        """Give it as columns and their values."""
        asked = {"environment": self.environment, "route": self.name, "version": self.version}
        return {name: value for name, value in asked.items() if value is not None}


class Period(Where):
    """The same, and how far back in seconds."""

    last_s: Annotated[int, pydantic.Field(ge=60, le=90 * 86_400)] = 86_400


class Listed(Where):
    """The same, in which state, and which page."""

    state: service.SampleState | None = None
    cursor: Annotated[str | None, pydantic.Field(max_length=32)] = None
    limit: Annotated[int, pydantic.Field(ge=1, le=200)] = 50


class OpeningWire(pydantic.BaseModel):
    """Why somebody reads what a user asked and was answered."""

    model_config = pydantic.ConfigDict(extra="forbid")
    reason: Annotated[str, pydantic.Field(min_length=1, max_length=2000)]


@router.get("/samplings")
def list_samplings(project: ProjectPath, call: Reads) -> dict[str, Any]:
    """List which names are sampled, their judges' passports, what is left of the day, and what is wrong."""
    with call.read() as reader:
        return page(service.quality.list_(reader, project), None)


@router.get("/quality/judged")
def judged_quality(project: ProjectPath, call: Reads, asked: Annotated[Period, Query()]) -> dict[str, Any]:
    """Show what judges say of live calls by version, a unit one score, each with its interval."""
    with call.read() as reader:
        now_s = reader.now().timestamp()
        between_s = (now_s - asked.last_s, now_s + 1)
        return page(service.quality.figures(reader, project, between_s, asked.given), None)


@router.get("/samples")
def list_samples(project: ProjectPath, call: Reads, asked: Annotated[Listed, Query()]) -> dict[str, Any]:
    """List sampled calls, newest first: how each was judged, and not what was said in it."""
    where = asked.given if asked.state is None else {**asked.given, "state": asked.state.value}
    with call.read() as reader:
        found, after = service.samples.list_(reader, project, where, asked.cursor, asked.limit)
        return page(found, after)


@router.get("/samples/{sample}")
def get_sample(project: ProjectPath, sample: str, call: Reads) -> dict[str, Any]:
    """Show how a sampled call was judged, and who has read it."""
    with call.read() as reader:
        return service.samples.get(reader, project, sample)


@router.post("/samples/{sample}/openings", status_code=201)
def open_sample(
    project: ProjectPath,
    sample: str,
    body: OpeningWire,
    call: Annotated[Call, requires(Permission.SAMPLE_OPEN)],
) -> dict[str, Any]:
    """Read question and answer of a sampled call; who read it and why stays on record."""
    with call.begin() as tx:
        return service.samples.open_(tx, project, sample, call.runtime.signers.secret, body.reason)
