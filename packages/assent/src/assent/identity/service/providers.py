"""Providers of OpenID Connect, as the settings name them: discovery, keys, and trading a code for a token."""

import base64
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from assent.identity.domain.oidc import ALGORITHMS, Expected, Proof, proof_of
from assent.kernel.clock import Clock
from assent.kernel.errors import NotFound, Unauthenticated, Unavailable
from assent.kernel.settings import OidcProvider

TIMEOUT_S = 10
MAX_ANSWER = 1_000_000
KEPT_FOR = timedelta(hours=1)
ASK_AGAIN_AFTER = timedelta(seconds=60)
KEY_TYPES = {"RSA", "EC", "OKP"}
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True, slots=True)
class Start:
    """What one sign-in is bound to."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str


@dataclass(slots=True)
class _Known:
    metadata: Mapping[str, Any] | None = None
    keys: KeySet | None = None
    asked_at: datetime | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Providers:
    """The providers that the settings name; what they publish is kept for an hour."""

    def __init__(self, settings: tuple[OidcProvider, ...], clock: Clock) -> None:
        self.by_name = {one.name: one for one in settings}
        self._clock = clock
        self._known = {name: _Known() for name in self.by_name}

    def get(self, name: str) -> OidcProvider:
        """Get a provider. Raises: NotFound."""
        if name not in self.by_name:
            raise NotFound(f"There is no provider {name!r}.", remedy="ASSENT_OIDC_PROVIDERS names them.")
        return self.by_name[name]

    def address(self, name: str, start: Start, max_age_s: int) -> str:
        """Give the address at which a person signs in. Raises: NotFound, Unavailable."""
        provider = self.get(name)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(start.verifier.encode()).digest()).rstrip(b"=")
        query = {
            "response_type": "code",
            "scope": "openid",
            "client_id": provider.client_id,
            "redirect_uri": start.redirect_uri,
            "state": start.state,
            "nonce": start.nonce,
            "max_age": str(max_age_s),
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        endpoint = self._published(name)["authorization_endpoint"]
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"

    def proof(self, name: str, start: Start, code: str) -> Proof:
        """Trade the code for an ID token and check it. Raises: NotFound, Unavailable, Unauthenticated."""
        provider = self.get(name)
        secret = provider.client_secret
        body = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": start.redirect_uri,
            "code_verifier": start.verifier,
            "client_id": provider.client_id,
        }
        auth = None if secret is None else (provider.client_id, secret.get_secret_value())
        answer = _ask("POST", self._published(name)["token_endpoint"], body, auth)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise Unauthenticated("The provider gave no ID token.", remedy="Begin the sign-in again.")
        expected = Expected(provider.issuer, provider.client_id, start.nonce)
        return proof_of(self._claims(name, token), expected, self._clock.now())

    def _claims(self, name: str, token: str) -> Mapping[str, Any]:
        """Verify the signature; a key that is not known yet is asked for once more."""
        for keys in (self._keys(name), self._keys(name, again=True)):
            try:
                return jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims
            except (JoseError, ValueError, TypeError):
                continue
        raise Unauthenticated(
            "The provider's answer is not signed by one of its keys.", remedy="Begin the sign-in again."
        )

    def _published(self, name: str) -> Mapping[str, Any]:
        known = self._known[name]
        with known.lock:
            if known.metadata is None:
                issuer = self.by_name[name].issuer
                found = _ask("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
                if found.get("issuer") != issuer:
                    raise Unavailable(f"{issuer} says that its issuer is another one.")
                for endpoint in ENDPOINTS:
                    if not isinstance(found.get(endpoint), str) or not is_safe(found[endpoint]):
                        raise Unavailable(f"{issuer} names no safe {endpoint}.")
                known.metadata = found
            return known.metadata

    def _keys(self, name: str, *, again: bool = False) -> KeySet:
        address, known, now = self._published(name)["jwks_uri"], self._known[name], self._clock.now()
        with known.lock:
            age = None if known.asked_at is None else now - known.asked_at
            if known.keys is None or age is None or age >= (ASK_AGAIN_AFTER if again else KEPT_FOR):
                published = _ask("GET", address).get("keys")
                usable = [k for k in published or [] if isinstance(k, dict) and k.get("kty") in KEY_TYPES]
                try:
                    known.keys = KeySet.import_key_set({"keys": usable})
                except (JoseError, ValueError, TypeError, KeyError) as error:
                    raise Unavailable("The provider's keys cannot be read.") from error
                known.asked_at = now
            return known.keys


def is_safe(address: str) -> bool:
    """Tell whether a secret may be sent there: over https, or to this machine."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (
        parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost", "::1"}
    )


def _ask(
    verb: str, address: str, form: Mapping[str, str] | None = None, auth: tuple[str, str] | None = None
) -> dict[str, Any]:
    """Ask a provider, within bounds of time and size; redirects are not followed."""
    try:
        with (
            httpx.Client(timeout=TIMEOUT_S, follow_redirects=False) as client,
            client.stream(
                verb, address, data=form, auth=auth, headers={"accept": "application/json"}
            ) as answer,
        ):
            content = bytearray()
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > MAX_ANSWER:
                    raise Unavailable("The provider's answer is too large.")
    except httpx.HTTPError as error:
        raise Unavailable(f"The provider does not answer: {type(error).__name__}.") from error
    if answer.status_code in {400, 401} and form is not None:
        raise Unauthenticated(
            "The provider does not accept this code: it was used, or is not from this sign-in.",
            remedy="Begin the sign-in again.",
        )
    try:
        found = json.loads(content) if answer.is_success else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Unavailable(f"The provider answered {answer.status_code}, without what was asked for.")
    return found
