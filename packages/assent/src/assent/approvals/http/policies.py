"""Routes of policies: register, bind, confirm, backtest, and ask them about a version."""

from __future__ import annotations

from typing import Annotated, Any

import pydantic
from fastapi import APIRouter, Query, Response

from assent.approvals import service
from assent.approvals.http.wire import Wire
from assent.approvals.service import Assessment, InForce, NewPolicy, PolicyVersion
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.tx import Reader
from assent.web.api import MAX_PAGE, Call, ProjectPath, page, requires
from assent.web.openapi import EXISTED

router = APIRouter(prefix="/v1/projects/{project}", tags=["approvals"])

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Cursor = Annotated[str | None, Query(max_length=100)]
PolicyReading = Annotated[Call, requires(Permission.POLICY_READ)]
RequestReading = Annotated[Call, requires(Permission.REQUEST_READ)]
LATEST = "latest"


class NewPolicyWire(pydantic.BaseModel):
    """A policy's document beside its name; its form is checked by the policy's own schema, all at once."""

    model_config = pydantic.ConfigDict(extra="allow")

    name: str
    version: str | None = None


class NewBinding(Wire):
    """Which policy: name@version, name (the highest), or a digest."""

    policy: str = pydantic.Field(min_length=1, max_length=100)


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


@router.post("/policies", status_code=201, responses=EXISTED)
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
    """Have an environment ask for a policy from now on; in use and protected, it takes a second person."""
    with call.begin() as tx:
        service.bind_policy(tx, project, environment, body.policy)
        return _in_force(tx, project, environment)


@router.post("/environments/{environment}/policy-confirmations", status_code=201)
def confirm_policy(
    project: ProjectPath,
    environment: str,
    body: NewBinding,
    call: Annotated[Call, requires(Permission.POLICY_CONFIRM)],
) -> dict[str, Any]:
    """Bind the policy that somebody else proposed; 412 where another one is proposed by now."""
    wanted = service.Confirmation(
        project=project,
        environment=environment,
        policy=body.policy,
        step_up_s=call.runtime.settings.step_up_s,
    )
    with call.begin() as tx:
        service.confirm_policy(tx, wanted)
        return _in_force(tx, project, environment)


@router.get("/environments/{environment}/policy-backtest")
def backtest(project: ProjectPath, environment: str, policy: str, call: PolicyReading) -> dict[str, Any]:
    """Say which past releases to an environment a policy would have stopped, and by which conditions."""
    with call.read() as reader:
        identity.get_environment(reader, project, environment)
        found = service.backtest(reader, project, environment, policy)
    return {
        "environment": environment,
        "policy": found.policy_ref,
        "policy_digest": found.policy,
        "n_releases": len(found.releases),
        "n_stopped": found.n_stopped,
        "releases": [
            {
                "request": one.request,
                "ref": one.ref,
                "went_out_at": one.went_out_at,
                "under": one.policy_ref,
                "stopped_by": [service.result_wire(result) for result in one.stopped_by],
            }
            for one in found.releases
        ],
    }


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
    proposed = service.find_proposal(reader, project, environment)
    coming = service.pinned(reader, project, proposed.policy) if proposed else found
    return {
        "environment": environment,
        **_policy_named(found),
        "bound_at": bound.bound_at if bound else None,
        "bound_by": identity.name_of(reader, bound.bound_by) if bound else None,
        "proposed": proposed.policy_ref if proposed else None,
        "proposed_digest": proposed.policy if proposed else None,
        "proposed_at": proposed.proposed_at if proposed else None,
        "proposed_by": identity.name_of(reader, proposed.proposed_by) if proposed else None,
        "document": {key: found.document[key] for key in ("title", "conditions")},
        "warnings": [one.to_wire() for one in service.warnings(reader, project, coming.policy)],
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
