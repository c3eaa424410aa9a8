"""Delete drafts. The row stays as a tombstone: a name with its number never comes back as something else."""

from __future__ import annotations

import json
from collections.abc import Iterator

from assent.evidence import service as evidence
from assent.identity import service as identity
from assent.kernel.errors import Reason, Refused
from assent.kernel.locks import lock_name
from assent.kernel.reasons import keep_reason
from assent.kernel.tx import Reader, Tx
from assent.ledger import service as ledger
from assent.ledger.domain import Query
from assent.registry import store
from assent.registry.domain import LabelMoved, Status, VersionAdvanced, VersionDeleted, VersionRegistered
from assent.registry.service import versions
from assent.registry.store import ModelVersion

MAX_NAMED = 20
KEEP = "Deprecate it instead: the record needs it."


def delete_version(tx: Tx, project: str, name: str, number: str, reason: str | None = None) -> None:
    """Delete a draft; its document is erased. Raises: NotFound, Refused with every reason."""
    version = versions.get(tx, project, name, number)
    lock_name(tx, "model", project, name)
    lock_name(tx, "labels of model", project, name)
    store.lock_state(tx, version.digest)
    if reasons := deletion_reasons(tx, versions.get(tx, project, name, number)):
        raise Refused(f"{version.ref} cannot be deleted.", reasons=reasons)
    tx.record(
        VersionDeleted(version=version.id, project=project, name=name, number=number, subject=version.digest),
        reason=keep_reason(tx, reason),
    )
    store.erase_document(tx, version.digest)
    store.erase_text(tx, version.id)


def deletion_reasons(reader: Reader, version: ModelVersion) -> list[Reason]:
    """Give every reason why a version must stay: it is no draft, live, labelled or referenced."""
    return [
        *_status(version),
        *_live(reader, version),
        *_labelled(reader, version),
        *_referenced(reader, version),
    ]


def _status(version: ModelVersion) -> Iterator[Reason]:
    if version.status != Status.DRAFT:
        yield Reason(
            "version.status", f"It is {version.status}.", remedy=KEEP, have=version.status, need="draft"
        )


def _live(reader: Reader, version: ModelVersion) -> Iterator[Reason]:
    for place in identity.list_environments(reader, version.project):
        if evidence.live(reader, version.project, place.name, version.name) == version.digest:
            yield Reason(
                "version.live",
                f"It is live in {place.name}.",
                remedy=f"Release another version to {place.name} first; then deprecate this one.",
            )


def _labelled(reader: Reader, version: ModelVersion) -> Iterator[Reason]:
    now = store.labels_of(reader, [version.digest]).get(version.digest, [])
    for label in store.was_labelled(reader, version.digest):
        word = "is" if label in now else "was"
        text = f"It {word} labelled {label}: the label's history names it."
        yield Reason("version.labelled", text, remedy=KEEP)


def _referenced(reader: Reader, version: ModelVersion) -> Iterator[Reason]:
    """Name what speaks of a version in the ledger, beside registrations that only follow it in order."""
    asked = Query(project=version.project, subject=version.digest, limit=MAX_NAMED)
    leaves, _ = ledger.entries(reader, asked)
    for leaf in leaves:
        if leaf.type in {LabelMoved.TYPE, VersionAdvanced.TYPE}:
            continue  # told already: as a label, and by what moved it
        if leaf.type == VersionRegistered.TYPE:
            told = json.loads(leaf.entry)["data"]
            if version.digest not in told["built_from"]:
                continue
            text = f"{told['name']}@{told['number']} is built from it."
        else:
            text = f"The record speaks of it: {leaf.type}, leaf {leaf.index}."
        yield Reason("version.referenced", text, remedy=KEEP)
