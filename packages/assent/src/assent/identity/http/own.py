"""What people do to their own account: password, authenticator, recovery codes, sessions."""

from typing import Annotated, Any

import pydantic
from fastapi import APIRouter

from assent.identity import service
from assent.identity.domain import Permission
from assent.identity.http.calling import Wire
from assent.kernel.errors import Forbidden, Invalid
from assent.web.api import Call, page, requires

router = APIRouter()
Changing = Annotated[Call, requires(Permission.SELF_CHANGE)]


def _require_fresh(call: Call) -> None:
    """Check that a person calls who signed in just now. Raises: Forbidden, Unauthenticated."""
    if call.actor.kind != "person":
        raise Forbidden("A service account has neither password nor authenticator.")
    service.require_fresh(call.actor, call.runtime.clock.now(), call.runtime.settings.step_up_s)


@router.get("/me/credentials")
def credentials(call: Annotated[Call, requires(Permission.SELF_READ)]) -> dict[str, Any]:
    """Say by what you can sign in: never the secrets."""
    with call.read() as reader:
        return {
            "password": service.has_password(reader, call.actor.id),
            "totp": service.has_totp(reader, call.actor.id),
            "n_recovery_codes": service.n_recovery_codes(reader, call.actor.id),
        }


class NewPassword(Wire):
    """A password to set."""

    password: pydantic.SecretStr = pydantic.Field(min_length=1, max_length=1000)


@router.put("/me/password", status_code=204)
def set_password(body: NewPassword, call: Changing) -> None:
    """Set or change your password, shortly after a sign-in; your console sessions end."""
    _require_fresh(call)
    with call.read() as reader:
        name = service.get_account(reader, call.actor.id).name
    hashed = service.hash_password(body.password.get_secret_value(), name)
    with call.begin() as tx:
        service.set_password(tx, call.actor.id, hashed)
        service.end_sessions(tx, call.actor.id)


@router.delete("/me/password", status_code=204)
def remove_password(call: Changing) -> None:
    """Remove your password."""
    _require_fresh(call)
    with call.begin() as tx:
        service.remove_password(tx, call.actor.id)


@router.post("/me/totp", status_code=201)
def begin_totp(call: Changing) -> dict[str, str]:
    """Begin to set up an authenticator: its secret and address; a code confirms it within 15 minutes."""
    _require_fresh(call)
    with call.begin() as tx:
        enrolment = service.begin_totp(tx, call.actor.id, call.runtime.signers.secret)
    return {"secret": enrolment.secret, "uri": enrolment.uri}


class Confirmation(Wire):
    """The code that the authenticator shows."""

    code: str = pydantic.Field(min_length=6, max_length=20)


@router.post("/me/totp/confirmation", status_code=201)
def confirm_totp(body: Confirmation, call: Changing) -> dict[str, Any]:
    """Confirm the authenticator by a code; gives the recovery codes, once."""
    _require_fresh(call)
    with call.begin() as tx:
        codes = service.confirm_totp(tx, call.actor.id, body.code, call.runtime.signers.secret)
    return {"recovery_codes": codes}


@router.delete("/me/totp", status_code=204)
def remove_totp(call: Changing) -> None:
    """Remove your authenticator and its recovery codes."""
    _require_fresh(call)
    with call.begin() as tx:
        service.remove_totp(tx, call.actor.id)


@router.post("/me/recovery-codes", status_code=201)
def renew_recovery_codes(call: Changing) -> dict[str, Any]:
    """Make new recovery codes; the old ones end."""
    _require_fresh(call)
    with call.begin() as tx:
        return {"recovery_codes": service.renew_recovery(tx, call.actor.id)}


@router.get("/me/sessions")
def list_sessions(call: Annotated[Call, requires(Permission.SELF_READ)]) -> dict[str, Any]:
    """List your console sessions."""
    with call.read() as reader:
        seats = service.list_sessions(reader, call.actor.id)
    return page(
        [
            {"id": s.id, "how": s.how, "agent": s.agent, "opened_at": s.auth_at, "expires_at": s.expires_at}
            for s in seats
        ],
        None,
    )


@router.delete("/me/sessions/{session}", status_code=204)
def end_session(session: str, call: Changing) -> None:
    """End one of your console sessions."""
    with call.begin() as tx:
        service.end_seat(tx, call.actor.id, session)


@router.delete("/people/{name}/credentials", status_code=204)
def reset(name: str, call: Annotated[Call, requires(Permission.CREDENTIAL_RESET)]) -> None:
    """Remove a person's password and authenticator and end their sessions: they begin anew by a link."""
    _require_fresh(call)
    with call.begin() as tx:
        service.reset(tx, name)


class NewLogin(Wire):
    """A login to link; the settings must name its issuer."""

    issuer: str = pydantic.Field(min_length=1, max_length=500)
    subject: str = pydantic.Field(min_length=1, max_length=255)


@router.get("/people/{name}/logins")
def list_logins(name: str, call: Annotated[Call, requires(Permission.LOGIN_LINK)]) -> dict[str, Any]:
    """List the logins at providers that sign a person in."""
    with call.read() as reader:
        found = service.list_logins(reader, service.get_account(reader, name).id)
    return page(
        [
            {"id": one.id, "issuer": one.issuer, "subject": one.subject, "linked_at": one.linked_at}
            for one in found
        ],
        None,
    )


@router.post("/people/{name}/logins", status_code=201)
def link_login(
    name: str, body: NewLogin, call: Annotated[Call, requires(Permission.LOGIN_LINK)]
) -> dict[str, str]:
    """Link a login to a person, shortly after a sign-in: whoever signs in there is they."""
    _require_fresh(call)
    if body.issuer not in {one.issuer for one in call.runtime.settings.oidc_providers}:
        raise Invalid(f"The settings name no provider {body.issuer!r}.", remedy="Set ASSENT_OIDC_PROVIDERS.")
    with call.begin() as tx:
        return {"id": service.link_login(tx, name, body.issuer, body.subject)}


@router.delete("/people/{name}/logins/{login}", status_code=204)
def unlink_login(name: str, login: str, call: Annotated[Call, requires(Permission.LOGIN_LINK)]) -> None:
    """Unlink a login: it signs nobody in any more."""
    _require_fresh(call)
    with call.begin() as tx:
        service.unlink_login(tx, name, login)
