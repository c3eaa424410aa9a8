"""Routes of retirement: deprecate, undo, waive, retire, who depends, and who a provider's end touches."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import pydantic
from fastapi import APIRouter, Query

from assent.identity.domain import Permission
from assent.kernel.filters import MAX_LENGTH
from assent.kernel.reasons import reason_text
from assent.kernel.tx import Reader
from assent.registry import service as registry
from assent.registry.service import ModelVersion
from assent.retirement import service
from assent.retirement.domain import Deprecation, WaiverKind
from assent.web.api import Call, ProjectPath, page, requires

router = APIRouter(prefix="/v1/projects/{project}", tags=["retirement"])

Reading = Annotated[Call, requires(Permission.MODEL_READ)]
Deprecating = Annotated[Call, requires(Permission.MODEL_DEPRECATE)]
Waiving = Annotated[Call, requires(Permission.RETIREMENT_WAIVE)]
DAY_S = 86_400.0
Moment = pydantic.AwareDatetime


class Wire(pydantic.BaseModel):
    """Bodies are strict: unknown fields are errors."""

    model_config = pydantic.ConfigDict(extra="forbid")

    reason: str = pydantic.Field(max_length=2000)


class DeprecationWire(Wire):
    """When a version ends, what succeeds it, and when it is refused before; null: by the usual schedule."""

    sunset_at: Moment
    successor: str | None = pydantic.Field(None, max_length=200)
    brownouts: list[tuple[Moment, Moment]] | None = pydantic.Field(None, max_length=50)


class WaiverWire(Wire):
    """Why a version may retire with dependents left, and how long that holds."""

    kind: WaiverKind
    expires_at: Moment


@router.post("/models/{name}/{version}/deprecations", status_code=201)
def deprecate(
    project: ProjectPath, name: str, version: str, body: DeprecationWire, call: Deprecating
) -> dict[str, Any]:
    """Announce that a version ends; until the sunset it serves on, but for its brown-outs."""
    said = service.Announcement(**dict(body))
    with call.begin() as tx:
        found = registry.get(tx, project, name, version)
        return _wire(tx, service.deprecate(tx, found, said))


@router.post("/models/{name}/{version}/reinstatements", status_code=201)
def undo(project: ProjectPath, name: str, version: str, body: Wire, call: Deprecating) -> dict[str, Any]:
    """Take the deprecation back, before the sunset."""
    with call.begin() as tx:
        return _wire(tx, service.undo(tx, registry.get(tx, project, name, version), body.reason))


@router.post("/models/{name}/{version}/waivers", status_code=201)
def waive(project: ProjectPath, name: str, version: str, body: WaiverWire, call: Waiving) -> dict[str, Any]:
    """Let the version retire with dependents left; another person than who deprecated it."""
    with call.begin() as tx:
        found = registry.get(tx, project, name, version)
        return _wire(tx, service.waive(tx, found, body.kind, body.expires_at, body.reason))


@router.post("/models/{name}/{version}/retirements", status_code=201)
def retire(project: ProjectPath, name: str, version: str, body: Wire, call: Deprecating) -> dict[str, Any]:
    """End the version for good; refused while somebody depends on it and nothing waives that."""
    with call.begin() as tx:
        return _wire(tx, service.retire(tx, registry.get(tx, project, name, version), body.reason))


@router.get("/models/{name}/{version}/dependents")
def list_dependents(project: ProjectPath, name: str, version: str, call: Reading) -> dict[str, Any]:
    """Say who depends on a version: declared, serving it, and calling it, per day and application.

    An application is the id of its key, with the name of that key, null where no key has the id.
    """
    with call.read() as reader:
        found = registry.get(reader, project, name, version)
        return {"ref": found.ref, **_dependents(reader, found)}


@router.get("/deprecations")
def list_deprecations(project: ProjectPath, call: Reading) -> dict[str, Any]:
    """List the deprecations of the project by sunset."""
    with call.read() as reader:
        return page([_wire(reader, one) for one in service.list_(reader, project)], None)


class TouchedQuery(pydantic.BaseModel):
    """How far to look, which versions (by the registry's filter; live ones or others), and which page."""

    model_config = pydantic.ConfigDict(extra="forbid")

    within_days: int = pydantic.Field(90, ge=0, le=3660)
    filter: str | None = pydantic.Field(None, max_length=MAX_LENGTH)
    live: bool | None = None
    cursor: str | None = pydantic.Field(None, max_length=200)
    limit: int = pydantic.Field(100, ge=1, le=500)


@router.get("/base-models/touched")
def list_touched(
    project: ProjectPath, call: Reading, asked: Annotated[TouchedQuery, Query()]
) -> dict[str, Any]:
    """List the versions whose base model ends within so many days, where they are live, who owns them."""
    wanted = service.Wanted(filter=asked.filter, live=asked.live, after=asked.cursor, limit=asked.limit)
    with call.read() as reader:
        found = service.touched(reader, project, timedelta(days=asked.within_days), wanted)
    return page([_touched(one) for one in found], found[-1].key if len(found) == asked.limit else None)


def _dependents(reader: Reader, version: ModelVersion) -> dict[str, Any]:
    found = service.dependents(reader, version)
    calls = service.callers(reader, version, 30 * DAY_S)
    return {
        "declared": found.declared,
        "serving": found.serving,
        "calls": [
            {"day": day, "application": who, "name": found.names.get(who), "n_calls": n}
            for day, who, n in calls
        ],
    }


def _touched(one: service.Touched) -> dict[str, Any]:
    version = one.version
    return {
        "ref": version.ref,
        "base_model": one.base_model,
        "ends_on": one.ends_on,
        "source": one.source,
        "status": version.status,
        "live": one.live,
        "owner": version.owner,
    }


def _wire(reader: Reader, one: Deprecation) -> dict[str, Any]:
    return {
        "id": one.id,
        "ref": one.ref,
        "digest": one.subject,
        "state": one.state,
        "successor": one.successor_ref,
        "deprecated_at": one.at,
        "by": one.by,
        "reason": reason_text(reader, one.reason),
        "sunset_at": one.sunset_at,
        "brownouts": [{"from": start, "until": end} for start, end in one.brownouts],
        "ended_at": one.ended_at,
        "waiver": _waiver(one),
        "notices": [
            {key: notice[key] for key in ("days", "at", "dependents", "applications", "n_calls")}
            for notice in service.list_notices(reader, one)
        ],
    }


def _waiver(one: Deprecation) -> dict[str, datetime | str | None] | None:
    if one.waiver is None:
        return None
    return {"kind": one.waiver, "by": one.waiver_by, "expires_at": one.waiver_expires_at}
