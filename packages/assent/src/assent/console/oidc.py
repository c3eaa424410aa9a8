"""Signing in at a provider (OpenID Connect), and linking a login there to one's own account."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from assent.console.sign_in import agent, keep, life
from assent.console.visit import (
    PAGES,
    SESSION,
    PageRoute,
    Visit,
    held_secret,
    local_path,
    see_other,
    signed_in,
)
from assent.identity import service as identity
from assent.kernel.errors import Unauthenticated
from assent.kernel.runtime import Runtime
from assent.kernel.tx import SYSTEM
from assent.web.forms import Form, cookie_name, form_secret, posted_form, set_cookie

router = APIRouter(route_class=PageRoute, include_in_schema=False)
MAX_CODE = 4000


def _providers(request: Request) -> identity.Providers:
    found: identity.Providers = request.app.state.oidc
    return found


def _redirect_uri(request: Request, provider: str) -> str:
    runtime: Runtime = request.app.state.runtime
    return f"{runtime.settings.base_url}/sign-in/oidc/{provider}/callback"


def _begin(request: Request, provider: str, onward: str, person: str | None) -> tuple[str, str, bool]:
    """Begin a sign-in; gives the provider's address, this browser's secret, and whether that is new."""
    providers, runtime = _providers(request), request.app.state.runtime
    providers.get(provider)
    browser, is_new = form_secret(request)
    new = identity.NewFlow(provider, browser, _redirect_uri(request, provider), onward, person)
    with runtime.session.begin(SYSTEM) as tx:
        start = identity.begin_flow(tx, new)
    return providers.address(provider, start, runtime.settings.step_up_s), browser, is_new


@router.get("/sign-in/oidc/{provider}")
def begin(request: Request, provider: str, next: str = "/") -> Response:  # noqa: A002 -- the name of the query parameter
    """Lead to the provider."""
    address, browser, is_new = _begin(request, provider, local_path(next), None)
    response = see_other(address)
    if is_new:
        set_cookie(request, response, "form", browser)
    return response


@router.get("/sign-in/oidc/{provider}/callback")
def come_back(request: Request, provider: str, state: str = "", code: str = "", error: str = "") -> Response:
    """Take the provider's answer: sign in, or link the login to whoever is signed in."""
    cookie_name(request, SESSION)
    runtime: Runtime = request.app.state.runtime
    browser, _ = form_secret(request)
    try:
        with runtime.session.begin(SYSTEM) as tx:
            flow = identity.take_flow(tx, state, browser, provider, _redirect_uri(request, provider))
        if error or not 0 < len(code) <= MAX_CODE:
            raise Unauthenticated("The provider did not sign you in.", remedy="Begin the sign-in again.")  # noqa: TRY301 -- shown like the others
        proof = _providers(request).proof(provider, flow.start, code)
        if flow.person is not None:
            return _link(request, flow.person, proof)
        with runtime.session.begin(SYSTEM) as tx:
            person = identity.sign_in_by(tx, proof)
            identity.end_session(tx, held_secret(request))
            opening = identity.Opening("oidc", proof.auth_at, agent(request), life(runtime))
            session = identity.open_session(tx, person, opening)
    except Unauthenticated as fault:
        return PAGES.render(request, "sign_in/refused.html", {"errors": [fault]}, status=fault.status)
    return keep(request, see_other(flow.onward), session)


def _link(request: Request, person: str, proof: Any) -> Response:
    visit = signed_in(request)
    if visit.session.person != person:
        raise Unauthenticated("Another person is signed in now.", remedy="Begin again.")
    with visit.begin() as tx:
        identity.link_login(tx, person, proof.issuer, proof.subject)
    return see_other("/account")


@router.post("/account/logins")
def begin_link(
    request: Request, visit: Annotated[Visit, Depends(signed_in)], form: Annotated[Form, Depends(posted_form)]
) -> Response:
    """Begin to link a login: the page leads there by a link, since forms may not leave this site."""
    settings = visit.runtime.settings
    identity.require_fresh(visit.session.actor, visit.runtime.clock.now(), settings.step_up_s)
    provider = form.text("provider", limit=63)
    address, _, _ = _begin(request, provider, "/account", visit.session.person)
    title = _providers(request).get(provider).title
    return visit.page("sign_in/onward.html", address=address, title=title)


@router.post("/account/logins/removal")
def unlink(
    visit: Annotated[Visit, Depends(signed_in)], form: Annotated[Form, Depends(posted_form)]
) -> Response:
    """Unlink a login."""
    identity.require_fresh(visit.session.actor, visit.runtime.clock.now(), visit.runtime.settings.step_up_s)
    with visit.begin() as tx:
        identity.unlink_login(tx, visit.session.person, form.text("login"))
    return see_other("/account")
