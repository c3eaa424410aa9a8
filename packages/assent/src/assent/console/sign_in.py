"""Signing in by a one-time link, and signing out."""

import re
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from assent.console.visit import PAGES, SESSION, PageRoute, held_secret, local_path, see_other
from assent.identity import service as identity
from assent.kernel.errors import RateLimited, Unauthenticated
from assent.kernel.runtime import Runtime
from assent.kernel.tx import SYSTEM
from assent.web.forms import Form, cookie_name, drop_cookie, posted_form, set_cookie

router = APIRouter(route_class=PageRoute, include_in_schema=False)
# A person pastes the whole link or only its code.
CODE = re.compile(r"(?:.*/sign-in/)?([A-Za-z0-9_-]{20,200})/?\Z", re.DOTALL)


def read_code(text: str) -> str:
    """Find the code in a pasted link. Raises: Unauthenticated."""
    found = CODE.match(text)
    if found is None:
        raise Unauthenticated(
            "This is not a one-time link.", remedy="`assent user link NAME` prints one; paste all of it."
        )
    return found.group(1)


def redeem(request: Request, code: str, person: str | None = None) -> identity.Session:
    """Use a one-time link up; the session that this browser held ends, unless the link is not the person's.

    Raises: Unauthenticated, Forbidden (plain http from elsewhere).
    """
    cookie_name(request, SESSION)  # refuses before the link is used, where no cookie could be kept
    runtime: Runtime = request.app.state.runtime
    with runtime.session.begin(SYSTEM) as tx:
        held = held_secret(request)
        session = identity.redeem_link(tx, read_code(code), life(runtime), agent(request))
        if held and person in {None, session.person}:
            identity.end_session(tx, held)
    return session


def by_password(request: Request, form: Form) -> identity.Session:
    """Sign in by name, password and code; the session that this browser held ends.

    Raises: Unauthenticated, RateLimited, Forbidden (plain http from elsewhere).
    """
    cookie_name(request, SESSION)
    runtime: Runtime = request.app.state.runtime
    secret, address = runtime.signers.secret, request.client.host if request.client else "unknown"
    with runtime.session.begin(SYSTEM) as tx:
        attempt = identity.open_attempt(tx, form.text("name", limit=63), address, secret)
    right = identity.is_right(attempt, form.fields.get("password", ""))
    with runtime.session.begin(SYSTEM) as tx:
        person = identity.close_attempt(tx, attempt, form.text("totp", limit=40), secret, right=right)
        identity.end_session(tx, held_secret(request))
        return identity.open_session(
            tx, person, identity.Opening("password", tx.now(), agent(request), life(runtime))
        )


def agent(request: Request) -> str:
    """Name the browser, for the list of sessions."""
    return request.headers.get("user-agent", "")


def life(runtime: Runtime) -> timedelta:
    """Say how long a session lives here."""
    return timedelta(hours=runtime.settings.session_hours)


def keep(request: Request, response: Response, session: identity.Session) -> Response:
    """Have the browser keep the session."""
    life = round((session.expires_at - session.opened_at).total_seconds())
    set_cookie(request, response, SESSION, session.secret, life)
    return response


def _providers(request: Request) -> dict[str, object]:
    runtime: Runtime = request.app.state.runtime
    return {"providers": runtime.settings.oidc_providers}


@router.get("/sign-in")
def ask(request: Request, next: str = "/") -> Response:  # noqa: A002 -- the name of the query parameter
    """Say how to sign in."""
    return PAGES.render(
        request,
        "sign_in/page.html",
        {"errors": [], "next": local_path(next), "name": "", **_providers(request)},
    )


@router.get("/sign-in/{code}")
def confirm(request: Request, code: str, next: str = "/") -> Response:  # noqa: A002 -- the name of the query parameter
    """Ask for a click: programs that open links in mails must not use them up."""
    cookie_name(request, SESSION)
    return PAGES.render(request, "sign_in/confirm.html", {"code": code, "next": local_path(next)})


@router.post("/sign-in")
def sign_in(request: Request, form: Annotated[Form, Depends(posted_form)]) -> Response:
    """Redeem the link and lead on."""
    onward = local_path(form.text("next") or "/")
    try:
        if form.fields.get("name"):
            session = by_password(request, form)
        else:
            session = redeem(request, form.text("code", limit=2000))
    except (Unauthenticated, RateLimited) as error:
        view = {"errors": [error], "next": onward, "name": form.text("name", limit=63), **_providers(request)}
        return PAGES.render(request, "sign_in/page.html", view, status=error.status)
    return keep(request, see_other(onward), session)


@router.post("/sign-out")
def sign_out(request: Request, form: Annotated[Form, Depends(posted_form)]) -> Response:  # noqa: ARG001 -- it proves where the click came from
    """End the session, here and on the server."""
    runtime: Runtime = request.app.state.runtime
    with runtime.session.begin(SYSTEM) as tx:
        identity.end_session(tx, held_secret(request))
    response = see_other("/sign-in")
    drop_cookie(request, response, SESSION)
    return response
