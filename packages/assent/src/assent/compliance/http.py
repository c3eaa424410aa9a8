"""Routes of compliance: catalogues, coverage, systems, retention, packs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic
from fastapi import APIRouter, Query
from fastapi.responses import Response

from assent.compliance import service
from assent.compliance.domain import DISCLAIMER, Catalogue, Row
from assent.compliance.service import Classification, Retention, Role, System
from assent.compliance.service.wire import coverage_wire
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.clock import to_text
from assent.kernel.tx import Reader
from assent.web.api import Call, ProjectPath, page, requires
from assent.web.openapi import gives

router = APIRouter(prefix="/v1/projects/{project}", tags=["compliance"])
ZIP = "application/zip"

Reading = Annotated[Call, requires(Permission.COVERAGE_READ)]
Packing = Annotated[Call, requires(Permission.PACK_CREATE)]
Reason = Annotated[str | None, pydantic.Field(max_length=2000)]


class Wire(pydantic.BaseModel):
    """Bodies are strict: unknown fields are errors."""

    model_config = pydantic.ConfigDict(extra="forbid")


class NewRole(Wire):
    """Who answers from now on: the name or id of a person."""

    person: str = pydantic.Field(max_length=100)
    reason: Reason = None


class Answers(Wire):
    """Answers to the questionnaire in use, by the question's id."""

    answers: dict[str, Any] = pydantic.Field(max_length=200)
    reason: Reason = None


class NewRetention(Wire):
    """How long logs and records are kept, in days."""

    logs_days: int
    records_days: int
    reason: Reason = None


class NewStatement(Wire):
    """Which organisational control is in place, and for how many days this is stated."""

    catalogue: str = pydantic.Field(max_length=40)
    row: str = pydantic.Field(max_length=40)
    days: int = 365
    reason: Reason = None


class NewPack(Wire):
    """What the pack is about: NAME@VERSION, or NAME for the whole system."""

    about: str = pydantic.Field(max_length=200)


@router.get("/catalogues")
def list_catalogues(project: ProjectPath, _call: Reading) -> dict[str, Any]:
    """List the catalogues with their rows."""
    del project
    return page([_catalogue(one) for one in service.catalogues()], None)


@router.get("/questionnaire")
def get_questionnaire(project: ProjectPath, _call: Reading) -> dict[str, Any]:
    """Give the risk questionnaire in use."""
    del project
    asked = service.questionnaire()
    return {
        "id": asked.id,
        "as_of": asked.as_of.isoformat(),
        "source": asked.source,
        "secondary": asked.secondary,
        "questions": [
            {"id": q.id, "asks": q.asks, "tier": q.tier, "source": q.source} for q in asked.questions
        ],
    }


@router.get("/inventory")
def list_systems(project: ProjectPath, call: Reading) -> dict[str, Any]:
    """List the systems: what is live, who answers, how risky they are."""
    with call.read() as reader:
        return page([_system(one) for one in service.inventory(reader, project)], None)


@router.get("/systems/{name}/coverage")
def get_coverage(
    project: ProjectPath,
    name: str,
    call: Reading,
    catalogue: Annotated[str | None, Query(max_length=40)] = None,
    standing: Literal["met", "not_met", "unknown", "not_applicable"] | None = None,
) -> dict[str, Any]:
    """Compute what the record shows of each catalogue, for NAME or NAME@VERSION."""
    with call.read() as reader:
        found = coverage_wire(service.coverage(reader, project, name, catalogue))
    if standing is not None:
        for one in found["catalogues"]:
            one["rows"] = [row for row in one["rows"] if row["standing"] == standing]
    return found


@router.put("/systems/{name}/roles/{role}")
def assign(
    project: ProjectPath,
    name: str,
    role: str,
    body: NewRole,
    call: Annotated[Call, requires(Permission.ROLE_ASSIGN)],
) -> dict[str, Any]:
    """Let a person answer for something of a system."""
    with call.begin() as tx:
        return _role(tx, service.assign(tx, (project, name), role, body.person, body.reason))


@router.post("/systems/{name}/classifications", status_code=201)
def classify(
    project: ProjectPath,
    name: str,
    body: Answers,
    call: Annotated[Call, requires(Permission.SYSTEM_CLASSIFY)],
) -> dict[str, Any]:
    """Answer the risk questionnaire about a system; the tier follows from the answers."""
    with call.begin() as tx:
        return _classification(tx, service.classify(tx, (project, name), body.answers, body.reason))


@router.post("/systems/{name}/statements", status_code=201)
def attest(
    project: ProjectPath,
    name: str,
    body: NewStatement,
    call: Annotated[Call, requires(Permission.CONTROL_ATTEST)],
) -> dict[str, Any]:
    """State that an organisational control is in place."""
    control = (body.catalogue, body.row, body.days)
    with call.begin() as tx:
        until = service.attest(tx, (project, name), control, body.reason)
    return {"name": name, "catalogue": body.catalogue, "row": body.row, "expires_at": to_text(until)}


@router.get("/retention")
def get_retention(project: ProjectPath, call: Reading) -> dict[str, Any]:
    """Say how long the project keeps logs and records."""
    with call.read() as reader:
        found = service.retention_of(reader, project)
        return {"logs_days": None, "records_days": None} if found is None else _retention(reader, found)


@router.put("/retention")
def retain(
    project: ProjectPath, body: NewRetention, call: Annotated[Call, requires(Permission.RETENTION_SET)]
) -> dict[str, Any]:
    """Set how long the project keeps logs and records."""
    with call.begin() as tx:
        return _retention(tx, service.retain(tx, project, (body.logs_days, body.records_days), body.reason))


@router.post("/packs", status_code=201)
def issue(project: ProjectPath, body: NewPack, call: Packing) -> dict[str, Any]:
    """Issue the signed statements that a pack needs and that do not exist yet."""
    with call.begin() as tx:
        n_new = service.issue(tx, call.runtime.signers, project, body.about)
    return {"about": body.about, "n_issued": n_new}


@router.get("/packs/{about}", response_class=Response, responses=gives(ZIP))
def build(project: ProjectPath, about: str, call: Packing) -> Response:
    """Give the pack of NAME@VERSION or NAME: one file that verifies offline."""
    with call.read() as reader:
        content = service.build(reader, call.runtime.signers, project, about)
    headers = {"content-disposition": f'attachment; filename="{_file_name(about)}"'}
    return Response(content, media_type=ZIP, headers=headers)


def _file_name(about: str) -> str:
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in about)
    return f"{kept}.assent-pack.zip"


def _catalogue(one: Catalogue) -> dict[str, Any]:
    return {
        "id": one.id,
        "title": one.title,
        "as_of": one.as_of.isoformat(),
        "source": one.source,
        "secondary": one.secondary,
        "note": one.note,
        "says": DISCLAIMER,
        "rows": [_row(row) for row in one.rows],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "says": row.says,
        "checks": list(row.checks),
        "applies_from": row.applies_from,
        "organisational": row.organisational,
    }


def _system(one: System) -> dict[str, Any]:
    return {
        "name": one.name,
        "versions": one.n_versions,
        "version": one.version,
        "why": one.why,
        "live": list(one.live),
        "roles": dict(one.roles),
        "tier": one.tier,
        "classified": one.classified,
        "classified_at": to_text(one.classified_at) if one.classified_at else None,
        "below": one.below,
    }


def _role(reader: Reader, role: Role) -> dict[str, Any]:
    return {
        "name": role.name,
        "role": role.role,
        "person": identity.name_of(reader, role.person),
        "assigned_at": to_text(role.assigned_at),
        "assigned_by": identity.name_of(reader, role.assigned_by),
    }


def _classification(reader: Reader, one: Classification) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.name,
        "questionnaire": one.questionnaire,
        "tier": one.tier,
        "answers": one.answers,
        "classified_at": to_text(one.classified_at),
        "classified_by": identity.name_of(reader, one.classified_by),
    }


def _retention(reader: Reader, one: Retention) -> dict[str, Any]:
    return {
        "logs_days": one.logs_days,
        "records_days": one.records_days,
        "set_at": to_text(one.set_at),
        "set_by": identity.name_of(reader, one.set_by),
    }
