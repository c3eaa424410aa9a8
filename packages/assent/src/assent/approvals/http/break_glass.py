"""Routes of break-glass: look at it, second it, review it. It is opened by starting a rollout with it."""

from __future__ import annotations

from typing import Annotated, Any

import pydantic
from fastapi import APIRouter, Query

from assent.approvals import service
from assent.approvals.http.wire import Wire
from assent.approvals.service import BreakGlass, NewReview
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.tx import Reader
from assent.web.api import MAX_PAGE, Call, ProjectPath, page, requires

router = APIRouter(prefix="/v1/projects/{project}", tags=["approvals"])

Reading = Annotated[Call, requires(Permission.REQUEST_READ)]


class BreakGlassQuery(Wire):
    """Which: of a system, an environment, a request; those that are open; those that nobody reviewed."""

    name: str | None = None
    environment: str | None = None
    request: str | None = None
    open: bool = False
    owed: bool = False
    cursor: str | None = pydantic.Field(None, max_length=100)
    limit: int = pydantic.Field(50, ge=1, le=MAX_PAGE)


class ReviewWire(Wire):
    """What somebody who had no part in it finds."""

    finding: str = pydantic.Field(max_length=20)
    text: str = pydantic.Field(min_length=1, max_length=10_000)


@router.get("/break-glass")
def list_break_glass(
    project: ProjectPath, call: Reading, asked: Annotated[BreakGlassQuery, Query()]
) -> dict[str, Any]:
    """List uses of break-glass, newest first."""
    where = asked.model_dump(exclude={"cursor", "limit"})
    with call.read() as reader:
        found, following = service.list_break_glass(reader, project, where, asked.cursor, asked.limit)
        return page([_break_glass(reader, one) for one in found], following)


@router.get("/break-glass/{break_glass}")
def get_break_glass(project: ProjectPath, break_glass: str, call: Reading) -> dict[str, Any]:
    """Show one, with its reason and its review."""
    with call.read() as reader:
        return _break_glass(reader, service.get_break_glass(reader, break_glass, project))


@router.post("/break-glass/{break_glass}/seconds", status_code=201)
def second_break_glass(
    project: ProjectPath, break_glass: str, call: Annotated[Call, requires(Permission.BREAK_GLASS_SECOND)]
) -> dict[str, Any]:
    """Stand by it as a second person; without one it ends within minutes."""
    step_up_s = call.runtime.settings.step_up_s
    with call.begin() as tx:
        return _break_glass(tx, service.second_break_glass(tx, break_glass, project, step_up_s))


@router.post("/break-glass/{break_glass}/reviews", status_code=201)
def review_break_glass(
    project: ProjectPath,
    break_glass: str,
    body: ReviewWire,
    call: Annotated[Call, requires(Permission.BREAK_GLASS_REVIEW)],
) -> dict[str, Any]:
    """Look back on it, as somebody who had no part in it; this pays the debt."""
    new = NewReview(
        break_glass=break_glass,
        project=project,
        finding=body.finding,
        text=body.text,
        step_up_s=call.runtime.settings.step_up_s,
    )
    with call.begin() as tx:
        return _break_glass(tx, service.review_break_glass(tx, new))


def _break_glass(reader: Reader, one: BreakGlass) -> dict[str, Any]:
    return {
        "id": one.id,
        "request": one.request,
        "environment": one.environment,
        "name": one.name,
        "ref": one.ref,
        "subject": one.subject,
        "state": "open" if one.outcome is None else one.outcome.value,
        "overdue": one.owes(reader.now()),
        "reason": service.break_glass_text(reader, one.reason),
        "opened_by": identity.name_of(reader, one.opened_by),
        "opened_at": one.opened_at,
        "second_by": one.second_by,
        "seconded_by": None if one.seconded_by is None else identity.name_of(reader, one.seconded_by),
        "seconded_at": one.seconded_at,
        "ends_at": one.ends_at,
        "ended_at": one.ended_at,
        "review_by": one.review_by,
        "reviewed_by": None if one.reviewed_by is None else identity.name_of(reader, one.reviewed_by),
        "reviewed_at": one.reviewed_at,
        "finding": None if one.finding is None else one.finding.value,
        "review": service.break_glass_text(reader, one.review),
    }
