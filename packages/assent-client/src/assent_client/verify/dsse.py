"""Signed statements: in-toto Statement v1 in a DSSE envelope, signed with the key of a log.

Wire form of an envelope (canonical: keys sorted, no blanks, one signature):

    {"payload":"<base64>","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"…","sig":"…"}]}

`keyid` is the beginning of the verifier key, `name+8 hex digits`. What is signed is the pre-authentication
encoding, which begins with "DSSEv1 " and can therefore never be taken for a checkpoint of the same key.
Source: DSSE 1.0.2; in-toto attestation framework 1.1 (Statement v1).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from assent_client.verify.merkle import VerificationError
from assent_client.verify.note import Key, decode_base64, parse_vkey

STATEMENT = "https://in-toto.io/Statement/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


@dataclass(frozen=True, slots=True)
class Statement:
    """What is said of which digests; `subjects` maps a name to `sha256:…`."""

    subjects: Mapping[str, str]
    predicate_type: str
    predicate: Mapping[str, Any]


def encode_statement(statement: Statement) -> bytes:
    """Write the payload of an envelope; equal statements are equal bytes."""
    subjects = [
        {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}
        for name, digest in sorted(statement.subjects.items())
    ]
    return _json_bytes(
        {
            "_type": STATEMENT,
            "subject": subjects,
            "predicateType": statement.predicate_type,
            "predicate": statement.predicate,
        }
    )


def seal(statement: Statement, key: Key, sign: Callable[[bytes], bytes]) -> bytes:
    """Sign a statement and give its envelope."""
    payload = encode_statement(statement)
    return _envelope(payload, key, sign(authenticated(payload)))


def authenticated(payload: bytes) -> bytes:
    """Write the pre-authentication encoding of a statement."""
    return b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def open_sealed(envelope: bytes, vkey: str, place: str) -> Statement:
    """Check an envelope against the key that must have signed it; `place` names it in errors.

    Raises: VerificationError.
    """
    key = parse_vkey(vkey)
    document = read_json(envelope, place)
    try:
        payload = decode_base64(document["payload"])
        (signature,) = document["signatures"]
        signed = decode_base64(signature["sig"])
        keyid = signature["keyid"]
    except (KeyError, TypeError, ValueError) as error:
        raise VerificationError(f"{place}: not a signed statement: {error!r}") from None
    if keyid != _keyid(key):
        raise VerificationError(f"{place}: signed by {str(keyid)[:120]}, not by {_keyid(key)}")
    if _envelope(payload, key, signed) != envelope:
        raise VerificationError(f"{place}: the envelope is not in its one form")
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signed, authenticated(payload))
    except InvalidSignature:
        raise VerificationError(f"{place}: the signature of {_keyid(key)} does not match") from None
    return _statement(read_json(payload, place), place)


def read_json(content: bytes, place: str) -> dict[str, Any]:
    """Read a JSON object, no key twice, no NaN. Raises: VerificationError."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key stands twice")
        return found

    def refuse(text: str) -> Any:
        raise ValueError(f"{text} is no number")

    try:
        document = json.loads(content.decode(), object_pairs_hook=once, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise VerificationError(f"{place}: not JSON: {error}") from None
    if not isinstance(document, dict):
        raise VerificationError(f"{place}: not a JSON object")
    return document


def _statement(document: Mapping[str, Any], place: str) -> Statement:
    try:
        named = [(one["name"], "sha256:" + one["digest"]["sha256"]) for one in document["subject"]]
        subjects, kind = dict(named), document["predicateType"]
        known, predicate = document["_type"] == STATEMENT, document["predicate"]
    except (KeyError, TypeError, ValueError) as error:
        raise VerificationError(f"{place}: not an in-toto statement: {error!r}") from None
    if not known or not named or len(subjects) != len(named) or not isinstance(predicate, dict):
        raise VerificationError(f"{place}: not an in-toto statement: no subject, one twice, or no predicate")
    return Statement(subjects, str(kind), predicate)


def _envelope(payload: bytes, key: Key, signature: bytes) -> bytes:
    signatures = [{"keyid": _keyid(key), "sig": base64.b64encode(signature).decode()}]
    return _json_bytes(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": signatures,
        }
    )


def _keyid(key: Key) -> str:
    return f"{key.name}+{key.hash.hex()}"


def _json_bytes(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
