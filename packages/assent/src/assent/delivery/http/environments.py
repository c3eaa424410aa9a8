"""Routes of environments: what is live, adoptions, and the switch."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import pydantic
from fastapi import APIRouter

from assent.delivery import service
from assent.delivery.domain import Route, Unit
from assent.delivery.http.wire import Reason, Wire, changing, route_wire
from assent.flags import service as flags
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.tx import Reader
from assent.web.api import Call, Expected, page, requires

router = APIRouter(prefix="/environments/{environment}")


class NewAdoption(Wire):
    """Which version is taken over; `subject` is name@version or a digest."""

    subject: str
    reason: str = pydantic.Field(min_length=1, max_length=2000)
    unit: Unit = Unit.USER


class NeededReason(Wire):
    """Why somebody does it: it must be said."""

    reason: str = pydantic.Field(min_length=1, max_length=2000)


class OneOfMany(Wire):
    """One line of a preview."""

    unit: str = pydantic.Field(max_length=1000)
    context: dict[str, Any] = pydantic.Field(default_factory=dict)


class Many(Wire):
    """Whose answers are asked for."""

    contexts: list[OneOfMany] = pydantic.Field(max_length=flags.MAX_CONTEXTS)


class NewKill(NeededReason):
    """`cut`: calls that are under way end too, with an answer that is not whole."""

    cut: bool = False


@router.get("/live")
def get_live(environment: str, call: Annotated[Call, requires(Permission.ROLLOUT_READ)]) -> dict[str, Any]:
    """Show what the environment serves, and which snapshot each gateway runs on."""
    with call.read() as reader:
        found = identity.get_environment(reader, call.project, environment)
        live = service.list_live(reader, call.project, environment)
        return {
            "environment": environment,
            "protected": found.protected,
            "routes": [_live(reader, call.project, one) for one in live],
            "gateways": service.list_acknowledgements(reader, call.project, environment),
        }


@router.get("/routes")
def list_routes(environment: str, call: Annotated[Call, requires(Permission.ROLLOUT_READ)]) -> dict[str, Any]:
    """List the routes of the environment."""
    with call.read() as reader:
        live = service.list_live(reader, call.project, environment)
        return page([_live(reader, call.project, one) for one in live], None)


@router.get("/routes/{name}")
def get_route(
    environment: str, name: str, call: Annotated[Call, requires(Permission.ROLLOUT_READ)]
) -> dict[str, Any]:
    """Show a route."""
    with call.read() as reader:
        return _named(reader, call.project, service.get_route(reader, _place(call, environment, name)))


@router.post("/routes/{name}/previews")
def preview(
    environment: str, name: str, body: Many, call: Annotated[Call, requires(Permission.ROLLOUT_READ)]
) -> dict[str, Any]:
    """Say who would get which version; nothing is recorded."""
    subjects = [flags.Subject(unit=one.unit, context=one.context) for one in body.contexts]
    with call.read() as reader:
        found = service.preview(reader, _place(call, environment, name), subjects)
    return {
        "n": len(found),
        "counts": dict(Counter(one.variant for one in found)),
        "lines": [
            {
                "unit": subject.unit,
                "variant": one.variant,
                "version": one.value,
                "rule": one.rule,
                "reason": one.reason,
                "bucket": one.bucket,
            }
            for subject, one in zip(subjects, found, strict=True)
        ],
    }


@router.post("/adoptions", status_code=201)
def adopt(
    environment: str, body: NewAdoption, call: Annotated[Call, requires(Permission.VERSION_ADOPT)]
) -> dict[str, Any]:
    """Take over a version that is live already; only where the environment routes its name nowhere yet."""
    wanted = service.Adoption(
        project=call.project,
        environment=environment,
        subject=body.subject,
        reason=body.reason,
        unit=body.unit,
    )
    with changing(call) as tx:
        return _named(tx, call.project, service.adopt(tx, wanted))


@router.post("/routes/{name}/drills", status_code=201)
def drill(
    environment: str,
    name: str,
    body: Reason,
    call: Annotated[Call, requires(Permission.ROLLOUT_ROLL_BACK)],
    expected: Expected,
) -> dict[str, Any]:
    """Measure how long a rollback would take to reach every replica; what is served stays as it is."""
    with changing(call) as tx:
        return service.drill(tx, _place(call, environment, name, expected), body.reason)


@router.get("/drills")
def list_drills(
    environment: str,
    call: Annotated[Call, requires(Permission.ROLLOUT_READ)],
    name: str | None = None,
) -> dict[str, Any]:
    """List the newest drills, with what each replica took in milliseconds."""
    with call.read() as reader:
        return page(service.list_drills(reader, call.project, environment, name), None)


@router.get("/drills/{drill}")
def get_drill(
    environment: str,  # noqa: ARG001 -- a part of the address
    drill: str,
    call: Annotated[Call, requires(Permission.ROLLOUT_READ)],
) -> dict[str, Any]:
    """Show a drill; `measured_at` is null while replicas may still answer."""
    with call.read() as reader:
        return service.get_drill(reader, call.project, drill)


@router.post("/routes/{name}/kills", status_code=201)
def kill(
    environment: str,
    name: str,
    body: NewKill,
    call: Annotated[Call, requires(Permission.ROUTE_KILL)],
    expected: Expected,
) -> dict[str, Any]:
    """Switch a name off: it answers nobody; a rollout on it is taken back."""
    with changing(call) as tx:
        place = _place(call, environment, name, expected)
        return _named(tx, call.project, service.kill(tx, place, body.reason, cut=body.cut))


@router.post("/routes/{name}/restorations", status_code=201)
def restore(
    environment: str,
    name: str,
    body: NeededReason,
    call: Annotated[Call, requires(Permission.ROUTE_RESTORE)],
    expected: Expected,
) -> dict[str, Any]:
    """Let a name answer again, with its stable version."""
    with changing(call) as tx:
        route = service.restore(tx, _place(call, environment, name, expected), body.reason)
        return _named(tx, call.project, route)


def _place(call: Call, environment: str, name: str, expected: int | None = None) -> service.Place:
    return service.Place(project=call.project, environment=environment, name=name, generation=expected)


def _live(reader: Reader, project: str, live: service.Live) -> dict[str, Any]:
    return {**_named(reader, project, live.route), "changed_at": live.changed_at}


def _named(reader: Reader, project: str, route: Route) -> dict[str, Any]:
    """Write a route with the names of its versions beside their digests."""
    return {
        **route_wire(route),
        "stable_ref": service.ref_of(reader, project, route.stable),
        "canary_ref": service.ref_of(reader, project, route.canary) if route.canary else None,
    }
