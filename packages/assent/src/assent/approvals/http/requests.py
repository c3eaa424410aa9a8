"""Routes of requests and votes."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import pydantic
from fastapi import APIRouter, Query

from assent.approvals import service
from assent.approvals.http.wire import Wire
from assent.approvals.service import NewVote, Proviso, Request, Vote
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.tx import Reader
from assent.web.api import MAX_PAGE, Call, ProjectPath, page, requires

router = APIRouter(prefix="/v1/projects/{project}", tags=["approvals"])

RequestReading = Annotated[Call, requires(Permission.REQUEST_READ)]
Voting = Annotated[Call, requires(Permission.REQUEST_VOTE)]


class NewVoteWire(Wire):
    """A vote, with the digests of subject and policy that its voter was shown."""

    verdict: str = pydantic.Field(max_length=20)
    subject: str = pydantic.Field(max_length=100)
    policy: str = pydantic.Field(max_length=100)
    comment: str | None = pydantic.Field(None, max_length=10_000)
    max_share: Decimal | None = pydantic.Field(None, gt=0, le=1, max_digits=10)
    until: pydantic.AwareDatetime | None = None


class RequestQuery(Wire):
    """Which requests; `subject` is a digest."""

    environment: str | None = None
    name: str | None = None
    subject: str | None = None
    kind: service.Kind | None = None
    state: list[service.State] | None = None
    cursor: str | None = pydantic.Field(None, max_length=100)
    limit: int = pydantic.Field(50, ge=1, le=MAX_PAGE)


@router.get("/requests")
def list_requests(
    project: ProjectPath, call: RequestReading, asked: Annotated[RequestQuery, Query()]
) -> dict[str, Any]:
    """List requests, newest first."""
    where = {
        "environment": asked.environment,
        "name": asked.name,
        "subject": asked.subject,
        "kind": asked.kind.value if asked.kind else None,
        "state": [state.value for state in asked.state] if asked.state else None,
    }
    with call.read() as reader:
        found, following = service.list_(reader, project, where, asked.cursor, asked.limit)
        return page([_request_line(reader, one) for one in found], following)


@router.get("/requests/{request}")
def get_request(project: ProjectPath, request: str, call: RequestReading) -> dict[str, Any]:
    """Show a request with the answer to each condition and the votes."""
    with call.read() as reader:
        return _request(reader, service.get(reader, request, project))


@router.get("/requests/{request}/conditions")
def list_conditions(project: ProjectPath, request: str, call: RequestReading) -> dict[str, Any]:
    """Answer every condition: as it is now, or, where the request is over, as it was then."""
    with call.read() as reader:
        return page(
            [service.result_wire(r) for r in service.check_conditions(reader, request, project)], None
        )


@router.get("/requests/{request}/votes")
def list_votes(project: ProjectPath, request: str, call: RequestReading) -> dict[str, Any]:
    """List votes, those on earlier requests that this one took the place of as stale."""
    with call.read() as reader:
        found = service.get(reader, request, project)
        return page([vote_wire(reader, one) for one in service.list_votes(reader, found.id)], None)


@router.post("/requests/{request}/votes", status_code=201)
def vote(project: ProjectPath, request: str, body: NewVoteWire, call: Voting) -> dict[str, Any]:
    """Vote on the subject and policy that were shown; 412 names both digests where they are others."""
    new = NewVote(
        request=request,
        project=project,
        subject=body.subject,
        policy=body.policy,
        verdict=body.verdict,
        comment=body.comment,
        proviso=Proviso(max_share=body.max_share, until=body.until),
        step_up_s=call.runtime.settings.step_up_s,
    )
    with call.begin() as tx:
        service.vote(tx, new)
        return _request(tx, service.get(tx, request, project))


@router.post("/requests/{request}/vote-withdrawals", status_code=201)
def withdraw_vote(project: ProjectPath, request: str, call: Voting) -> dict[str, Any]:
    """Take one's own vote back; it stays on record."""
    with call.begin() as tx:
        service.withdraw_vote(tx, request, project)
        return _request(tx, service.get(tx, request, project))


@router.post("/requests/{request}/withdrawals", status_code=201)
def withdraw(
    project: ProjectPath, request: str, call: Annotated[Call, requires(Permission.REQUEST_SUBMIT)]
) -> dict[str, Any]:
    """Ask no longer: by who filed the request or worked on its subject."""
    with call.begin() as tx:
        return _request(tx, service.withdraw(tx, request, project))


def _request_line(reader: Reader, request: Request) -> dict[str, Any]:
    return {
        "id": request.id,
        "kind": request.kind.value,
        "ref": request.ref,
        "name": request.name,
        "subject": request.subject,
        "environment": request.environment,
        "state": request.state.value,
        "tier": request.tier,
        "policy": request.policy,
        "policy_ref": request.policy_ref,
        "requester": identity.name_of(reader, request.requester),
        "filed_at": request.filed_at,
        "expires_at": request.expires_at,
        "decided_at": request.decided_at,
        "closed_at": request.closed_at,
    }


def _request(reader: Reader, request: Request) -> dict[str, Any]:
    results = service.check_conditions(reader, request.id)
    return {
        **_request_line(reader, request),
        "manifest": request.manifest,
        "nonce": request.nonce,
        "contributors": [identity.name_of(reader, person) for person in request.contributors],
        "decision": request.decision,
        "successor": request.successor,
        "newer_policy": service.newer_policy(reader, request),
        "ok": service.passes(results),
        "conditions": [service.result_wire(result) for result in results],
        "votes": [vote_wire(reader, one) for one in service.list_votes(reader, request.id)],
    }


def vote_wire(reader: Reader, vote: Vote) -> dict[str, Any]:
    """Write a vote."""
    return {
        "id": vote.id,
        "request": vote.request,
        "voter": identity.name_of(reader, vote.voter),
        "verdict": vote.verdict,
        "subject": vote.subject,
        "policy": vote.policy,
        "groups": list(vote.groups),
        "at": vote.at,
        "stale": vote.stale,
        "counts": vote.counts,
        "comment": vote.comment,
        "max_share": None if vote.proviso.max_share is None else str(vote.proviso.max_share),
        "until": vote.proviso.until,
    }
