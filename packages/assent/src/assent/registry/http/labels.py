"""Routes of labels, of models and of prompts: read, move, take away, roll back, ask for a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import pydantic
from fastapi import APIRouter, Depends, Query, Request, Response

from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.reasons import MAX_REASON, reason_text
from assent.kernel.tx import Reader
from assent.registry import service
from assent.registry.service import Change, Label, Move, Pointer
from assent.web.api import MAX_PAGE, Call, Expected, ProjectPath, page, requires

router = APIRouter(tags=["labels"])

Reading = Annotated[Call, requires(Permission.LABEL_READ)]
Moving = Annotated[Call, requires(Permission.LABEL_MOVE)]
NOUN = 4
"""Where the noun stands in the path: /v1/projects/{project}/models/…"""


def _kind(request: Request) -> str:
    return "prompt" if request.url.path.split("/")[NOUN] == "prompts" else "model"


def _pointer(request: Request, project: ProjectPath, name: str, label: str) -> Pointer:
    return Pointer(project=project, name=name, label=label, kind=_kind(request))


Kind = Annotated[str, Depends(_kind)]
Spot = Annotated[Pointer, Depends(_pointer)]
Reason = Annotated[str | None, Query(max_length=MAX_REASON)]


class Wire(pydantic.BaseModel):
    """Bodies are strict: unknown fields are errors."""

    model_config = pydantic.ConfigDict(extra="forbid")


class MoveWire(Wire):
    """Which version the label is to point to: its number, or its digest; and why."""

    version: str = pydantic.Field(max_length=100)
    reason: str | None = pydantic.Field(None, max_length=MAX_REASON)


class ReasonWire(Wire):
    """Why somebody does it."""

    reason: str | None = pydantic.Field(None, max_length=MAX_REASON)


class HistoryQuery(Wire):
    """Which page of a history."""

    cursor: int | None = pydantic.Field(None, ge=1)
    limit: int = pydantic.Field(50, ge=1, le=MAX_PAGE)


@router.get("/models/{name}/labels")
@router.get("/prompts/{name}/labels")
def list_labels(name: str, kind: Kind, call: Reading) -> dict[str, Any]:
    """List the labels of a model or prompt with the versions that they point to."""
    with call.read() as reader:
        found = service.list_labels(reader, kind, call.project, name)
        return page([_label(reader, one) for one in found], None)


@router.get("/models/{name}/labels/{label}")  # noqa: FAST003 -- Spot reads them
@router.get("/prompts/{name}/labels/{label}")
def get_label(spot: Spot, response: Response, call: Reading) -> dict[str, Any]:
    """Show where a label points; its generation is the ETag that a move may send as If-Match."""
    with call.read() as reader:
        found = service.get_label(reader, spot)
        response.headers["etag"] = f'"{found.generation}"'
        return _label(reader, found)


@router.put("/models/{name}/labels/{label}")  # noqa: FAST003 -- Spot reads them
@router.put("/prompts/{name}/labels/{label}")
def move_label(
    spot: Spot, body: MoveWire, response: Response, call: Moving, expected: Expected
) -> dict[str, Any]:
    """Let a label point to a version. With If-Match it moves only if nobody moved it since; "0" is new."""
    change = _change(expected, spot, body.reason)
    with call.begin() as tx:
        found = service.move_label(tx, change, body.version)
        response.headers["etag"] = f'"{found.generation}"'
        return _label(tx, found)


@router.delete("/models/{name}/labels/{label}", status_code=204)  # noqa: FAST003 -- Spot reads them
@router.delete("/prompts/{name}/labels/{label}", status_code=204)
def remove_label(spot: Spot, call: Moving, expected: Expected, reason: Reason = None) -> None:
    """Take a label away; its history stays."""
    with call.begin() as tx:
        service.remove_label(tx, _change(expected, spot, reason))


@router.post("/models/{name}/labels/{label}/rollbacks")  # noqa: FAST003 -- Spot reads them
@router.post("/prompts/{name}/labels/{label}/rollbacks")
def roll_back_label(
    spot: Spot, body: ReasonWire, response: Response, call: Moving, expected: Expected
) -> dict[str, Any]:
    """Let a label point to the version before."""
    change = _change(expected, spot, body.reason)
    with call.begin() as tx:
        found = service.roll_back_label(tx, change)
        response.headers["etag"] = f'"{found.generation}"'
        return _label(tx, found)


@router.get("/models/{name}/labels/{label}/history")  # noqa: FAST003 -- Spot reads them
@router.get("/prompts/{name}/labels/{label}/history")
def list_history(spot: Spot, call: Reading, asked: Annotated[HistoryQuery, Query()]) -> dict[str, Any]:
    """List the moves of a label, newest first."""
    with call.read() as reader:
        found = service.label_history(reader, spot, before=asked.cursor, limit=asked.limit)
        cursor = str(found[-1].generation) if len(found) == asked.limit else None
        return page([_move(reader, one) for one in found], cursor)


@router.get("/models/{name}/labels/{label}/at")  # noqa: FAST003 -- Spot reads them
@router.get("/prompts/{name}/labels/{label}/at")
def get_label_at(spot: Spot, time: datetime, call: Reading) -> dict[str, Any]:
    """Show what a label pointed to at a time (RFC 3339; without an offset it is UTC)."""
    asked = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    with call.read() as reader:
        found = service.label_at(reader, spot, asked)
        return {**_move(reader, found), "at": asked, **_version(reader, spot.kind, spot.project, found.after)}


def _change(expected: int | None, pointer: Pointer, reason: str | None) -> Change:
    return Change(pointer=pointer, reason=reason, generation=expected)


def _version(reader: Reader, kind: str, project: str, digest: str | None) -> dict[str, Any]:
    found = None if digest is None else service.find_version(reader, kind, project, digest)
    return {
        "version": None if found is None else found.number,
        "ref": None if found is None else found.ref,
        "digest": digest,
    }


def _label(reader: Reader, label: Label) -> dict[str, Any]:
    return {
        "kind": label.kind,
        "name": label.name,
        "label": label.label,
        **_version(reader, label.kind, label.project, label.digest),
        "generation": label.generation,
        "protected": service.is_protected(reader, label.project, label.label),
        "moved_at": label.moved_at,
        "moved_by": identity.name_of(reader, label.moved_by),
    }


def _move(reader: Reader, move: Move) -> dict[str, Any]:
    before = _version(reader, move.kind, move.project, move.before)
    after = _version(reader, move.kind, move.project, move.after)
    return {
        "label": move.label,
        "generation": move.generation,
        "from": before["version"],
        "from_digest": move.before,
        "to": after["version"],
        "to_digest": move.after,
        "rolled_back": move.rolled_back,
        "because": move.because,
        "reason": reason_text(reader, move.reason),
        "moved_at": move.moved_at,
        "moved_by": identity.name_of(reader, move.moved_by),
    }
