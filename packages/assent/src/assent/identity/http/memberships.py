"""Who is in a group: changed at once, or by two people where a policy names the group."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from assent.identity import service
from assent.identity.domain import Permission
from assent.identity.domain.memberships import Change
from assent.kernel.clock import to_text
from assent.kernel.tx import Reader
from assent.web.api import Call, ProjectPath, page, requires
from assent.web.openapi import gives

router = APIRouter(prefix="/projects/{project}")
ACCEPTED, NO_CONTENT = 202, 204
WAITS = gives("application/json", status=ACCEPTED, says="A second person must confirm it.")


def _wire(change: Change, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": change.id,
        "group": change.group,
        "person": names.get(change.person, change.person),
        "verb": change.verb,
        "state": change.state,
        "asked_by": names.get(change.asked_by, change.asked_by),
        "asked_at": to_text(change.asked_at),
        "expires_at": to_text(change.expires_at),
        "ended_by": change.ended_by and names.get(change.ended_by, change.ended_by),
    }


def _names(reader: Reader) -> dict[str, str]:
    return {account.id: account.name for account in service.list_accounts(reader)}


def _change(call: Call, group: str, person: str, verb: Literal["add", "remove"]) -> Response:
    with call.begin() as tx:
        change = service.ask_change(tx, call.project, group, person, verb)
        wire = None if change is None else _wire(change, _names(tx))
    return Response(status_code=NO_CONTENT) if wire is None else JSONResponse(wire, ACCEPTED)


@router.put("/groups/{group}/members/{person}", status_code=204, responses=WAITS)
def add_member(
    project: ProjectPath,  # noqa: ARG001 -- FastAPI checks it; the call knows it
    group: str,
    person: str,
    call: Annotated[Call, requires(Permission.GROUP_CHANGE)],
) -> Response:
    """Put a person into a group; 202 where a policy names it: a second person must confirm."""
    return _change(call, group, person, "add")


@router.delete("/groups/{group}/members/{person}", status_code=204, responses=WAITS)
def remove_member(
    project: ProjectPath,  # noqa: ARG001 -- as above
    group: str,
    person: str,
    call: Annotated[Call, requires(Permission.GROUP_CHANGE)],
) -> Response:
    """Take a person out of a group; 202 where a policy names it: a second person must confirm."""
    return _change(call, group, person, "remove")


@router.get("/group-changes")
def list_changes(
    project: ProjectPath, call: Annotated[Call, requires(Permission.PROJECT_READ)]
) -> dict[str, Any]:
    """List the changes of groups that wait for a second person."""
    with call.read() as reader:
        names = _names(reader)
        return page([_wire(change, names) for change in service.list_changes(reader, project)], None)


@router.post("/group-changes/{change}/confirmation", status_code=201)
def confirm(
    project: ProjectPath, change: str, call: Annotated[Call, requires(Permission.MEMBER_CONFIRM)]
) -> dict[str, Any]:
    """Confirm a change that another person asked for: it is done."""
    with call.begin() as tx:
        return _wire(service.confirm_change(tx, project, change), _names(tx))


@router.post("/group-changes/{change}/withdrawal", status_code=201)
def withdraw(
    project: ProjectPath, change: str, call: Annotated[Call, requires(Permission.GROUP_CHANGE)]
) -> dict[str, Any]:
    """Withdraw a change that waits."""
    with call.begin() as tx:
        return _wire(service.withdraw_change(tx, project, change), _names(tx))
