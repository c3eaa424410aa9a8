"""Compile what an environment serves into one signed document.

Digests come from the admitting leaves of the ledger, not from rows: what no leaf admits is left out and
reported. The envelope is DSSE; `assent_client.snapshot` says what its payload holds.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from assent.delivery import store
from assent.delivery.domain import Route, compile_route, read_route, without_canary, without_ended
from assent.delivery.domain.pinning import ends_at
from assent.delivery.service.sampled import published
from assent.delivery.service.subjects import Subject, end_of, find_subject
from assent.flags import service as flags
from assent.flags.domain import published_condition
from assent.identity import service as identity
from assent.kernel.canonical import canonical, digest, digest_bytes
from assent.kernel.clock import to_text
from assent.kernel.errors import Invalid, NotFound, Reason
from assent.kernel.signing import Signer
from assent.kernel.tx import Reader
from assent.ledger import service as ledger
from assent.providers import service as providers
from assent.providers.domain.prices import plain
from assent_client.decide import RouteError, compile_routes
from assent_client.snapshot import ADMITTING_LEAVES, PAYLOAD_TYPE, pae
from assent_client.verify.note import read_unverified

EPOCH = 1
"""Raised by hand after a restore of an older database, so that serials never seem to go backwards."""

Audience = Literal["gateway", "sdk"]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which snapshot is meant."""

    project: str
    environment: str
    audience: Audience
    takes_sampling: bool = False
    """Whether who asks knows of sampling; a snapshot with it is refused by older programs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A signed snapshot as it is served; `omitted` says what was kept out of it, and why.

    renew_at: when something in it ends, so that another one is due.
    """

    scope: Scope
    envelope: bytes
    etag: str
    serial: int
    issued_at: datetime
    expires_at: datetime
    renew_at: datetime | None
    omitted: tuple[Reason, ...]


def compile_snapshot(reader: Reader, scope: Scope, signer: Signer, ttl_s: float) -> Issue:
    """Compile and sign. Raises: NotFound (no such environment), Frozen (the ledger does not hold)."""
    identity.get_environment(reader, scope.project, scope.environment)
    issued_at = reader.now()
    expires_at = issued_at + timedelta(seconds=ttl_s)
    content = _Content(reader, scope)
    content.read()
    serial = ledger.head(reader).size
    keys = _keys(reader, scope) if scope.audience == "gateway" else []
    limits = identity.key_limits(reader, [key["id"] for key in keys]) if keys else {}
    prices = content.prices() if any("currency" in limit for limit in limits.values()) else {}
    sampled = published(reader, scope.project, scope.environment) if scope.takes_sampling else {}
    payload = {
        "v": 1,
        "project": scope.project,
        "environment": scope.environment,
        "audience": scope.audience,
        "epoch": EPOCH,
        "serial": serial,
        "issued_at": to_text(issued_at),
        "expires_at": to_text(expires_at),
        "checkpoint": content.checkpoint,
        "routes": content.routes,
        "versions": content.versions,
        "gone": content.gone,
        "providers": content.providers if scope.audience == "gateway" else _addresses(content.providers),
        "keys": keys,
        "limits": limits,
        **({"prices": prices} if prices else {}),
        **({"segments": content.segments} if content.segments else {}),
        **({"sampling": sampled} if sampled else {}),
    }
    envelope = _sign(canonical(payload), signer)
    return Issue(
        scope=scope,
        envelope=envelope,
        etag=digest_bytes(envelope).removeprefix("sha256:"),
        serial=serial,
        issued_at=issued_at,
        expires_at=expires_at,
        renew_at=content.renew_at,
        omitted=tuple(content.omitted),
    )


class _Content:
    """What one read of the database puts into a snapshot."""

    def __init__(self, reader: Reader, scope: Scope) -> None:
        self._reader = reader
        self._scope = scope
        self._admissions = store.list_admissions(reader.conn, scope.project, scope.environment)
        self.checkpoint = ledger.checkpoint(reader)
        self._size = read_unverified(self.checkpoint).size
        self.routes: dict[str, Any] = {}
        self.versions: dict[str, Any] = {}
        self.gone: dict[str, Any] = {}
        self.providers: dict[str, Any] = {}
        self.segments: dict[str, Any] = {}
        self.omitted: list[Reason] = []
        self.renew_at: datetime | None = None

    def read(self) -> None:
        """Read all routes of the environment."""
        for row in store.list_routes(self._reader.conn, self._scope.project, self._scope.environment):
            self._add(row.name, read_route(row.document))
        self._prove()
        self._add_flags()

    def _add_flags(self) -> None:
        """Take flags and segments in; one that cannot be used spoils no snapshot."""
        found, self.segments = flags.published(self._reader, self._scope.project, self._scope.environment)
        taken = [name for name in found if name in self.routes or name in self.gone]
        for name in taken:
            del found[name]
            self._omit(
                "name", name, f"{name} is the name of a model or prompt.", "Give the flag another name."
            )
        usable = True
        while usable and found:
            try:
                compile_routes(found, self.segments)
                break
            except RouteError as error:
                usable = found.pop(error.key, None) is not None
                self._omit("unusable", error.key, f"{error}.", "Change the flag: assent flag set.")
        self.routes.update(found)

    def _add(self, name: str, route: Route) -> None:
        if not route.enabled:
            self.gone[name] = _gone(f"{name} is switched off in {self._scope.environment}")
            if route.cut:
                self.gone[name]["cut"] = True
            return
        end = end_of(self._reader, self._scope.project, route.stable)
        if end is not None and end["is_retired"]:
            self.gone[name] = {"status": 410, "reason": "it was retired", "successor": end["successor"]}
            return
        now = self._reader.now()
        route = without_ended(route, now)
        admitted = {digest for digest in route.digests if self._has(digest, name)}
        if route.stable not in admitted:
            self.gone[name] = _gone(f"{name} has no version that a decision in the ledger admits")
            return
        if route.canary is not None and route.canary not in admitted:
            route = without_canary(route)
        if route.previous not in {None, *admitted}:
            route = replace(route, previous=None)
        route = replace(route, pins=tuple(pin for pin in route.pins if pin.digest in admitted))
        self.renew_at = min((end for end in (self.renew_at, ends_at(route.pins, now)) if end), default=None)
        self.routes[name] = _published(route)

    def _has(self, subject: str, name: str) -> bool:
        """Take a version in, or say why it is kept out."""
        if subject in self.versions:
            return True
        try:
            admission = self._admission(subject)
        except NotFound as error:
            self._omit("unadmitted", subject, f"{name}: {error.message}", "Release it by a request.")
            return False
        try:
            found = find_subject(self._reader, self._scope.project, subject)
            unreadable = None if _is_whole(found, subject) else "it does not have its digest."
        except (NotFound, Invalid) as error:
            unreadable = error.message
        if unreadable is not None:
            self._omit("unreadable", subject, f"{name}: {subject}: {unreadable}", "Restore it from a backup.")
            return False
        self.versions[subject] = {
            "ref": found.ref,
            "document": found.document,
            "prompts": found.prompts,
            "deprecation": found.deprecation,
            "admission": admission,
        }
        if found.deprecated_prompts:
            self.versions[subject]["deprecated_prompts"] = list(found.deprecated_prompts)
        self._add_provider(found)
        for hop in found.document.get("fallback", ()):
            self._has(hop, f"{name}, as a fallback of {found.ref}")
        return True

    def prices(self) -> dict[str, Any]:
        """Give what the tokens of each version cost, where that is known."""
        found = {}
        for subject, version in self.versions.items():
            document = version["document"]
            names = (document.get("upstream_model"), document.get("base_model"))
            price = providers.price_for(self._reader, self._scope.project, *names)
            if price is not None:
                found[subject] = {
                    "currency": price.currency,
                    "input": plain(price.input),
                    "output": plain(price.output),
                    "as_of": price.as_of.isoformat(),
                }
        return found

    def _omit(self, reason: str, subject: str, message: str, remedy: str) -> None:
        self.omitted.append(Reason(reason, message, remedy, subject))

    def _admission(self, subject: str) -> dict[str, Any]:
        """Give the leaf that admits the version. Raises: NotFound."""
        admission = self._admissions.get(subject)
        if admission is None:
            raise NotFound(f"no decision admits {subject}.")
        leaf = ledger.leaf(self._reader, admission.event)
        if not self._admits(leaf.entry, subject, admission.kind):
            raise NotFound(f"the leaf {leaf.index} does not admit {subject}.")
        return {"kind": admission.kind, "index": leaf.index, "entry": _base64(leaf.entry)}

    def _prove(self) -> None:
        """Prove the leaves that admit the versions; all proofs share what they read of the tree."""
        admissions = [version["admission"] for version in self.versions.values()]
        indices = [admission["index"] for admission in admissions]
        proofs = ledger.inclusion_proofs(self._reader, indices, self._size) if indices else []
        for admission, proof in zip(admissions, proofs, strict=True):
            admission["proof"] = [_base64(node) for node in proof]

    def _admits(self, entry: bytes, subject: str, kind: str) -> bool:
        leaf = json.loads(entry)
        claims = leaf["data"]
        claimed = (claims.get("project"), claims.get("environment"), claims.get("subject"))
        return (
            leaf["type"] == ADMITTING_LEAVES.get(kind)
            and claimed == (self._scope.project, self._scope.environment, subject)
            and (kind != "approved" or claims.get("effect") == "approved")
        )

    def _add_provider(self, found: Subject) -> None:
        name = found.document.get("provider")
        if isinstance(name, str) and name not in self.providers:
            wire = _provider(self._reader, self._scope.project, name)
            if wire is None:
                text = f"{found.ref} names the provider {name}, which is not set up."
                self._omit("provider", name, text, "Add it: assent provider add.")
            else:
                self.providers[name] = wire


def _published(route: Route) -> dict[str, Any]:
    """Write a route as it travels: ids of people that its rules list are hashed."""
    document = compile_route(route)
    for rule in document["rules"]:
        rule["when"] = [published_condition(one, {route.unit}, route.salt) for one in rule["when"]]
    return document


def _is_whole(found: Subject, admitted: str) -> bool:
    """Tell whether the documents are those that were admitted: one wrong one spoils a whole snapshot."""
    documents = {admitted: found.document, **found.prompts}
    return all(digest(document) == name for name, document in documents.items())


def _provider(reader: Reader, project: str, name: str) -> Mapping[str, Any] | None:
    try:
        found = providers.get_provider(reader, project, name)
    except NotFound:
        return None
    return {
        "base_url": found.base_url,
        "api_key": found.api_key,
        "kind": found.kind,
        "connect_timeout_s": found.connect_timeout_s,
        "first_token_timeout_s": found.first_token_timeout_s,
        "idle_timeout_s": found.idle_timeout_s,
    }


def _addresses(found: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Give what applications may know of providers: where they are and what they speak, not the keys."""
    return {name: {"base_url": one["base_url"], "kind": one["kind"]} for name, one in found.items()}


def _keys(reader: Reader, scope: Scope) -> list[dict[str, Any]]:
    keys = identity.application_keys(reader, scope.project, scope.environment)
    return [{"id": key.id, "hash": key.hash, "names": list(key.names)} for key in keys]


def _gone(reason: str) -> dict[str, Any]:
    return {"status": 404, "reason": reason, "successor": None}


def _sign(payload: bytes, signer: Signer) -> bytes:
    signature = signer.sign(pae(PAYLOAD_TYPE, payload))
    envelope = {
        "payloadType": PAYLOAD_TYPE,
        "payload": _base64(payload),
        "signatures": [{"keyid": signer.name, "sig": _base64(signature)}],
    }
    return json.dumps(envelope, separators=(",", ":")).encode()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
