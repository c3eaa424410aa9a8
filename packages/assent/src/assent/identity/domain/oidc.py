"""What an ID token must say before anybody is believed to be signed in (OpenID Connect Core, 3.1.3.7)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from assent.kernel.errors import Unauthenticated

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""Asymmetric ones only: `none` and HS256 would let anybody who knows the public key sign."""
SKEW = timedelta(seconds=60)
LONGEST_LIFE = timedelta(hours=24)
MAX_SUBJECT = 255
LAST_MOMENT = 2**37


@dataclass(frozen=True, slots=True)
class Expected:
    """What the token must have been made for."""

    issuer: str
    client_id: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Proof:
    """Who signed in at a provider; `auth_at` is when they proved it, where the provider says so."""

    issuer: str
    subject: str
    auth_at: datetime | None


def proof_of(claims: Mapping[str, Any], expected: Expected, now: datetime) -> Proof:
    """Check the claims of a token whose signature is right. Raises: Unauthenticated, naming a fault."""
    fault = _fault(claims, expected, now)
    if fault:
        raise Unauthenticated(
            f"The provider's answer is not accepted: {fault}.", remedy="Begin the sign-in again."
        )
    auth_at = _moment(claims.get("auth_time"))
    return Proof(expected.issuer, str(claims["sub"]), None if auth_at is None else min(auth_at, now))


def _fault(claims: Mapping[str, Any], expected: Expected, now: datetime) -> str:
    issued_at, ends_at = _moment(claims.get("iat")), _moment(claims.get("exp"))
    subject, auth_at = claims.get("sub"), _moment(claims.get("auth_time"))
    begins_at = _moment(claims["nbf"]) if "nbf" in claims else issued_at
    if claims.get("iss") != expected.issuer:
        return "another issuer made it"
    if not _is_for(claims, expected.client_id):
        return "it was made for another application"
    if issued_at is None or ends_at is None or begins_at is None:
        return "it does not say when it was made and when it ends"
    if ends_at + SKEW <= now or issued_at + LONGEST_LIFE <= now:
        return "it has expired"
    if issued_at > now + SKEW or begins_at > now + SKEW or (auth_at is not None and auth_at > now + SKEW):
        return "it comes from the future; compare the clocks"
    if not expected.nonce or claims.get("nonce") != expected.nonce:
        return "it answers another sign-in (nonce)"
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
        return "it names nobody"
    return ""


def _is_for(claims: Mapping[str, Any], client_id: str) -> bool:
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    party = claims.get("azp", client_id if len(named) == 1 else None)
    return client_id in named and party == client_id


def _moment(value: object) -> datetime | None:
    """Read seconds since 1970; None for what is no such number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LAST_MOMENT:
        return None
    return datetime.fromtimestamp(value, UTC)
