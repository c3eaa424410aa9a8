"""Routes of review: comments on a request, and what changed since one's own vote."""

from __future__ import annotations

from typing import Annotated, Any

import pydantic
from fastapi import APIRouter

from assent.approvals import service
from assent.approvals.http.requests import vote_wire
from assent.approvals.http.wire import Wire
from assent.approvals.service import Comment, NewComment, Since
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.tx import Reader
from assent.web.api import Call, ProjectPath, page, requires

router = APIRouter(prefix="/v1/projects/{project}", tags=["approvals"])

Reading = Annotated[Call, requires(Permission.REQUEST_READ)]
Commenting = Annotated[Call, requires(Permission.REQUEST_COMMENT)]


class NewCommentWire(Wire):
    """A comment: on the whole, on a `path` as the diff names it, or on a `line` of that field's text."""

    text: str = pydantic.Field(min_length=1, max_length=10_000)
    document: str | None = pydantic.Field(None, max_length=100)
    path: str | None = pydantic.Field(None, max_length=200)
    line: int | None = pydantic.Field(None, ge=1, le=1_000_000)
    answers: str | None = pydantic.Field(None, max_length=100)


@router.get("/requests/{request}/comments")
def list_comments(project: ProjectPath, request: str, call: Reading) -> dict[str, Any]:
    """List the comments on a request, oldest first."""
    with call.read() as reader:
        found = service.get(reader, request, project)
        return page([_comment(reader, one) for one in service.list_comments(reader, found.id)], None)


@router.post("/requests/{request}/comments", status_code=201)
def comment(project: ProjectPath, request: str, body: NewCommentWire, call: Commenting) -> dict[str, Any]:
    """Say something about a request, anchored to a field or a line of it, or in answer to a comment."""
    new = NewComment(request=request, project=project, **body.model_dump())
    with call.begin() as tx:
        return _comment(tx, service.comment(tx, new))


@router.post("/comments/{comment}/resolutions", status_code=201)
def resolve_comment(project: ProjectPath, comment: str, call: Commenting) -> dict[str, Any]:
    """Settle a thread; settling it again changes nothing."""
    with call.begin() as tx:
        return _comment(tx, service.resolve_comment(tx, comment, project))


@router.get("/requests/{request}/changes")
def list_changes(project: ProjectPath, request: str, call: Reading) -> dict[str, Any]:
    """Say what changed since one's own last vote on this request or on those that it took the place of."""
    with call.read() as reader:
        found = service.get(reader, request, project)
        since = service.since_vote(reader, found.id, call.actor.id)
        return {"request": found.id, "since": None if since is None else _since(reader, since)}


def _comment(reader: Reader, one: Comment) -> dict[str, Any]:
    return {
        "id": one.id,
        "request": one.request,
        "document": one.document,
        "path": one.path,
        "line": one.line,
        "answers": one.answers,
        "by": identity.name_of(reader, one.by),
        "at": one.at,
        "resolved_by": None if one.resolved_by is None else identity.name_of(reader, one.resolved_by),
        "resolved_at": one.resolved_at,
        "text": one.text,
    }


def _since(reader: Reader, since: Since) -> dict[str, Any]:
    return {
        "vote": vote_wire(reader, since.vote),
        "manifest": [
            {"name": name, "before": before, "after": after}
            for name, (before, after) in since.manifest.items()
        ],
        "policy": None if since.policy is None else dict(zip(("before", "after"), since.policy, strict=True)),
        "evidence": [
            {"id": claim.id, "kind": claim.kind, "issued_at": claim.issued_at, "value": claim.value}
            for claim in since.evidence
        ],
        "votes": [vote_wire(reader, one) for one in since.votes],
        "comments": [_comment(reader, one) for one in since.comments],
    }
