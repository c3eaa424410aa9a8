"""Verify a pack: everything that the ledger holds about a version or a system, in one file, offline.

    MANIFEST.dsse.json             in-toto statement of the log's key: the digest of every other file
    root.json                      who issued it: origin and log key (believed only where no root is held)
    checkpoint                     the signed checkpoint under which all entries are proved
    ledger/000000000042.json       {"entry","index","proof"}: an entry and its inclusion proof, base64
    statements/<event>.dsse.json   what the installation states of an entry: its envelope's digest is a leaf
    bodies/<64 hex digits>         a body under its digest; some entry names it. Erased ones are absent
    documents/…                    what people read: the card, the coverage, a summary

Needs the standard library and `cryptography` only, so that `assent pack verifier` can write it as one file.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assent_client.verify.archive import read_archive, write_archive
from assent_client.verify.dsse import Statement, open_sealed, read_json
from assent_client.verify.merkle import VerificationError, leaf_hash, verify_inclusion
from assent_client.verify.note import Checkpoint, decode_base64, parse_vkey, verify_note

MANIFEST = "MANIFEST.dsse.json"
ROOT_FILE = "root.json"
CHECKPOINT_FILE = "checkpoint"
PACK_PREDICATE = "urn:assent:attestation:pack/v0.1"
STATEMENT_ISSUED = "compliance.statement.issued"
_ENTRY_FILE = re.compile(r"ledger/([0-9]{12,18})\.json\Z")
_STATEMENT_FILE = re.compile(r"statements/([a-z]{2,8}_[0-9a-f]{32})\.dsse\.json\Z")
_BODY_FILE = re.compile(r"bodies/([0-9a-f]{64})\Z")
_DOCUMENT_FILE = re.compile(r"documents/[a-z0-9._-]+\Z")
_DIGESTS = re.compile(rb"sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class PackEntry:
    """An entry of the ledger that a pack proves; `content` is the parsed leaf."""

    index: int
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class VerifiedPack:
    """What a pack proves; `trusted` is False where the issuer's key came from the pack itself."""

    trusted: bool
    checkpoint: Checkpoint
    about: Mapping[str, Any]
    entries: Sequence[PackEntry]
    statements: Mapping[str, Statement]
    files: Mapping[str, bytes] = field(repr=False)

    @property
    def absent(self) -> Sequence[str]:
        """List the bodies that entries name and that were erased before the pack was made."""
        return tuple(self.about.get("absent", ()))


def entry_file(index: int) -> str:
    """Give the name of an entry's file in a pack."""
    return f"ledger/{index:012d}.json"


def verify_pack(content: bytes, root: str | None = None) -> VerifiedPack:
    """Check every byte of a pack against the root document that the caller holds.

    Without one the pack's own word is taken: that shows consistency, not who issued it.

    Raises: VerificationError that names the file or byte that does not hold.
    """
    files = read_archive(content)
    for name in (MANIFEST, ROOT_FILE, CHECKPOINT_FILE):
        if name not in files:
            raise VerificationError(f"{name}: missing from the pack")
    vkey = _issuer(files[ROOT_FILE], root)
    about = _check_manifest(files, vkey)
    checkpoint = _checkpoint(files[CHECKPOINT_FILE], vkey)
    entries = [_entry(name, files[name], checkpoint) for name in files if name.startswith("ledger/")]
    if not entries:
        raise VerificationError("the pack holds no entry of the ledger")
    statements = _statements(files, vkey, entries)
    _check_bodies(files, about)
    for name in files.keys() - {MANIFEST, ROOT_FILE, CHECKPOINT_FILE}:
        if not name.startswith(("ledger/", "statements/", "bodies/")) and not _DOCUMENT_FILE.match(name):
            raise VerificationError(f"{name}: a pack has no such file")
    return VerifiedPack(root is not None, checkpoint, about, entries, statements, files)


def pack_digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """Give the digests that the manifest of these files states."""
    return {name: sha256_of(content) for name, content in files.items() if name != MANIFEST}


def sealed_pack(files: Mapping[str, bytes], manifest: bytes) -> bytes:
    """Write the archive of a pack."""
    return write_archive({**files, MANIFEST: manifest})


def sha256_of(content: bytes) -> str:
    """Give `sha256:<64 hex digits>` of bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _issuer(own: bytes, held: str | None) -> str:
    """Give the log key to check against; where a root is held, the pack must name the same issuer."""
    origin, vkey = _read_root(own, ROOT_FILE)
    if held is None:
        return vkey
    trusted_origin, trusted_vkey = _read_root(held.encode(), "the root document")
    if (origin, vkey) != (trusted_origin, trusted_vkey):
        raise VerificationError(f"{ROOT_FILE}: issued by {vkey}, but you trust {trusted_vkey}")
    return trusted_vkey


def _read_root(content: bytes, place: str) -> tuple[str, str]:
    document = read_json(content, place)
    origin, vkey = document.get("origin"), document.get("log_vkey")
    if not isinstance(origin, str) or not isinstance(vkey, str):
        raise VerificationError(f"{place}: not a root document")
    if parse_vkey(vkey).name != origin:
        raise VerificationError(f"{place}: names {origin[:80]}, but holds the key of another log")
    return origin, vkey


def _check_manifest(files: Mapping[str, bytes], vkey: str) -> Mapping[str, Any]:
    manifest = open_sealed(files[MANIFEST], vkey, MANIFEST)
    if manifest.predicate_type != PACK_PREDICATE:
        raise VerificationError(f"{MANIFEST}: not the manifest of a pack")
    found = pack_digests(files)
    for name in sorted(found.keys() | manifest.subjects.keys()):
        if name not in found:
            raise VerificationError(f"{name}: the manifest names it, the pack does not hold it")
        if name not in manifest.subjects:
            raise VerificationError(f"{name}: the manifest does not name it")
        if found[name] != manifest.subjects[name]:
            raise VerificationError(f"{name}: the content is not what the manifest says")
    absent = manifest.predicate.get("absent", [])
    if not isinstance(absent, list) or not all(isinstance(one, str) for one in absent):
        raise VerificationError(f"{MANIFEST}: the list of absent bodies is not one")
    return manifest.predicate


def _checkpoint(content: bytes, vkey: str) -> Checkpoint:
    try:
        return verify_note(content.decode(), [vkey])
    except (VerificationError, UnicodeDecodeError) as error:
        raise VerificationError(f"{CHECKPOINT_FILE}: {error}") from None


def _entry(name: str, content: bytes, checkpoint: Checkpoint) -> PackEntry:
    document = read_json(content, name)
    try:
        index, entry = document["index"], decode_base64(document["entry"])
        path = [decode_base64(node) for node in document["proof"]]
        if type(index) is int and _ENTRY_FILE.match(name) and entry_file(index) == name:
            verify_inclusion(leaf_hash(entry), index, checkpoint.size, path, checkpoint.root)
            return PackEntry(index, read_json(entry, name))
    except VerificationError as error:
        raise VerificationError(f"{name}: {error}", index=error.index) from None
    except (KeyError, TypeError) as error:
        raise VerificationError(f"{name}: not an entry with its proof: {error!r}") from None
    raise VerificationError(f"{name}: the entry has another index than its file")


def _statements(
    files: Mapping[str, bytes], vkey: str, entries: Sequence[PackEntry]
) -> Mapping[str, Statement]:
    """Check every statement: signed by the log's key, and its envelope's digest stands in the ledger."""
    issued = {e.content["data"]["about"]: e.content["data"] for e in entries if _is_issue(e)}
    present = {entry.content.get("id") for entry in entries}
    found: dict[str, Statement] = {}
    for name, content in files.items():
        if not name.startswith("statements/"):
            continue
        event = (_STATEMENT_FILE.match(name) or [None, None])[1]
        if event is None or event not in issued or event not in present:
            raise VerificationError(f"{name}: no entry of this pack says that it was issued")
        statement = open_sealed(content, vkey, name)
        if issued[event].get("envelope") != sha256_of(content):
            raise VerificationError(f"{name}: the ledger holds another envelope of this statement")
        if issued[event].get("subject") not in statement.subjects.values():
            raise VerificationError(f"{name}: it speaks of another digest than the ledger says")
        found[event] = statement
    for event in issued:
        if event not in found:
            raise VerificationError(f"statements/{event}.dsse.json: issued, but missing from the pack")
    return found


def _is_issue(entry: PackEntry) -> bool:
    known = entry.content.get("data")
    if entry.content.get("type") != STATEMENT_ISSUED:
        return False
    if not isinstance(known, dict) or not isinstance(known.get("about"), str):
        raise VerificationError(f"{entry_file(entry.index)}: not a leaf of a statement", index=entry.index)
    return True


def _check_bodies(files: Mapping[str, bytes], about: Mapping[str, Any]) -> None:
    """Check that each body has its digest for a name and that an entry or another body speaks of it."""
    named: set[str] = set()
    for name, content in files.items():
        if name.startswith("ledger/"):
            named |= _digests_in(decode_base64(read_json(content, name)["entry"]))
        elif name.startswith("bodies/"):
            named |= _digests_in(content)
    for name, content in files.items():
        if not name.startswith("bodies/"):
            continue
        digest = (_BODY_FILE.match(name) or [None, None])[1]
        if digest is None or hashlib.sha256(content).hexdigest() != digest:
            raise VerificationError(f"{name}: the body does not have the digest that is its name")
        if digest not in named:
            raise VerificationError(f"{name}: no entry of the pack speaks of this body")
    for one in about.get("absent", ()):
        if f"bodies/{one.removeprefix('sha256:')}" in files:
            raise VerificationError(f"{MANIFEST}: says that {one} was erased, but the pack holds it")


def _digests_in(content: bytes) -> set[str]:
    return {one.decode() for one in _DIGESTS.findall(content)}


def encode_entry(index: int, entry: bytes, path: Sequence[bytes]) -> dict[str, Any]:
    """Give the JSON form of an entry's file."""
    return {
        "entry": base64.b64encode(entry).decode(),
        "index": index,
        "proof": [base64.b64encode(node).decode() for node in path],
    }
