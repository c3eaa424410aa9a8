"""A snapshot made ready for requests: every route, version, key and refusal is looked up once."""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import os
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from assent.gateway.edit import Editor
from assent.gateway.problems import Refusal
from assent_client.decide import Decide
from assent_client.snapshot import ApplicationKey, Deprecation, Provider, Snapshot, Version

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an upstream listens; equal ones share a pool of connections."""

    host: str
    port: int
    tls: bool
    connect_timeout_s: float


@dataclass(frozen=True, slots=True)
class Upstream:
    """A provider made ready: `start` is the request line and the headers that never change."""

    endpoint: Endpoint
    start: bytes
    first_token_timeout_s: float
    idle_timeout_s: float


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """A version made ready, or `broken` with the reason why it cannot be called."""

    digest: str
    ref: str
    provider: str
    editor: Editor | None
    allowed_models: frozenset[str]
    broken: str = ""

    def usable(self) -> Editor:
        """Give what edits requests; raises Refusal (503) where the version is broken."""
        if self.editor is None:
            raise Refusal(503, "version_unusable", f"{self.broken}.")
        return self.editor


@dataclass(frozen=True, slots=True)
class ServedRoute:
    """A name that applications call; `headers` are ours on its answers, by variant."""

    key: str
    decide: Decide
    rollout: str | None
    headers: Mapping[str, bytes]
    ends: Mapping[str, Deprecation]


def ending(end: Deprecation, ref: str, now: datetime) -> tuple[Refusal, bytes] | None:
    """Refuse a version after its sunset (410), or within a brown-out before it (503)."""
    then = f" Use {end.successor} instead." if end.successor else ""
    if end.is_retired or (end.sunset_at is not None and now >= end.sunset_at):
        return Refusal(410, "model_retired", f"{ref} is retired.{then}", "model"), b""
    for start, until in end.brownouts:
        if start <= now < until:
            message = (
                f"{ref} is deprecated and is refused until {until:%Y-%m-%d %H:%M:%S} UTC, as announced, "
                f"to show who still calls it; it ends for good on {end.sunset_at:%Y-%m-%d}.{then}"
            )
            retry = b"retry-after: %d\r\n" % max(1, math.ceil((until - now).total_seconds()))
            return Refusal(503, "model_brown_out", message, "model"), retry
    return None


class Served:
    """Everything that a request needs, from one snapshot; replaced as a whole, never changed."""

    def __init__(self, snapshot: Snapshot, server_url: str, before: Served | None = None) -> None:
        self.payload = payload = snapshot.payload
        self.expires_at = payload.expires_at
        self.serial = payload.serial
        self.environment = payload.environment
        self._server_url = server_url
        known: Mapping[str, ServedVersion] = before.versions if before is not None else {}
        self.upstreams = {name: _upstream(name, p) for name, p in payload.providers.items()}
        self.versions: dict[str, ServedVersion] = {
            digest: known.get(digest) or _compile(digest, version)
            for digest, version in payload.versions.items()
            if version.document.get("kind") == "model"
        }
        self._keys = {key.hash: key for key in payload.keys}
        self.routes = {
            key: self._route(key, route["variants"], route["rollout"], snapshot.routes[key])
            for key, route in payload.routes.items()
            if route["kind"] == "model" and key not in payload.gone
        }

    def _route(
        self, key: str, variants: Mapping[str, str], rollout: str | None, decide: Decide
    ) -> ServedRoute:
        headers = {name: self._headers(name, digest) for name, digest in variants.items()}
        ending = {name: self.payload.versions[digest].deprecation for name, digest in variants.items()}
        ends = {name: end for name, end in ending.items() if end is not None}
        return ServedRoute(key, decide, rollout, headers, ends)

    def _headers(self, variant: str, digest: str) -> bytes:
        version = self.payload.versions[digest]
        ours = {
            "x-assent-version": version.ref,
            "x-assent-digest": digest,
            "x-assent-variant": variant,
            "x-assent-admission": version.admission.kind,
            "x-assent-serial": str(self.serial),
        }
        for prompt in version.deprecated_prompts:
            then = f'; successor="{prompt.successor}"' if prompt.successor else ""
            ours["x-assent-deprecated-prompt"] = f"{prompt.ref}; at=@{int(prompt.at.timestamp())}{then}"
        return _lines({**ours, **_deprecated(version.deprecation)})

    def authenticate(self, authorization: bytes | None) -> ApplicationKey:
        """Find the application whose key this is.

        Raises: Refusal (401).
        """
        scheme, _, token = (authorization or b"").partition(b" ")
        presented = hashlib.sha256(token.strip()).hexdigest()
        key = self._keys.get(presented)
        if scheme.lower() != b"bearer" or key is None or not hmac.compare_digest(key.hash, presented):
            raise Refusal(
                401,
                "invalid_api_key",
                f"The API key is missing or unknown in {self.environment}. "
                "Send an application's key as 'Authorization: Bearer …' (`assent key create` makes one).",
            )
        return key

    def route(self, name: str, key: ApplicationKey) -> ServedRoute:
        """Find what serves a name.

        Raises: Refusal (403, 404, 410).
        """
        if not may_call(key, name):
            raise Refusal(403, "name_not_allowed", f"The key {key.id} is not scoped to {name!r}.", "model")
        route = self.routes.get(name)
        if route is None:
            raise self._missing(name)
        return route

    def _missing(self, name: str) -> Refusal:
        gone = self.payload.gone.get(name)
        where = f"Ask at {self._server_url} (project {self.payload.project})"
        if gone is not None:
            then = f" Use {gone.successor} instead." if gone.successor else ""
            code = "model_retired" if gone.status == 410 else "model_not_found"  # noqa: PLR2004 -- Gone
            return Refusal(gone.status, code, f"{name} is not served: {gone.reason}.{then} {where}.", "model")
        message = f"No approved version of {name!r} is live in {self.environment}. {where} for a release."
        return Refusal(404, "model_not_found", message, "model")

    def names(self, key: ApplicationKey) -> list[str]:
        """List the names that an application may call."""
        return sorted(name for name in self.routes if may_call(key, name))


def may_call(key: ApplicationKey, name: str) -> bool:
    """Tell whether an application's key is scoped to a name."""
    return "*" in key.names or name in key.names


def secret(reference: str | None) -> str | None:
    """Read a provider's key from where the reference points: `env:NAME` or `file:/path`.

    Raises: ValueError where it cannot be read.
    """
    if reference is None:
        return None
    scheme, _, place = reference.partition(":")
    try:
        value = os.environ[place] if scheme == "env" else _file(scheme, place)
    except (KeyError, OSError) as error:
        raise ValueError(f"the key reference {reference} cannot be read: {error!r}") from None
    value = value.strip()
    if not value or not value.isascii() or not value.isprintable():
        raise ValueError(f"the key behind {reference} is empty or has characters that a header cannot hold")
    return value


def _file(scheme: str, place: str) -> str:
    if scheme != "file":
        raise KeyError(scheme)
    return Path(place).read_text("utf-8")


def _upstream(name: str, provider: Provider) -> Upstream | str:
    """Make a provider ready; a text says why it cannot be used."""
    try:
        return _ready(provider)
    except ValueError as error:
        log.error("gateway: the provider %s cannot be used: %s", name, error)  # noqa: TRY400 -- the cause is in the text
        return f"the provider {name} cannot be used: {error}"


def _ready(provider: Provider) -> Upstream:
    url = urlsplit(provider.base_url)
    if url.scheme not in {"http", "https"} or not url.hostname or url.query or url.fragment or url.username:
        raise ValueError(f"{provider.base_url!r} is not a base URL")
    tls, port = url.scheme == "https", url.port
    key = secret(provider.api_key)
    lines = {"host": url.netloc, "content-type": "application/json", "accept-encoding": "identity"}
    lines |= {"authorization": f"Bearer {key}"} if key else {}
    start = f"POST {url.path.rstrip('/')}/chat/completions HTTP/1.1\r\n".encode("ascii") + _lines(lines)
    endpoint = Endpoint(url.hostname, port or (443 if tls else 80), tls, provider.connect_timeout_s)
    return Upstream(endpoint, start, provider.first_token_timeout_s, provider.idle_timeout_s)


def _compile(digest: str, version: Version) -> ServedVersion:
    document = version.document
    models = {str(document.get("upstream_model")), *document.get("response_models", ())}
    editor, broken = None, ""
    try:
        editor = Editor(document, version.prompts.get(document.get("prompt") or ""))
    except (ValueError, TypeError, KeyError, AttributeError, Refusal) as error:
        broken = f"{version.ref} cannot be called: {error}"
        log.error("gateway: %s", broken)  # noqa: TRY400 -- the cause is in the text
    provider = str(document.get("provider"))
    return ServedVersion(digest, version.ref, provider, editor, frozenset(models), broken)


def _deprecated(deprecation: Deprecation | None) -> dict[str, str]:
    """Write RFC 9745 (Deprecation), RFC 8594 (Sunset) and a link to the successor."""
    if deprecation is None:
        return {}
    lines = {}
    if deprecation.at is not None:
        lines["deprecation"] = f"@{int(deprecation.at.timestamp())}"
    if deprecation.sunset_at is not None:
        lines["sunset"] = format_datetime(deprecation.sunset_at.astimezone(UTC), usegmt=True)
    if deprecation.successor:
        lines["link"] = f'<urn:assent:{deprecation.successor}>; rel="successor-version"'
    return lines


def _lines(headers: Mapping[str, str]) -> bytes:
    for name, value in headers.items():
        if not value.isascii() or not value.isprintable():
            raise ValueError(f"{name} has characters that a header cannot hold")
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("ascii")


def tls_context(authorities: Path | None) -> ssl.SSLContext:
    """Give the context that verifies peers, by the system's authorities and those of a file."""
    context = ssl.create_default_context()
    if authorities is not None:
        context.load_verify_locations(cafile=authorities)
    context.set_alpn_protocols(["http/1.1"])
    return context


def models_body(names: Sequence[str]) -> bytes:
    """Write OpenAI's list of models."""
    models = [{"id": name, "object": "model", "created": 0, "owned_by": "assent"} for name in names]
    return msgspec.json.encode({"object": "list", "data": models})
