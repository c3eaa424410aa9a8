"""A snapshot made ready for calls: every route, version and refusal is looked up once."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, ClassVar, NamedTuple

import msgspec

from assent_client.calls.dialects import Dialect, spoken_by
from assent_client.calls.edit import Editor
from assent_client.calls.guarding import Guards
from assent_client.calls.refusals import Refusal
from assent_client.decide import Decide
from assent_client.sampling import Sampling
from assent_client.snapshot import Deprecation, Snapshot, Version

log = logging.getLogger(__name__)


class Unusable(NamedTuple):
    """Why a version cannot be called by a form."""

    status: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ServedVersion:
    """A version made ready: what edits its requests by form, or the refusal where a form does not fit."""

    digest: str
    ref: str
    provider: str
    kind: str
    model: str
    fallback: tuple[str, ...]
    editors: Mapping[str, Editor | Unusable]
    guards: Guards
    allowed_models: frozenset[str]

    def editor(self, dialect: Dialect) -> Editor:
        """Give what edits requests of a form.

        Raises: Refusal (422 where the form does not fit, 503 where the version is broken).
        """
        found = self.editors.get(dialect.name)
        if isinstance(found, Editor):
            return found
        if found is None:
            found = _unfitting(self.ref, self.kind, dialect, f"its provider is of the kind {self.kind}")
        raise Refusal(found.status, found.code, found.message, "model")


@dataclass(frozen=True, slots=True)
class ServedRoute:
    """A name that applications call; `headers` are ours on its answers, by variant."""

    key: str
    decide: Decide
    unit: str
    rollout: str | None
    headers: Mapping[str, bytes]
    ends: Mapping[str, Deprecation]
    shadow: Mapping[str, Any] | None = None
    """The route's document, where its calls are mirrored."""
    sampling: Sampling | None = None


def ending(end: Deprecation, ref: str, now: datetime) -> Refusal | None:
    """Refuse a version after its sunset (410), or within a brown-out before it (503)."""
    then = f" Use {end.successor} instead." if end.successor else ""
    if end.is_retired or (end.sunset_at is not None and now >= end.sunset_at):
        return Refusal(410, "model_retired", f"{ref} is retired.{then}", "model")
    for start, until in end.brownouts:
        if start <= now < until:
            message = (
                f"{ref} is deprecated and is refused until {until:%Y-%m-%d %H:%M:%S} UTC, as announced, "
                f"to show who still calls it; it ends for good on {end.sunset_at:%Y-%m-%d}.{then}"
            )
            after_s = max(1, math.ceil((until - now).total_seconds()))
            return Refusal(503, "model_brown_out", message, "model", retry_after_s=after_s)
    return None


class Served:
    """What a call needs of one snapshot; replaced as a whole, never changed.

    `before` is the one in use until now: what has not changed is taken over from it.
    """

    asks_hooks: ClassVar[bool] = False
    """Whether guardrails that are webhooks are asked; elsewhere their versions cannot be called."""

    def __init__(self, snapshot: Snapshot, server_url: str, before: Served | None = None) -> None:
        self.payload = payload = snapshot.payload
        self.expires_at = payload.expires_at
        self.serial = payload.serial
        self.environment = payload.environment
        self._server_url = server_url
        self.versions: dict[str, ServedVersion] = {
            digest: self._version(digest, version, before)
            for digest, version in payload.versions.items()
            if version.document.get("kind") == "model"
        }
        self.routes = {
            key: self._route(route, snapshot.routes[key])
            for key, route in payload.routes.items()
            if route["kind"] == "model" and key not in payload.gone
        }

    def _version(self, digest: str, version: Version, before: Served | None) -> ServedVersion:
        """Make a version ready, or take it over: a digest never means anything else."""
        provider = self.payload.providers.get(str(version.document.get("provider")))
        kind = "openai" if provider is None else provider.kind
        known = None if before is None else before.versions.get(digest)
        if known is not None and known.kind == kind:
            return known
        return _compile(digest, version, kind, asks_hooks=self.asks_hooks)

    def _route(self, route: Mapping[str, Any], decide: Decide) -> ServedRoute:
        variants: Mapping[str, str] = route["variants"]
        headers = {name: self.headers(name, digest) for name, digest in variants.items()}
        ending = {name: self.payload.versions[digest].deprecation for name, digest in variants.items()}
        ends = {name: end for name, end in ending.items() if end is not None}
        shadow = route if "shadow" in route else None
        key = route["key"]
        sampling = self.payload.sampling.get(key)
        return ServedRoute(key, decide, route["unit"], route["rollout"], headers, ends, shadow, sampling)

    def headers(self, variant: str, digest: str) -> bytes:
        """Write our headers on a version's answers."""
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
        return header_lines({**ours, **_deprecated(version.deprecation)})

    def route(self, name: str) -> ServedRoute:
        """Find what serves a name.

        Raises: Refusal (404, 410).
        """
        route = self.routes.get(name)
        if route is None:
            raise self.missing(name)
        return route

    def missing(self, name: str) -> Refusal:
        """Say why a name is not served, and where to ask."""
        gone = self.payload.gone.get(name)
        where = f"Ask at {self._server_url} (project {self.payload.project})"
        if gone is not None:
            then = f" Use {gone.successor} instead." if gone.successor else ""
            code = "model_retired" if gone.status == 410 else "model_not_found"  # noqa: PLR2004 -- Gone
            return Refusal(gone.status, code, f"{name} is not served: {gone.reason}.{then} {where}.", "model")
        message = f"No approved version of {name!r} is live in {self.environment}. {where} for a release."
        return Refusal(404, "model_not_found", message, "model")


def _compile(digest: str, version: Version, kind: str, *, asks_hooks: bool) -> ServedVersion:
    document = version.document
    models = {str(document.get("upstream_model")), *document.get("response_models", ())}
    editors: dict[str, Editor | Unusable] = {}
    try:
        guards = Guards(document, asks_hooks=asks_hooks)
        editors = {dialect.name: _editor(version, kind, dialect) for dialect in spoken_by(kind)}
    except (ValueError, TypeError, KeyError) as error:  # a guardrail that cannot be followed is not left out
        log.error("the guardrails of %s cannot be followed: %s", version.ref, error)  # noqa: TRY400 -- as below
        message = f"The guardrails of {version.ref} cannot be followed: {error}."
        guards = Guards({})
        editors = {d.name: Unusable(503, "version_unusable", message) for d in spoken_by(kind)}
    provider, model = str(document.get("provider")), str(document.get("upstream_model"))
    fallback = tuple(document.get("fallback", ()))
    return ServedVersion(
        digest, version.ref, provider, kind, model, fallback, editors, guards, frozenset(models)
    )


def _editor(version: Version, kind: str, dialect: Dialect) -> Editor | Unusable:
    document = version.document
    try:
        return dialect.editor(document, version.prompts.get(document.get("prompt") or ""))
    except (ValueError, TypeError, KeyError, AttributeError, Refusal) as error:
        if not dialect.is_home:
            return _unfitting(version.ref, kind, dialect, str(error))
        log.error("%s cannot be called: %s", version.ref, error)  # noqa: TRY400 -- the cause is in the text
        return Unusable(503, "version_unusable", f"{version.ref} cannot be called: {error}.")


def _unfitting(ref: str, kind: str, dialect: Dialect, why: str) -> Unusable:
    others = " or ".join(f"POST {one.path.decode()}" for one in spoken_by(kind) if one is not dialect)
    message = f"{ref} cannot be called at {dialect.path.decode()}: {why}. Call it at {others}."
    return Unusable(422, "endpoint_not_fitting", message)


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


def models_body(names: Sequence[str]) -> bytes:
    """Write the list of models, with the fields that clients of OpenAI and of Anthropic look for."""
    ends = {"first_id": names[0], "last_id": names[-1]} if names else {"first_id": None, "last_id": None}
    models = [model_entry(name) for name in names]
    return msgspec.json.encode({"object": "list", "data": models, "has_more": False, **ends})


def model_entry(name: str) -> dict[str, object]:
    """Write one model."""
    ours = {"id": name, "object": "model", "created": 0, "owned_by": "assent"}
    return {**ours, "type": "model", "display_name": name, "created_at": "1970-01-01T00:00:00Z"}


def header_lines(headers: Mapping[str, str]) -> bytes:
    """Write header lines; raises ValueError for what a header cannot hold."""
    for name, value in headers.items():
        if not value.isascii() or not value.isprintable():
            raise ValueError(f"{name} has characters that a header cannot hold")
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("ascii")
