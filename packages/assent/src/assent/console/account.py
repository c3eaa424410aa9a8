"""The visitor's own account: password, authenticator, sessions and tokens."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from markupsafe import Markup

from assent.console.visit import PageRoute, Visit, see_other, signed_in
from assent.identity import service as identity
from assent.kernel.errors import AssentError, Invalid
from assent.web.forms import Form, posted_form

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/account")
Seen = Annotated[Visit, Depends(signed_in)]
Sent = Annotated[Form, Depends(posted_form)]


def _show(
    visit: Visit, error: AssentError | None = None, codes: Sequence[str] = (), field: str = ""
) -> Response:
    person, secret = visit.session.person, visit.runtime.signers.secret
    with visit.read() as reader:
        is_fresh = visit.signed_in_s(reader) <= visit.runtime.settings.step_up_s
        enrolment = identity.pending_totp(reader, person, secret) if is_fresh else None
        view: dict[str, Any] = {
            "is_fresh": is_fresh,
            "step_up_s": visit.runtime.settings.step_up_s,
            "has_password": identity.has_password(reader, person),
            "has_totp": identity.has_totp(reader, person),
            "n_recovery_codes": identity.n_recovery_codes(reader, person),
            "logins": identity.list_logins(reader, person),
            "providers": visit.runtime.settings.oidc_providers,
            "sessions": identity.list_sessions(reader, person),
            "here": identity.session_id(visit.session.secret),
            "tokens": [t for t in identity.list_tokens(reader, person) if t["expires_at"] > reader.now()],
        }
    drawing = Markup(enrolment.drawing) if enrolment else ""  # noqa: S704 -- drawn by segno from our own text, which it escapes
    errors = () if error is None else error.reasons or (error,)
    return visit.page(
        "account/page.html",
        status=200 if error is None else error.status,
        enrolment=enrolment,
        drawing=drawing,
        codes=codes,
        errors=errors,
        error_field=field,
        **view,
    )


def _require_fresh(visit: Visit) -> None:
    identity.require_fresh(visit.session.actor, visit.runtime.clock.now(), visit.runtime.settings.step_up_s)


@router.get("")
def show(visit: Seen) -> Response:
    """Show the account."""
    return _show(visit)


@router.post("/password")
def set_password(visit: Seen, form: Sent) -> Response:
    """Set or change the password; the other sessions end."""
    person = visit.session.person
    try:
        _require_fresh(visit)
        typed = form.fields.get("password", "")
        if typed != form.fields.get("again", ""):
            raise Invalid("The two passwords differ.", remedy="Type the same one twice.")
        hashed = identity.hash_password(typed, visit.name)
    except AssentError as error:
        return _show(visit, error, field="password")
    with visit.begin() as tx:
        identity.set_password(tx, person, hashed)
        identity.end_sessions(tx, person, but=visit.session.secret)
    return see_other("/account")


@router.post("/password/removal")
def remove_password(visit: Seen, form: Sent) -> Response:  # noqa: ARG001 -- it proves where the click came from
    """Remove the password."""
    _require_fresh(visit)
    with visit.begin() as tx:
        identity.remove_password(tx, visit.session.person)
    return see_other("/account")


@router.post("/totp")
def begin_totp(visit: Seen, form: Sent) -> Response:  # noqa: ARG001 -- as above
    """Begin to set up an authenticator."""
    _require_fresh(visit)
    with visit.begin() as tx:
        identity.begin_totp(tx, visit.session.person, visit.runtime.signers.secret)
    return see_other("/account")


@router.post("/totp/confirmation")
def confirm_totp(visit: Seen, form: Sent) -> Response:
    """Confirm the authenticator by its code; shows the recovery codes, once."""
    try:
        _require_fresh(visit)
        with visit.begin() as tx:
            secret = visit.runtime.signers.secret
            codes = identity.confirm_totp(tx, visit.session.person, form.text("totp", limit=20), secret)
    except AssentError as error:
        return _show(visit, error, field="totp")
    return _show(visit, codes=codes)


@router.post("/totp/removal")
def remove_totp(visit: Seen, form: Sent) -> Response:  # noqa: ARG001 -- as above
    """Remove the authenticator."""
    _require_fresh(visit)
    with visit.begin() as tx:
        identity.remove_totp(tx, visit.session.person)
    return see_other("/account")


@router.post("/recovery-codes")
def renew_recovery_codes(visit: Seen, form: Sent) -> Response:  # noqa: ARG001 -- as above
    """Make new recovery codes; shows them, once."""
    _require_fresh(visit)
    with visit.begin() as tx:
        codes = identity.renew_recovery(tx, visit.session.person)
    return _show(visit, codes=codes)


@router.post("/sessions/end")
def end_sessions(visit: Seen, form: Sent) -> Response:
    """End one session, or every other one."""
    with visit.begin() as tx:
        if form.text("session"):
            identity.end_seat(tx, visit.session.person, form.text("session"))
        else:
            identity.end_sessions(tx, visit.session.person, but=visit.session.secret)
    return see_other("/account")


@router.post("/tokens/revocation")
def revoke_token(visit: Seen, form: Sent) -> Response:
    """Revoke one of the visitor's tokens."""
    with visit.begin() as tx:
        identity.revoke_token(tx, form.text("token"), any_owner=False)
    return see_other("/account")
