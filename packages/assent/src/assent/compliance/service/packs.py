"""Packs: everything that the ledger holds about a version or a system, in one file that verifies offline."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from assent.cards import service as cards
from assent.compliance import store
from assent.compliance.domain import (
    DISCLAIMER,
    ISSUED_FOR,
    Record,
    StatementIssued,
    statement_of,
)
from assent.compliance.service.coverage import coverage
from assent.compliance.service.gathering import leaves_of, record_of
from assent.compliance.service.wire import coverage_wire
from assent.kernel.canonical import canonical, is_digest
from assent.kernel.clock import to_text
from assent.kernel.errors import NotFound, TooLarge
from assent.kernel.signing import Signers
from assent.kernel.tx import Reader, Tx
from assent.ledger import service as ledger
from assent.ledger.domain import Leaf
from assent.prompts import service as prompts
from assent.registry import service as registry
from assent.registry.service import ModelVersion
from assent_client.verify import pack as packing
from assent_client.verify.dsse import Statement, seal
from assent_client.verify.note import Key, read_unverified

MAX_ENTRIES = 5000
MAX_PACK_BYTES = 200_000_000
BODIES: Mapping[str, Sequence[str]] = {
    "registry.version.registered": ("digest", "prompt"),
    "evaluation.run.closed": ("result",),
    "evaluation.suite.registered": ("body",),
    "approvals.policy.registered": ("body",),
    "approvals.decision.made": ("assessment",),
    "approvals.request.executed": ("assessment",),
    "approvals.vote.cast": ("comment",),
    "approvals.comment.made": ("body",),
    "approvals.break_glass.opened": ("reason", "assessment"),
    "approvals.break_glass.reviewed": ("review",),
    "cards.card.drafted": ("digest",),
    "monitoring.incident.opened": ("title",),
    "monitoring.incident.noted": ("note",),
    "monitoring.incident.resolved": ("note",),
    "monitoring.incident.reviewed": ("review",),
}
"""Fields of entries that name a body; journals stay behind: they hold what users and models wrote."""
README = """A pack of Assent: what the ledger holds about {ref}, as of {as_of}.

Verify it offline against the root document that you hold:

    assent pack verify FILE --trust ROOT
    python verify_pack.py FILE --trust ROOT     (from `assent pack verifier`; needs only `cryptography`)

ledger/      entries of the ledger, each with its proof of inclusion under the checkpoint
statements/  in-toto statements in DSSE: evaluations, decisions, approvals
bodies/      documents under their digest; what was erased is listed as absent in the manifest
documents/   coverage and card, for people: {disclaimer}
"""


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a pack is about: versions of one system, and what people call it."""

    project: str
    ref: str
    name: str
    versions: Sequence[ModelVersion]

    def leaves(self, reader: Reader) -> list[Leaf]:
        return leaves_of(reader, self.project, self.name, [v.digest for v in self.versions])

    def names(self, records: Sequence[Record]) -> dict[str, str]:
        """Name the digests that statements of this pack may be about: its versions, and their cards."""
        own = {v.digest: v.ref for v in self.versions}
        cards = [r.fields for r in records if r.type == "cards.card.drafted"]
        return {str(f["digest"]): f"card of {own[f['subject']]}" for f in cards if f["subject"] in own} | own


def issue(tx: Tx, signers: Signers, project: str, which: str) -> int:
    """Issue the statements of NAME or NAME@VERSION that were not issued yet; give how many are new.

    Raises: NotFound, Invalid.
    """
    scope = _scope(tx, project, which)
    records = [record_of(leaf) for leaf in scope.leaves(tx)]
    names = scope.names(records)
    records = [r for r in records if r.type in ISSUED_FOR and r.fields.get("subject") in names]
    issued = store.issued(tx, project, [r.id for r in records])
    signer = signers.ledger
    key, new = Key(signer.name, signer.public_key), 0
    for record in records:
        statement = statement_of(record, names[str(record.fields["subject"])], signer.name)
        if statement is None or record.id in issued:
            continue
        envelope = seal(statement, key, signer.sign)
        event = StatementIssued(
            project=project,
            subject=str(record.fields["subject"]),
            about=record.id,
            predicate=statement.predicate_type,
            envelope=tx.blobs.put(envelope),
        )
        tx.record(event)
        new += 1
    return new


def build(reader: Reader, signers: Signers, project: str, which: str) -> bytes:
    """Write the pack of NAME or NAME@VERSION; the same records at the same moment give the same bytes.

    Raises: NotFound, Invalid, TooLarge, Frozen.
    """
    scope = _scope(reader, project, which)
    leaves = scope.leaves(reader)
    if len(leaves) > MAX_ENTRIES:
        raise TooLarge(f"{len(leaves):,} entries; a pack holds {MAX_ENTRIES:,}.", remedy="Name one version.")
    note = ledger.checkpoint(reader)
    size = read_unverified(note).size
    files = {
        packing.ROOT_FILE: canonical(dict(ledger.root_document(signers))),
        packing.CHECKPOINT_FILE: note.encode(),
    }
    paths = ledger.inclusion_proofs(reader, [leaf.index for leaf in leaves], size)
    for leaf, path in zip(leaves, paths, strict=True):
        proved = packing.encode_entry(leaf.index, leaf.entry, path)
        files[packing.entry_file(leaf.index)] = canonical(proved)
    records = [record_of(leaf) for leaf in leaves]
    files |= _statements(reader, records)
    absent = _add_bodies(reader, project, leaves, files)
    files |= _documents(reader, scope)
    if sum(map(len, files.values())) > MAX_PACK_BYTES:
        raise TooLarge(f"The pack is over {MAX_PACK_BYTES:,} bytes.", remedy="Name one version.")
    return packing.sealed_pack(files, _manifest(reader, signers, scope, (files, absent)))


def _scope(reader: Reader, project: str, which: str) -> _Scope:
    if "@" in which:
        version = registry.get_ref(reader, project, which)
        return _Scope(project, version.ref, version.name, [version])
    return _Scope(project, which, which, registry.list_versions(reader, project, which))


def _statements(reader: Reader, records: Sequence[Record]) -> dict[str, bytes]:
    issued = [r for r in records if r.type == packing.STATEMENT_ISSUED]
    return {
        f"statements/{r.fields['about']}.dsse.json": reader.blobs.get(str(r.fields["envelope"]))
        for r in issued
    }


def _add_bodies(reader: Reader, project: str, leaves: Sequence[Leaf], files: dict[str, bytes]) -> list[str]:
    """Add every body that the entries name; give the digests of those that were erased."""
    absent = []
    for digest in sorted({one for leaf in leaves for one in _named_bodies(leaf)}):
        body = _body(reader, project, digest)
        if body is None:
            absent.append(digest)
        else:
            files[f"bodies/{digest.removeprefix('sha256:')}"] = body
    return absent


def _named_bodies(leaf: Leaf) -> Iterator[str]:
    entry = json.loads(leaf.entry)
    named = [entry["reason"], *(entry["data"].get(key) for key in BODIES.get(leaf.type, ()))]
    return (one for one in named if is_digest(one))


def _body(reader: Reader, project: str, digest: str) -> bytes | None:
    """Read a body from the blobs or the registries; None where it was erased."""
    try:
        return reader.blobs.get(digest)
    except NotFound:
        pass
    model = registry.find_by_digest(reader, project, digest)
    if model is not None:
        return None if model.content is None else model.content.encode()
    try:
        prompt = prompts.get_by_digest(reader, project, digest)
    except NotFound:
        return None
    return None if prompt.content is None else prompt.content.encode()


def _documents(reader: Reader, scope: _Scope) -> dict[str, bytes]:
    """Write what people read."""
    found = coverage(reader, scope.project, scope.ref)
    written = {"documents/coverage.json": canonical(coverage_wire(found))}
    try:
        card = cards.get(reader, scope.project, found.subject.version.ref)
        written["documents/card.md"] = cards.view(reader, card).markdown().encode()
    except NotFound:
        pass  # no card yet, or its text was erased
    text = README.format(ref=scope.ref, as_of=to_text(reader.now()), disclaimer=DISCLAIMER)
    return {**written, "documents/readme.txt": text.encode()}


def _manifest(
    reader: Reader, signers: Signers, scope: _Scope, content: tuple[Mapping[str, bytes], Sequence[str]]
) -> bytes:
    files, absent = content
    predicate = {
        "project": scope.project,
        "ref": scope.ref,
        "versions": {v.ref: v.digest for v in scope.versions},
        "as_of": to_text(reader.now()),
        "absent": list(absent),
        "left_out": ["journals of runs", "monitoring.block.closed"],
    }
    statement = Statement(packing.pack_digests(files), packing.PACK_PREDICATE, predicate)
    signer = signers.ledger
    return seal(statement, Key(signer.name, signer.public_key), signer.sign)
