"""Signing in on the command line: by a one-time link, or by password and authenticator."""

import pydantic
from fastapi import APIRouter, Request

from assent.identity import service
from assent.identity.http.calling import Wire, address_of
from assent.kernel.runtime import Runtime
from assent.kernel.tx import SYSTEM

router = APIRouter()


class SignIn(Wire):
    """The code of a one-time link."""

    code: str = pydantic.Field(min_length=20, max_length=200)


@router.post("/sign-ins", status_code=201)
def sign_in(body: SignIn, request: Request) -> dict[str, str]:
    """Redeem a one-time link for a token of twelve hours."""
    runtime: Runtime = request.app.state.runtime
    with runtime.session.begin(SYSTEM) as tx:
        return {"token": service.redeem_link_for_token(tx, body.code)}


class PasswordSignIn(Wire):
    """A name, its password, and the authenticator's code or a recovery code."""

    name: str = pydantic.Field(min_length=1, max_length=63)
    password: pydantic.SecretStr = pydantic.Field(min_length=1, max_length=1000)
    code: str = pydantic.Field(min_length=6, max_length=40)


@router.post("/sign-ins/password", status_code=201)
def sign_in_by_password(body: PasswordSignIn, request: Request) -> dict[str, str]:
    """Sign in by password and code for a token of twelve hours; guesses are slowed down and then refused."""
    runtime: Runtime = request.app.state.runtime
    secret = runtime.signers.secret
    with runtime.session.begin(SYSTEM) as tx:
        attempt = service.open_attempt(tx, body.name, address_of(request), secret)
    right = service.is_right(attempt, body.password.get_secret_value())
    with runtime.session.begin(SYSTEM) as tx:
        person = service.close_attempt(tx, attempt, body.code, secret, right=right)
        return {"token": service.sign_in_token(tx, person)}
