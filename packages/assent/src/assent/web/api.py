"""What every JSON route shares: who calls and whether they may, transactions, problems, pages."""

import json
import logging
import re
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import sqlalchemy as sa
from fastapi import Depends, FastAPI, Header, Path, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.models import HTTPBearer as HTTPBearerScheme
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assent.kernel.errors import (
    AssentError,
    Conflict,
    Invalid,
    NotFound,
    Reason,
    TooLarge,
    Unauthenticated,
)
from assent.kernel.ids import new_id
from assent.kernel.runtime import Runtime
from assent.kernel.tx import Actor, Reader, Tx
from assent.web.openapi import PROBLEM

log = logging.getLogger(__name__)


MAX_PAGE = 200
IF_MATCH = 'The generation that you saw, in quotes, such as `"3"`: if it changed since, the answer is 412.'
MAX_GENERATION_DIGITS = 18  # fits the database; Python refuses to read more than 4,300
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z")


class Authenticator(Protocol):
    """What identity offers: find out who calls, and refuse whoever may not."""

    def __call__(self, request: Request, permission: str, project: str | None) -> Actor:
        """Give the caller. Raises: Unauthenticated, Forbidden, NotFound (project)."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One authorised call."""

    runtime: Runtime
    actor: Actor
    project: str

    @contextmanager
    def begin(self) -> Iterator[Tx]:
        """Open a transaction by the caller."""
        with self.runtime.session.begin(self.actor) as tx:
            yield tx

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """Open a consistent view."""
        with self.runtime.session.read() as reader:
            yield reader


class Authorisation(SecurityBase):
    """The dependency of a governed route: it asks for a bearer token that has one permission."""

    scheme_name = "token"
    model = HTTPBearerScheme(
        description="A token of a person or service account; the scope is the permission that it must have."
    )

    def __init__(self, permission: str) -> None:
        self.permission = permission

    def __call__(self, request: Request) -> Call:
        """Authorise. Raises: Unauthenticated, Forbidden, NotFound (project)."""
        project = request.path_params.get("project")
        authenticate: Authenticator = request.app.state.authenticate
        actor = authenticate(request, self.permission, project)
        return Call(request.app.state.runtime, actor, project or "")


def requires(permission: str) -> Any:
    """Declare, in an annotation, the permission that a route asks for.

    A route with `{project}` in its path asks for the permission in that project, others for it everywhere.
    """
    return Security(Authorisation(permission), scopes=[permission])


class LeanRoute(APIRoute):
    """A route that is asked all the time: it authorises and answers in one go, on one thread.

    Its endpoint takes its path's parameters as text, the request and the call, and gives a Response.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Answer without what FastAPI does for bodies, queries and shapes; none of these is here."""
        (authorise,) = (one.call for one in self.dependant.dependencies if one.call is not None)
        endpoint = self.endpoint

        def act(request: Request) -> Response:
            call = authorise(request)
            answer: Response = endpoint(request=request, call=call, **request.path_params)
            return answer

        async def answer(request: Request) -> Response:
            return await run_in_threadpool(act, request)

        return answer


def bearer(request: Request) -> str | None:
    """Give the bearer token of a request. Raises: Unauthenticated for another scheme."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Send `Authorization: Bearer <token>`.", remedy="Set ASSENT_TOKEN.")
    return token.strip()


def page(items: Sequence[Any], cursor: str | None) -> dict[str, Any]:
    """Give a page: its items, and the cursor of the next one, or null."""
    return {"items": list(items), "next": cursor}


def expected_generation(if_match: Annotated[str | None, Header(description=IF_MATCH)] = None) -> int | None:
    """Read `If-Match: "3"`. Raises: Invalid for anything else; None when absent or `*`."""
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdecimal() and len(text) <= MAX_GENERATION_DIGITS):
        raise Invalid(
            f'If-Match holds {if_match[:80]!r}; it must be the generation in quotes, for example "3".'
        )
    return int(text)


Expected = Annotated[int | None, Depends(expected_generation)]

ProjectPath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$", description="Name of the project.")]


class _Problem(JSONResponse):
    """A problem document; what a caller sent may stand in it, and with it text that UTF-8 cannot write."""

    media_type = PROBLEM

    def render(self, content: Any) -> bytes:
        """Write a question mark for a lone surrogate."""
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def problem(error: AssentError, request_id: str) -> Response:
    """Answer with an RFC 9457 problem document."""
    headers = {"x-request-id": request_id}
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = "Bearer"
    return _Problem(error.to_wire(request_id), error.status, headers)


def _request_id(request: Request) -> str:
    return str(request.scope.setdefault("assent.request_id", new_id("req")))


async def _on_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, AssentError):
        raise TypeError from error
    return problem(error, _request_id(request))


async def _on_validation(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise TypeError from error
    reasons = [
        Reason(
            id=".".join(str(part) for part in e["loc"]),
            message=e["msg"],
        )
        for e in error.errors()
    ]
    detail = "; ".join(f"{reason.id.partition('.')[2] or reason.id}: {reason.message}" for reason in reasons)
    return problem(Invalid(f"The request is not valid: {detail}.", reasons=reasons), _request_id(request))


async def _on_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise TypeError from error
    if error.status_code == 400:  # noqa: PLR2004 -- FastAPI's for a body that is not text, or nested too deeply
        return problem(Invalid("The body cannot be read as JSON in UTF-8."), _request_id(request))
    if error.status_code == 404:  # noqa: PLR2004 -- the status
        return problem(NotFound(f"There is nothing at {request.url.path}."), _request_id(request))
    detail, remedy, headers = error.detail, None, dict(error.headers or {})
    if error.status_code == 405:  # noqa: PLR2004 -- the status
        allowed = headers.get("Allow", "")
        detail = f"{request.method} is not taken at {request.url.path}."
        remedy = f"Use {allowed}." if allowed else None
    wire = {"type": "about:blank", "title": error.detail, "status": error.status_code, "detail": detail,
            "code": "http", "reasons": [], "remedy": remedy, "request_id": _request_id(request)}  # fmt: skip
    return _Problem(wire, error.status_code, headers)


async def _on_integrity(request: Request, error: Exception) -> Response:
    log.warning("the database refused a write: %s", error)
    text = "Someone else changed the same thing at the same moment, or it exists already."
    return problem(Conflict(text, remedy="Look at its present state and try again."), _request_id(request))


async def _on_defect(request: Request, error: Exception) -> Response:
    request_id = _request_id(request)
    log.error("request %s failed", request_id, exc_info=error)
    wire = {
        "type": "urn:assent:error:internal",
        "title": "Internal error",
        "status": 500,
        "detail": f"The server failed; its log says why under {request_id}.",
        "code": "internal",
        "reasons": [],
        "remedy": "Give this id to whoever runs the server.",
        "request_id": request_id,
    }
    return _Problem(wire, 500, {"x-request-id": request_id})


def install_errors(app: FastAPI) -> None:
    """Answer every error of a route as a problem document."""
    app.add_exception_handler(AssentError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(sa.exc.IntegrityError, _on_integrity)
    app.add_exception_handler(Exception, _on_defect)


class BodyLimit:
    """Refuse bodies over a limit, whatever their framing, before they fill the memory."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what arrives."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        error = TooLarge(f"The request is larger than {self.limit:,} bytes.", remedy="Send less at a time.")
        if length.isdigit() and int(length) > self.limit:
            await problem(error, new_id("req"))(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.limit:
                raise error
            return message

        await self.app(scope, counted, send)


def checked_name(name: str, noun: str) -> str:
    """Check a name that people choose. Raises: Invalid with the rule."""
    if not NAME.match(name):
        raise Invalid(
            f"{name!r} is not a name for a {noun}.",
            remedy="Use 1 to 63 of a-z, 0-9, dot, underscore, hyphen, beginning with a letter or digit.",
        )
    return name
