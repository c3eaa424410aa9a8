"""Signed snapshots: what production runs on, checked before it is used.

A snapshot is a DSSE envelope over one JSON payload per environment and audience:

    {"payloadType": "application/vnd.assent.snapshot.v1+json", "payload": "<base64>",
     "signatures": [{"keyid": "…", "sig": "<base64>"}]}

Nothing in it is believed because it arrived: the signature, the serial, each version's digest and the
proof that an admitting decision stands in the ledger are checked against a root document that this
installation pinned. Source: DSSE 1.0.2 (PAE); RFC 6962 inclusion proofs; C2SP signed notes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from assent_client.decide import Decide, RouteError, compile_routes
from assent_client.errors import Invalid
from assent_client.sampling import Sampling
from assent_client.verify.merkle import VerificationError, leaf_hash, verify_inclusion
from assent_client.verify.note import Checkpoint, parse_vkey, verify_note

PAYLOAD_TYPE: Final = "application/vnd.assent.snapshot.v1+json"
MAX_ENVELOPE_BYTES: Final = 64_000_000
MAX_ENTRY_BYTES: Final = 65_535
ADMITTING_LEAVES: Final[Mapping[str, str]] = {
    "approved": "approvals.decision.made",
    "adopted": "delivery.version.adopted",
    "break_glass": "approvals.break_glass.opened",
}
_REFUSED_REMEDY = (
    "Compare the server's root document (GET /ledger/root) with the one pinned here, then ask its operator."
)

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Digest = Annotated[str, msgspec.Meta(pattern=r"\Asha256:[0-9a-f]{64}\Z")]
Count = Annotated[int, msgspec.Meta(ge=0)]
Amount = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{1,12}(\.[0-9]{1,12})?\Z")]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class SnapshotRefused(Invalid):
    """The snapshot is kept out; the message says which check failed."""

    def __init__(self, message: str) -> None:
        super().__init__(f"The snapshot is refused: {message}.", remedy=_REFUSED_REMEDY)


class Signature(msgspec.Struct, frozen=True):
    """One signature of an envelope; the key id is a hint that nobody relies on."""

    sig: str
    keyid: str = ""


class Envelope(msgspec.Struct, frozen=True, rename="camel"):
    """The outer form, before anything is believed."""

    payload_type: str
    payload: str
    signatures: list[Signature]


class Deprecation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version that is on its way out."""

    at: Moment | None = None
    sunset_at: Moment | None = None
    successor: str | None = None
    brownouts: list[tuple[Moment, Moment]] = []
    is_retired: bool = False


class DeprecatedPrompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A prompt version that a model version pins and nobody should take up any more."""

    ref: str
    at: Moment
    successor: str | None = None


class Admission(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ledger's leaf that lets a version into this environment, with its inclusion proof."""

    kind: str
    index: Count
    entry: str
    proof: list[str]


class Version(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version and what is needed to call it."""

    ref: str
    document: dict[str, Any]
    prompts: dict[Digest, dict[str, Any]]
    admission: Admission
    deprecation: Deprecation | None = None
    deprecated_prompts: list[DeprecatedPrompt] = []


class Departed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A name that is not served any more, and why; `cut` ends its calls under way."""

    status: Literal[404, 410]
    reason: str
    successor: str | None = None
    cut: bool = False


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An upstream; `api_key` is a reference (`env:NAME` or `file:/path`), never a secret."""

    base_url: str
    api_key: str | None = None
    kind: str = "openai"
    connect_timeout_s: Seconds = 2.0
    first_token_timeout_s: Seconds = 60.0
    idle_timeout_s: Seconds = 60.0


class ApplicationKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The SHA-256 of an application's key, and the names that it may call (`*` = all)."""

    id: str
    hash: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    names: list[str]


class KeyLimits(msgspec.Struct, frozen=True):
    """How much an application's key allows, by minute, day and month (UTC); None: as much as is asked.

    Costs are decimal text, in `currency`.
    """

    requests_per_minute: Annotated[int, msgspec.Meta(ge=1)] | None = None
    tokens_per_minute: Annotated[int, msgspec.Meta(ge=1)] | None = None
    tokens_per_day: Annotated[int, msgspec.Meta(ge=1)] | None = None
    cost_per_day: Amount | None = None
    cost_per_month: Amount | None = None
    currency: str | None = None


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a million tokens of a version cost, as decimal text, as was known on a day."""

    currency: str
    input: Amount
    output: Amount
    as_of: str


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the signature covers."""

    v: Literal[1]
    project: str
    environment: str
    audience: Literal["gateway", "sdk"]
    epoch: Count
    serial: Count
    issued_at: Moment
    expires_at: Moment
    checkpoint: str
    routes: dict[str, dict[str, Any]]
    versions: dict[Digest, Version]
    gone: dict[str, Departed] = {}
    providers: dict[str, Provider] = {}
    keys: list[ApplicationKey] = []
    limits: dict[str, KeyLimits] = {}
    prices: dict[Digest, Price] = {}
    """Of versions, where a key has a budget in money; a version that is not there has no known price."""
    segments: dict[str, dict[str, Any]] = {}
    sampling: dict[str, Sampling] = {}

    @property
    def position(self) -> tuple[int, int]:
        """What never goes backwards: (epoch, serial)."""
        return (self.epoch, self.serial)


@dataclass(frozen=True, slots=True)
class Root:
    """What this installation trusts: the ledger's name, its key and the snapshots' key."""

    origin: str
    log_vkey: str
    snapshot_vkey: str

    @classmethod
    def parse(cls, document: bytes | str) -> Root:
        """Read the root document.

        Raises: Invalid.
        """
        try:
            root = msgspec.json.decode(document, type=cls)
            log, snapshot = parse_vkey(root.log_vkey), parse_vkey(root.snapshot_vkey)
        except (msgspec.MsgspecError, VerificationError) as error:
            raise Invalid(f"This is not a root document: {error}.") from None
        if log.name != root.origin:
            raise Invalid(f"The root document names {root.origin}, its log key names {log.name}.")
        if log.public == snapshot.public:
            raise Invalid("The root document uses one key for ledger and snapshots; they must differ.")
        return root

    def to_json(self) -> bytes:
        """Write the document."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which snapshot this installation wants."""

    project: str
    environment: str
    audience: Literal["gateway", "sdk"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot that passed every check, with its routes compiled."""

    payload: Payload
    envelope: bytes = field(repr=False)
    routes: Mapping[str, Decide] = field(repr=False)

    @property
    def position(self) -> tuple[int, int]:
        """What never goes backwards: (epoch, serial)."""
        return self.payload.position

    def stale_s(self, now: datetime) -> float:
        """Seconds since it expired; 0 while it is fresh."""
        return max(0.0, (now - self.payload.expires_at).total_seconds())


def pae(payload_type: str, payload: bytes) -> bytes:
    """Write the pre-authentication encoding that is signed. Source: DSSE 1.0.2."""
    encoded = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(encoded), encoded, len(payload), payload)


def open_envelope(envelope: bytes, vkey: str) -> bytes:
    """Check the signature and give the payload's bytes.

    Raises: SnapshotRefused.
    """
    if len(envelope) > MAX_ENVELOPE_BYTES:
        raise SnapshotRefused(f"it is larger than {MAX_ENVELOPE_BYTES} bytes")
    try:
        outer = msgspec.json.decode(envelope, type=Envelope)
        payload = _decode(outer.payload)
        signatures = [_decode(signature.sig) for signature in outer.signatures[:16]]
    except (msgspec.MsgspecError, RecursionError, VerificationError) as error:
        raise SnapshotRefused(f"the envelope is malformed: {error}") from None
    if outer.payload_type != PAYLOAD_TYPE:
        raise SnapshotRefused(f"the payload type is {outer.payload_type[:80]!r}, not {PAYLOAD_TYPE}")
    key = Ed25519PublicKey.from_public_bytes(parse_vkey(vkey).public)
    message = pae(outer.payload_type, payload)
    if not any(_is_signed(key, signature, message) for signature in signatures):
        raise SnapshotRefused("no signature by the pinned snapshot key")
    return payload


def verify(envelope: bytes, root: Root, scope: Scope) -> Snapshot:
    """Check an envelope completely and compile its routes.

    Raises: SnapshotRefused, naming the check that failed.
    """
    content = open_envelope(envelope, root.snapshot_vkey)
    try:
        payload = msgspec.json.decode(content, type=Payload)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise SnapshotRefused(f"the payload is malformed: {error}") from None
    _check_scope(payload, scope)
    try:
        checkpoint = verify_note(payload.checkpoint, [root.log_vkey])
        if checkpoint.origin != root.origin:
            raise SnapshotRefused(f"its checkpoint is of {checkpoint.origin}, not of {root.origin}")
        for digest, version in payload.versions.items():
            _check_version(digest, version, payload, checkpoint)
    except VerificationError as error:
        raise SnapshotRefused(str(error)) from None
    return Snapshot(payload, envelope, _compile_routes(payload))


def digest_of(document: Any) -> str:
    """Give `sha256:…` of the RFC 8785 form.

    Raises: SnapshotRefused for what that form cannot hold.
    """
    try:
        canonical = rfc8785.dumps(document)
    except (rfc8785.CanonicalizationError, RecursionError, UnicodeError) as error:
        raise SnapshotRefused(f"a document has no canonical form: {error}") from None
    return "sha256:" + hashlib.sha256(canonical).hexdigest()


def _check_scope(payload: Payload, scope: Scope) -> None:
    for name in ("project", "environment", "audience"):
        have, need = getattr(payload, name), getattr(scope, name)
        if have != need:
            raise SnapshotRefused(f"its {name} is {have!r}, not {need!r}")


def _check_version(digest: str, version: Version, payload: Payload, checkpoint: Checkpoint) -> None:
    _check_document(digest, version.document, payload.project)
    for prompt_digest, document in version.prompts.items():
        _check_document(prompt_digest, document, payload.project)
    prompt = version.document.get("prompt")
    if prompt and version.document.get("kind") == "model" and prompt not in version.prompts:
        raise SnapshotRefused(f"{version.ref} needs the prompt {prompt}, which is not in it")
    _check_admission(digest, version, payload.environment, checkpoint)


def _check_document(digest: str, document: dict[str, Any], project: str) -> None:
    if digest_of(document) != digest:
        raise SnapshotRefused(f"a document does not have its digest {digest}")
    if document.get("project") != project:
        raise SnapshotRefused(f"{digest} is of the project {document.get('project')!r}, not of {project!r}")


def _check_admission(digest: str, version: Version, environment: str, checkpoint: Checkpoint) -> None:
    admission = version.admission
    leaf_type = ADMITTING_LEAVES.get(admission.kind)
    if leaf_type is None:
        raise SnapshotRefused(
            f"{version.ref} is admitted in a way this program does not know: {admission.kind}"
        )
    entry = _decode(admission.entry)
    proof = [_decode(node) for node in admission.proof]
    verify_inclusion(leaf_hash(entry), admission.index, checkpoint.size, proof, checkpoint.root)
    leaf = _read_leaf(entry)
    claims = leaf.get("data")
    if leaf.get("v") != 1 or leaf.get("type") != leaf_type or not isinstance(claims, dict):
        raise SnapshotRefused(f"leaf {admission.index} is no {leaf_type}, so it does not admit {version.ref}")
    if claims.get("subject") != digest or claims.get("environment") != environment:
        raise SnapshotRefused(f"leaf {admission.index} does not admit {version.ref} to {environment}")
    if admission.kind == "approved" and claims.get("effect") != "approved":
        raise SnapshotRefused(f"the decision in leaf {admission.index} is not an approval of {version.ref}")


def _read_leaf(entry: bytes) -> dict[str, Any]:
    try:
        leaf = msgspec.json.decode(entry) if len(entry) <= MAX_ENTRY_BYTES else None
    except (msgspec.MsgspecError, RecursionError):
        leaf = None
    if not isinstance(leaf, dict):
        raise SnapshotRefused("an admitting leaf is not a JSON object of the ledger")
    return leaf


def _compile_routes(payload: Payload) -> dict[str, Decide]:
    try:
        routes = compile_routes(payload.routes, payload.segments)
    except RouteError as error:
        raise SnapshotRefused(str(error)) from None
    for key, route in payload.routes.items():
        if route["key"] != key:
            raise SnapshotRefused(f"the route {key} calls itself {route['key']!r}")
        if route["kind"] != "flag":
            _check_variants(key, route["variants"], payload)
    return routes


def _check_variants(key: str, variants: Mapping[str, Any], payload: Payload) -> None:
    for name, digest in variants.items():
        if not isinstance(digest, str) or digest not in payload.versions:
            raise SnapshotRefused(f"the variant {name} of {key} names a version that is not in it: {digest}")


def _is_signed(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise VerificationError(f"not base64: {text[:20]!r}") from None
