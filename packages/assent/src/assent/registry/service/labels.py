"""Labels: moved by people with compare-and-swap, or by delivery where an environment has their name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from assent.identity import service as identity
from assent.kernel.canonical import is_digest
from assent.kernel.errors import Conflict, Invalid, NotFound, Reason, Refused, Stale
from assent.kernel.locks import lock_name
from assent.kernel.reasons import keep_reason
from assent.kernel.tx import Reader, Tx
from assent.prompts import service as prompts
from assent.prompts.service import PromptVersion
from assent.registry import store
from assent.registry.domain import KINDS, LabelMoved, Status, parse_label, previous
from assent.registry.service import versions
from assent.registry.store import Label, ModelVersion, Move


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """A label of a model or prompt, wherever it points."""

    project: str
    name: str
    label: str
    kind: str = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What somebody wants with a label. `generation`: what they saw of it, if they say so; 0 for none yet."""

    pointer: Pointer
    reason: str | None = None
    generation: int | None = None


def move_label(tx: Tx, change: Change, version: str) -> Label:
    """Let a label point to a version, by number or digest; where it points there already nothing is recorded.

    Raises: Invalid, NotFound, Stale, Refused (it is an environment's, or the version is retired).
    """
    pointer = change.pointer
    label = _locked(tx, change)
    target = version_of(tx, pointer, version)
    reasons = [*_protected(tx, pointer, target.number), *_retired(target)]
    if reasons:
        raise Refused(f"{pointer.name}@{pointer.label} was not moved.", reasons=reasons)
    return _record(tx, label, target.digest, change)


def remove_label(tx: Tx, change: Change) -> None:
    """Take a label away; its history stays. Raises: Invalid, NotFound, Stale, Refused."""
    label = _locked(tx, change)
    if label.digest is None:
        raise _unknown(change.pointer)
    if reasons := _protected(tx, change.pointer, "VERSION"):
        raise Refused(f"{change.pointer.label} was not taken away.", reasons=reasons)
    _record(tx, label, None, change)


def roll_back_label(tx: Tx, change: Change) -> Label:
    """Let a label point to the version before. Raises: Invalid, NotFound, Stale, Conflict, Refused."""
    pointer = change.pointer
    label = _locked(tx, change)
    if label.generation == 0:
        raise _unknown(pointer)
    before = previous(store.steps_of(tx, label))
    target = None if before is None else find_version(tx, pointer.kind, pointer.project, before)
    if target is None:
        raise Conflict(
            f"{pointer.name}@{pointer.label} pointed to no other version before.",
            remedy="Move it to the version that it should point to.",
        )
    reasons = [*_protected(tx, pointer, target.number), *_retired(target)]
    if reasons:
        raise Refused(f"{pointer.name}@{pointer.label} was not moved.", reasons=reasons)
    return _record(tx, label, target.digest, change, rolled_back=True)


def mark_live(tx: Tx, pointer: Pointer, digest: str, because: str) -> None:
    """Let the label of an environment follow what a delivery, `because`, has made live there.

    An environment whose name is no label's (it begins with a digit) has none. Nothing else is asked: what is
    live is known by delivery, and a label never keeps it from going back.
    """
    try:
        parse_label(pointer.label)
    except Invalid:
        return
    change = Change(pointer=pointer)
    _record(tx, _held(tx, change), digest, change, because=because)


def list_labels(reader: Reader, kind: str, project: str, name: str) -> list[Label]:
    """List the labels of a name that point somewhere. Raises: NotFound."""
    _named(reader, kind, project, name)
    return [label for label in store.list_labels(reader, kind, project, name) if label.digest]


def labels_of(reader: Reader, digests: Sequence[str]) -> dict[str, list[str]]:
    """Give the labels that point to each of these versions now."""
    return store.labels_of(reader, digests)


def get_label(reader: Reader, pointer: Pointer) -> Label:
    """Get a label, taken away or not. Raises: Invalid, NotFound."""
    parse_label(pointer.label)
    found = store.find_label(reader, pointer.kind, pointer.project, pointer.name, pointer.label)
    if found is None:
        raise _unknown(pointer)
    return found


def label_history(
    reader: Reader, pointer: Pointer, *, before: int | None = None, limit: int = 50
) -> list[Move]:
    """List the moves of a label, newest first. Raises: Invalid, NotFound."""
    return store.list_moves(reader, get_label(reader, pointer), before, limit)


def label_at(reader: Reader, pointer: Pointer, at: datetime) -> Move:
    """Give the move that a label stood on at a time. Raises: Invalid, NotFound (it pointed nowhere then)."""
    found = store.label_at(reader, get_label(reader, pointer), at)
    if found is None or found.after is None:
        raise NotFound(
            f"{pointer.name}@{pointer.label} pointed nowhere at {at:%Y-%m-%d %H:%M:%S} UTC.",
            remedy="Its history lists every move.",
        )
    return found


def find_version(reader: Reader, kind: str, project: str, digest: str) -> ModelVersion | PromptVersion | None:
    """Find the model's or prompt's version that a label points to."""
    if kind == "model":
        return versions.find_by_digest(reader, project, digest)
    return prompts.find_by_digest(reader, project, digest)


def version_of(reader: Reader, pointer: Pointer, which: str) -> ModelVersion | PromptVersion:
    """Get the version of a label's name by its number or digest. Raises: Invalid, NotFound."""
    slice_ = versions if pointer.kind == "model" else prompts
    found: ModelVersion | PromptVersion = (
        slice_.get_by_digest(reader, pointer.project, which)
        if is_digest(which)
        else slice_.get(reader, pointer.project, pointer.name, which)
    )
    if found.name != pointer.name:
        raise Invalid(f"{which} is a version of {found.name}, not of {pointer.name}.")
    return found


def is_protected(reader: Reader, project: str, label: str) -> bool:
    """Tell whether a protected environment has the name of a label: then delivery alone moves it."""
    return any(one.name == label and one.protected for one in identity.list_environments(reader, project))


def _named(reader: Reader, kind: str, project: str, name: str) -> None:
    """Check that there is such a model or prompt. Raises: NotFound."""
    if kind not in KINDS:
        raise Invalid(f"{kind!r} has no labels.")
    (versions if kind == "model" else prompts).get(reader, project, name)


def _locked(tx: Tx, change: Change) -> Label:
    """Lock and read a label that somebody names. Raises: Invalid, NotFound, Stale."""
    p = change.pointer
    parse_label(p.label)
    _named(tx, p.kind, p.project, p.name)
    return _held(tx, change)


def _held(tx: Tx, change: Change) -> Label:
    """Lock all labels of a name and read one. Raises: Stale."""
    p = change.pointer
    lock_name(tx, f"labels of {p.kind}", p.project, p.name)
    found = store.find_label(tx, p.kind, p.project, p.name, p.label)
    label = found or Label(p.project, p.kind, p.name, p.label, None, 0, tx.now(), tx.actor.id)
    if change.generation is not None and change.generation != label.generation:
        raise Stale(
            f"{p.name}@{p.label} was moved: you saw generation {change.generation}, it is at "
            f"{label.generation}.",
            remedy="Look at it again, then repeat the move.",
        )
    return label


def _record(
    tx: Tx,
    label: Label,
    after: str | None,
    change: Change,
    *,
    rolled_back: bool = False,
    because: str | None = None,
) -> Label:
    if label.digest == after:
        return label
    moved = LabelMoved(
        project=label.project,
        kind=label.kind,
        name=label.name,
        label=label.label,
        before=label.digest,
        after=after,
        generation=label.generation + 1,
        rolled_back=rolled_back,
        because=because,
    )
    recorded = tx.record(moved, reason=keep_reason(tx, change.reason))
    return replace(
        label, digest=after, generation=moved.generation, moved_at=recorded.at, moved_by=recorded.actor
    )


def _protected(reader: Reader, pointer: Pointer, number: str) -> list[Reason]:
    if not is_protected(reader, pointer.project, pointer.label):
        return []
    ask = f"assent rollout request {pointer.name}@{number} {pointer.label} --plan FILE"
    return [
        Reason(
            "label.protected",
            f"{pointer.label} is a protected environment: its label follows what a rollout makes live there.",
            remedy=f"File a request to release: `{ask}`.",
        )
    ]


def _retired(version: ModelVersion | PromptVersion) -> list[Reason]:
    if getattr(version, "status", None) != Status.RETIRED:
        return []
    return [Reason("version.retired", f"{version.ref} is retired.", remedy="Choose a version that is not.")]


def _unknown(pointer: Pointer) -> NotFound:
    return NotFound(
        f"{pointer.name} has no label {pointer.label!r}.",
        remedy=f"`assent {pointer.kind} label list {pointer.name}` shows those that there are.",
    )
