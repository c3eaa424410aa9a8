"""Signed notes and checkpoints with Ed25519 keys.

Wire form of a signed checkpoint (text, an empty line, signature lines):

    <origin>
    <size, decimal>
    <root, base64>

    — <key name> <base64(key hash, 4 bytes || signature, 64 bytes)>

Source: C2SP signed-note and tlog-checkpoint; Go's golang.org/x/mod/sumdb/note reads the same.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from assent_client.verify.merkle import HASH_SIZE, MAX_SIZE, VerificationError

ED25519 = 1
MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100
_KEY_HASH_SIZE = 4
_SIGNATURE_PREFIX = "— "
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_KEY_HASH = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Key:
    """Name a public key that signs notes: `name+<key hash>+<base64(0x01 || public)>`."""

    name: str
    public: bytes

    @property
    def hash(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        algorithm = bytes([ED25519])
        return hashlib.sha256(self.name.encode() + b"\n" + algorithm + self.public).digest()[:_KEY_HASH_SIZE]

    def __str__(self) -> str:
        encoded = base64.b64encode(bytes([ED25519]) + self.public).decode()
        return f"{self.name}+{self.hash.hex()}+{encoded}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """State of a log: its name, number of leaves and root hash."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note's text, before signatures."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def make_vkey(name: str, public: bytes) -> str:
    """Write the verifier key of an Ed25519 public key (32 raw bytes)."""
    _check_name(name)
    if len(public) != HASH_SIZE:
        raise VerificationError(f"an Ed25519 public key has 32 bytes, not {len(public)}")
    return str(Key(name, public))


def parse_vkey(vkey: str) -> Key:
    """Read a verifier key.

    Raises: VerificationError where the form, the algorithm or the key hash is wrong.
    """
    name, key_hash, encoded = (*vkey.split("+", 2), "", "")[:3]
    _check_name(name)
    if not _KEY_HASH.fullmatch(key_hash):
        raise VerificationError("a verifier key has the form name+8 hex digits+base64")
    decoded = decode_base64(encoded)
    if len(decoded) != 1 + HASH_SIZE or decoded[0] != ED25519:
        raise VerificationError(f"the verifier key of {name} is not an Ed25519 key")
    key = Key(name, decoded[1:])
    if key.hash.hex() != key_hash:
        raise VerificationError(f"the hash in the verifier key of {name} does not match its bytes")
    return key


def sign_note(text: str, name: str, public: bytes, sign: Callable[[bytes], bytes]) -> str:
    """Append one signature line to a note's text.

    `sign` takes the text's bytes and returns the 64 bytes of an Ed25519 signature.
    """
    key = parse_vkey(make_vkey(name, public))
    if not text.endswith("\n") or "\n\n" in text:
        raise VerificationError("a note's text ends with a newline and has no empty line")
    signature = base64.b64encode(key.hash + sign(text.encode())).decode()
    return f"{text}\n{_SIGNATURE_PREFIX}{name} {signature}\n"


def verify_note(text: str, vkeys: Iterable[str]) -> Checkpoint:
    """Check a signed checkpoint against the verifier keys that the caller trusts.

    One of the keys must bear the origin as its name and must have signed. A wrong signature under
    any known key refuses the note; signatures by unknown keys are passed over.

    Raises: VerificationError.
    """
    body, signatures = _split(text)
    signed = verified_keys(body, signatures, [parse_vkey(vkey) for vkey in vkeys])
    checkpoint = parse_checkpoint(body)
    if checkpoint.origin not in {key.name for key in signed}:
        raise VerificationError(f"no trusted key of {checkpoint.origin} has signed this checkpoint")
    return checkpoint


def read_unverified(text: str) -> Checkpoint:
    """Read a signed checkpoint's text without checking who signed it.

    Raises: VerificationError where the note is malformed.
    """
    return parse_checkpoint(_split(text)[0])


def verified_keys(
    body: str, signatures: Sequence[tuple[str, bytes, bytes]], keys: Sequence[Key]
) -> list[Key]:
    """List the keys, each once, whose signature (name, key hash, bytes) over `body` holds.

    Raises: VerificationError where a signature under a known key is wrong.
    """
    known = {(key.name, key.hash): key for key in keys}
    signed: list[Key] = []
    for name, key_hash, signature in signatures:
        key = known.get((name, key_hash))
        if key is None or key in signed:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature, body.encode())
        except InvalidSignature:
            raise VerificationError(f"the signature of {name} does not match the note") from None
        signed.append(key)
    return signed


def parse_checkpoint(body: str) -> Checkpoint:
    """Read origin, size and root from a note's text; further lines are extensions.

    Raises: VerificationError.
    """
    lines = body.split("\n")
    if len(lines) < 4 or lines.pop() != "" or not all(lines):  # noqa: PLR2004 -- three lines and the end
        raise VerificationError("a checkpoint has an origin, a size and a root, one per line")
    origin, size, root = lines[:3]
    if not _DECIMAL.fullmatch(size) or int(size) > MAX_SIZE:
        raise VerificationError(f"the checkpoint's size is not a number of leaves: {size[:30]}")
    decoded = decode_base64(root)
    if len(decoded) != HASH_SIZE:
        raise VerificationError("the checkpoint's root is not a SHA-256 hash")
    return Checkpoint(origin, int(size), decoded)


def decode_base64(text: str) -> bytes:
    """Decode standard base64, in its one canonical form only.

    Raises: VerificationError.
    """
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise VerificationError(f"not base64: {text[:20]!r}") from None
    if base64.b64encode(decoded).decode() != text:
        raise VerificationError(f"not canonical base64: {text[:20]!r}")
    return decoded


def _split(text: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    if len(text) > MAX_NOTE_BYTES:
        raise VerificationError("the note is larger than 1 MB")
    if not _is_utf8(text) or any(character < " " and character != "\n" for character in text):
        raise VerificationError("the note contains a control character")
    body, separator, tail = text.rpartition("\n\n")
    if not separator or not tail.endswith("\n"):
        raise VerificationError("a signed note is text, an empty line and signature lines")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise VerificationError(f"the note has more than {MAX_SIGNATURES} signatures")
    return body + "\n", [_parse_signature(line) for line in lines]


def _parse_signature(line: str) -> tuple[str, bytes, bytes]:
    name, separator, encoded = line.removeprefix(_SIGNATURE_PREFIX).partition(" ")
    if not line.startswith(_SIGNATURE_PREFIX) or not separator:
        raise VerificationError(f"not a signature line: {line[:40]!r}")
    _check_name(name)
    decoded = decode_base64(encoded)
    if len(decoded) <= _KEY_HASH_SIZE:
        raise VerificationError(f"the signature of {name} is too short")
    return name, decoded[:_KEY_HASH_SIZE], decoded[_KEY_HASH_SIZE:]


def _check_name(name: str) -> None:
    if not name or "+" in name or any(c.isspace() or c < " " for c in name) or not _is_utf8(name):
        raise VerificationError(f"a key's name has no space and no plus sign: {name[:40]!r}")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
