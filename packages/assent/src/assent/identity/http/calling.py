"""Who calls, and whether they may; what the bodies of identity's routes share."""

import logging
from collections.abc import Callable, Iterable
from typing import Literal

import pydantic
from fastapi import Request

from assent.identity import service
from assent.identity.domain import EVERYWHERE, ROLES, Binding
from assent.kernel.errors import Forbidden, Frozen, Unauthenticated, Unavailable
from assent.kernel.runtime import Runtime
from assent.kernel.tx import SYSTEM, Actor
from assent.web.api import bearer

log = logging.getLogger(__name__)


class Wire(pydantic.BaseModel):
    """Bodies are strict: unknown fields are errors."""

    model_config = pydantic.ConfigDict(extra="forbid")


def authenticator(runtime: Runtime) -> Callable[[Request, str, str | None], Actor]:
    """Make what the routes ask: who calls, and whether they may."""

    def authenticate(request: Request, permission: str, project: str | None) -> Actor:
        secret = bearer(request)
        if secret is None:
            raise Unauthenticated(
                "This needs a token.", remedy="Set ASSENT_TOKEN, or ask for a sign-in link."
            )
        with runtime.session.read() as reader:
            held = service.authenticate(reader, secret)
            unkept = service.use_is_old(reader, held.token)
            allowed = service.allows(held, permission, project)
            if allowed and project is not None and all(one.project != project for one in held.bindings):
                service.get_project(reader, project)  # who may everywhere is told that there is none
        if unkept:
            _note_use(runtime, held.token)
        if not allowed:
            where = f"in the project {project}" if project else "everywhere"
            message = f"This token lacks the permission {permission} {where}."
            raise Forbidden(message, remedy=_remedy(held.bindings, permission, project))
        kind: Literal["person", "service"] = "person" if held.kind == "person" else "service"
        return Actor(held.account, kind, held.auth_at, held.scopes)

    return authenticate


def _remedy(held: Iterable[Binding], permission: str, project: str | None) -> str:
    takes = f"It takes one of the roles {', '.join(r for r, p in ROLES.items() if permission in p)}."
    mine = sorted({binding.project for binding in held})
    if project is None or not mine or EVERYWHERE in mine or project in mine:
        return takes
    return f"{takes} You belong to {', '.join(mine)}: name the project with --project or ASSENT_PROJECT."


def _note_use(runtime: Runtime, token: str) -> None:
    """Keep the time of a token's use; a database that takes no writes must not refuse the call for it."""
    try:
        with runtime.session.begin(SYSTEM) as tx:
            service.note_use(tx, token)
    except (Frozen, Unavailable) as error:
        log.warning("the use of a token was not kept: %s", error.message)


def address_of(request: Request) -> str:
    """Give the address that a call comes from."""
    return request.client.host if request.client else "unknown"
