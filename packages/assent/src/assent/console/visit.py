"""Who looks at a page, what they may do, and how errors look to them."""

import re
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute
from jinja2 import PackageLoader

from assent.console.parts import Link
from assent.console.places import places
from assent.identity import service as identity
from assent.identity.domain import Permission, permissions_of
from assent.kernel.errors import AssentError, Conflict, Forbidden, Invalid, Reason, Unauthenticated
from assent.kernel.ids import new_id
from assent.kernel.runtime import Runtime
from assent.kernel.tx import Reader, Tx
from assent.web.forms import (
    TOKEN_FIELD,
    Form,
    cookie_name,
    keeps_cookies,
    read_form,
    sent_from_here,
)
from assent.web.pages import Pages

SESSION = "session"
PAGES = Pages(PackageLoader("assent.console"))
SEE_OTHER = 303
MAX_KEPT_BYTES = 2_000_000
MAX_KEPT_FIELDS = 1000
UNKEPT = re.compile(rf"\A{TOKEN_FIELD}\Z|password|secret|code|totp|\Aagain\Z")
"""Fields that no page shows again."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One authorised look at a page, or one action on it."""

    request: Request
    runtime: Runtime
    session: identity.Session
    name: str
    project: str
    allowed: frozenset[Permission]

    @contextmanager
    def begin(self) -> Iterator[Tx]:
        """Open a transaction by the visitor."""
        with self.runtime.session.begin(self.session.actor) as tx:
            yield tx

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """Open a consistent view."""
        with self.runtime.session.read() as reader:
            yield reader

    def signed_in_s(self, reader: Reader) -> float:
        """Say how old the sign-in is, in seconds; infinite where that is not known."""
        return self.session.age_s(reader.now())

    def lacks(self, permission: Permission) -> tuple[Reason, ...]:
        """Give the reason why the visitor may not do this, if they may not."""
        if permission in self.allowed:
            return ()
        return (
            Reason(
                id=permission,
                message=f"You do not hold the permission {permission}.",
                remedy="An administrator can give you a role that has it.",
            ),
        )

    def page(self, template: str, status: int = 200, **view: Any) -> Response:
        """Answer with a page."""
        shown = {"person": self.name, "project": self.project, "places": self._places(), **view}
        return PAGES.render(self.request, template, shown, status=status)

    def _places(self) -> Sequence[Link]:
        return places(self.project, self.allowed) if self.project else ()


def held_secret(request: Request) -> str:
    """Give the session secret that this browser holds, or nothing."""
    return request.cookies.get(cookie_name(request, SESSION), "") if keeps_cookies(request) else ""


def find_visitor(request: Request, reader: Reader) -> tuple[identity.Session, str] | None:
    """Find the session of this browser and the name of its person."""
    secret = held_secret(request)
    session = identity.find_session(reader, secret) if secret else None
    return None if session is None else (session, identity.get_account(reader, session.person).name)


def _unsigned() -> Unauthenticated:
    return Unauthenticated("This page needs you to sign in.", remedy="Open your one-time link.")


def signed_in(request: Request) -> Visit:
    """Authorise anybody who is signed in; what they may see is asked project by project."""
    runtime: Runtime = request.app.state.runtime
    project = request.path_params.get("project", "")
    with runtime.session.read() as reader:
        found = find_visitor(request, reader)
        if found is None:
            raise _unsigned()
        session, name = found
        held = identity.roles_of(reader, session.person)
        allowed = permissions_of(held, project or None)
        if project and allowed and all(one.project != project for one in held):
            identity.get_project(reader, project)  # who may everywhere is told that there is none
    return Visit(request, runtime, session, name, project, allowed)


def visits(permission: Permission) -> Any:
    """Declare which permission a page asks for, in the annotation of its visit."""

    def authorise(request: Request) -> Visit:
        visit = signed_in(request)
        if permission not in visit.allowed:
            raise Forbidden(
                f"You may not see or do this in {visit.project or 'Assent'}: it takes {permission}.",
                remedy="An administrator can give you a role that has it.",
            )
        return visit

    authorise.permission = permission  # type: ignore[attr-defined]  # read by the test that walks all routes
    return Depends(authorise)


def local_path(text: str) -> str:
    """Give a path of this console, or the home page for anything that leads elsewhere."""
    plain = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if plain and "\\" not in text else "/"


def see_other(path: str) -> Response:
    """Send the browser on after a form was accepted."""
    return RedirectResponse(path, SEE_OTHER)


def error_page(request: Request, error: AssentError) -> Response:
    """Show an error; send whoever is not signed in to the sign-in page."""
    if isinstance(error, Unauthenticated) and request.headers.get("hx-request"):
        # A fragment has no place for the sign-in page: the whole page is asked for again, and leads there.
        return Response(status_code=204, headers={"HX-Refresh": "true"})
    if isinstance(error, Unauthenticated) and request.method == "GET":
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return see_other(f"/sign-in?next={quote(here)}")
    view = {
        "heading": error.title,
        "message": error.message,
        "remedy": error.remedy,
        "reasons": error.reasons,
        "request_id": request.scope.setdefault("assent.request_id", new_id("req")),
        "back": "/",
        "back_text": "To all systems",
    }
    return PAGES.render(request, "error.html", view, status=error.status)


async def _send_again(request: Request, error: Unauthenticated) -> Response:
    """Keep what was typed when a session ended meanwhile: the form can be sent again after signing in."""
    if request.method != "POST" or request.headers.get("hx-request"):
        return error_page(request, error)
    try:
        form = getattr(request.state, "posted", None) or await read_form(
            request, MAX_KEPT_BYTES, MAX_KEPT_FIELDS
        )
    except AssentError as unreadable:
        return _unproven(request, unreadable) if _is_ours_unproven(request) else error_page(request, error)
    return _again(request, error, form, is_signed_out=True)


def _is_ours_unproven(request: Request) -> bool:
    """Tell whether a form came from our own page, but without the proof: its cookies are gone or changed."""
    return getattr(request.state, "is_unproven", False) and sent_from_here(request)


def _unproven(request: Request, error: AssentError) -> Response:
    """Show what was typed into our own page whose cookies were lost: one more look, and it can be sent."""
    return _again(request, error, request.state.posted, is_signed_out=False)


def _again(request: Request, error: AssentError, form: Form, *, is_signed_out: bool) -> Response:
    view = {
        "message": error.message,
        "action": request.url.path,
        "kept": {name: text for name, text in form.fields.items() if not UNKEPT.search(name)},
        "is_signed_out": is_signed_out,
    }
    return PAGES.render(request, "sign_in/again.html", view, status=error.status)


class PageRoute(APIRoute):
    """A route whose errors are pages for people, not problem documents."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler."""
        handler = super().get_route_handler()

        async def as_page(request: Request) -> Response:
            try:
                return await handler(request)
            except Unauthenticated as error:
                return await _send_again(request, error)
            except AssentError as error:
                return (_unproven if _is_ours_unproven(request) else error_page)(request, error)
            except RequestValidationError as error:
                return error_page(request, Invalid(f"The address is not valid: {error.errors()[0]['msg']}."))
            except sa.exc.IntegrityError:
                text = "Someone else changed the same thing at the same moment."
                return error_page(request, Conflict(text, remedy="Look at it again, then repeat the action."))

        return as_page
