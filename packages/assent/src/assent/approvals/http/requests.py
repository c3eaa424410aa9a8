"""Routes of approvals: policies, their binding, assessments, requests and votes."""

from __future__ import annotations

from typing import Annotated, Any

import pydantic
from fastapi import APIRouter, Query, Response

from assent.approvals import service
from assent.approvals.http.wire import Wire, person_name
from assent.approvals.service import Assessment, InForce, NewPolicy, NewVote, PolicyVersion, Request, Vote
from assent.identity.domain import Permission
from assent.kernel.tx import Reader
from assent.web.api import MAX_PAGE, Call, ProjectPath, page, requires

router = APIRouter(prefix="/v1/projects/{project}", tags=["approvals"])

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Cursor = Annotated[str | None, Query(max_length=100)]
PolicyReading = Annotated[Call, requires(Permission.POLICY_READ)]
RequestReading = Annotated[Call, requires(Permission.REQUEST_READ)]
Voting = Annotated[Call, requires(Permission.REQUEST_VOTE)]
LATEST = "latest"


class NewPolicyWire(pydantic.BaseModel):
    """A policy's document beside its name; its form is checked by the policy's own schema, all at once."""

    model_config = pydantic.ConfigDict(extra="allow")

    name: str
    version: str | None = None


class NewBinding(Wire):
    """Which policy: name@version, name (the highest), or a digest."""

    policy: str = pydantic.Field(min_length=1, max_length=100)


class NewVoteWire(Wire):
    """A vote, with the digests of subject and policy that its voter was shown."""

    verdict: str = pydantic.Field(max_length=20)
    subject: str = pydantic.Field(max_length=100)
    policy: str = pydantic.Field(max_length=100)
    comment: str | None = pydantic.Field(None, max_length=10_000)


class RequestQuery(Wire):
    """Which requests; `subject` is a digest."""

    environment: str | None = None
    name: str | None = None
    subject: str | None = None
    kind: service.Kind | None = None
    state: list[service.State] | None = None
    cursor: str | None = pydantic.Field(None, max_length=100)
    limit: int = pydantic.Field(50, ge=1, le=MAX_PAGE)


class AssessmentQuery(Wire):
    """What is asked about: a version, a plan's digest if there is one; `policy`: not the one in force."""

    subject: str = pydantic.Field(min_length=1, max_length=100)
    plan: str | None = pydantic.Field(None, max_length=100)
    policy: str | None = pydantic.Field(None, max_length=100)


@router.get("/policy-schema")
def get_schema(project: ProjectPath, call: PolicyReading) -> dict[str, Any]:
    """Give the JSON Schema of a policy."""
    del project, call
    return service.schema()


@router.post("/policies", status_code=201)
def register_policy(
    project: ProjectPath,
    body: NewPolicyWire,
    response: Response,
    call: Annotated[Call, requires(Permission.POLICY_REGISTER)],
    *,
    check: bool = False,
) -> dict[str, Any]:
    """Register a policy version: 201, or 200 where the same content is there. `check` records nothing."""
    new = NewPolicy(project=project, name=body.name, content=body.model_extra or {}, number=body.version)
    if check:
        response.status_code = 200
        with call.read() as reader:
            return service.preview_policy(reader, new)
    with call.begin() as tx:
        version, created = service.register_policy(tx, new)
        wire = _policy(tx, version)
    response.status_code = 201 if created else 200
    return {**wire, "created": created}


@router.get("/policies")
def list_policies(
    project: ProjectPath,
    call: PolicyReading,
    name: str | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List policy versions, newest first."""
    with call.read() as reader:
        found = service.list_policies(reader, project, name, before=cursor, limit=limit)
    return page([_policy_line(v) for v in found], found[-1].id if len(found) == limit else None)


@router.get("/policies/{name}/{version}")
def get_policy(project: ProjectPath, name: str, version: str, call: PolicyReading) -> dict[str, Any]:
    """Show a policy version with its document; `latest` is the one with the highest number."""
    with call.read() as reader:
        which = name if version == LATEST else f"{name}@{version}"
        return _policy(reader, service.get_policy(reader, project, which))


@router.get("/environments/{environment}/policy")
def get_policy_in_force(project: ProjectPath, environment: str, call: PolicyReading) -> dict[str, Any]:
    """Show what an environment asks for: the policy bound to it, or the one that is shipped."""
    with call.read() as reader:
        return _in_force(reader, project, environment)


@router.put("/environments/{environment}/policy")
def bind_policy(
    project: ProjectPath,
    environment: str,
    body: NewBinding,
    call: Annotated[Call, requires(Permission.POLICY_REGISTER)],
) -> dict[str, Any]:
    """Have an environment ask for a policy from now on."""
    with call.begin() as tx:
        service.bind_policy(tx, project, environment, body.policy)
        return _in_force(tx, project, environment)


@router.get("/environments/{environment}/assessment")
def assess(
    project: ProjectPath, environment: str, call: RequestReading, asked: Annotated[AssessmentQuery, Query()]
) -> dict[str, Any]:
    """Answer every condition for a version, whether or not a request was filed; nothing is kept."""
    question = service.Question(
        project=project,
        environment=environment,
        subject=asked.subject,
        plan=asked.plan,
        policy=asked.policy,
    )
    with call.read() as reader:
        found = service.assess(reader, question)
        return {"environment": environment, **_assessment(found), "request": _pending(reader, project, found)}


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


def _policy_line(version: PolicyVersion) -> dict[str, Any]:
    return {
        "id": version.id,
        "name": version.name,
        "version": version.number,
        "ref": version.ref,
        "digest": version.digest,
        "registered_at": version.registered_at,
        "registered_by": version.registered_by,
    }


def _policy(reader: Reader, version: PolicyVersion) -> dict[str, Any]:
    """Give a policy as its author would write it, every default included."""
    document = service.document_of(reader, version)
    shown = {key: document[key] for key in ("title", "conditions")}
    return {**_policy_line(version), "document": shown}


def _in_force(reader: Reader, project: str, environment: str) -> dict[str, Any]:
    found = service.in_force(reader, project, environment)
    bound = service.find_binding(reader, project, environment)
    return {
        "environment": environment,
        **_policy_named(found),
        "bound_at": bound.bound_at if bound else None,
        "bound_by": person_name(reader, bound.bound_by) if bound else None,
        "document": {key: found.document[key] for key in ("title", "conditions")},
    }


def _policy_named(found: InForce) -> dict[str, Any]:
    return {"policy": found.ref, "policy_digest": found.digest, "bound": found.bound}


def _pending(reader: Reader, project: str, found: Assessment) -> str | None:
    """Give the request for the same that is under way."""
    where = {
        "subject": found.facts.subject,
        "environment": found.facts.environment,
        "state": [service.State.OPEN.value, service.State.APPROVED.value],
    }
    requests, _ = service.list_(reader, project, where, limit=1)
    return requests[0].id if requests else None


def _assessment(found: Assessment) -> dict[str, Any]:
    results = found.results
    return {
        "subject": found.facts.subject,
        "ref": found.facts.ref,
        "tier": found.facts.tier,
        **_policy_named(found.in_force),
        "ok": service.passes(results),
        "conditions": [service.result_wire(result) for result in results],
    }


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
        "requester": person_name(reader, request.requester),
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
        "contributors": [person_name(reader, person) for person in request.contributors],
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
        "voter": person_name(reader, vote.voter),
        "verdict": vote.verdict,
        "subject": vote.subject,
        "policy": vote.policy,
        "groups": list(vote.groups),
        "at": vote.at,
        "stale": vote.stale,
        "counts": vote.counts,
        "comment": vote.comment,
    }
