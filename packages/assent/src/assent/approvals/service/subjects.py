"""What approvals asks of the registries: which version a request is about, and who worked on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assent.approvals.domain.facts import STRICTEST, TIERS
from assent.kernel.canonical import is_digest
from assent.kernel.errors import Invalid, NotFound
from assent.kernel.tx import Reader, Tx
from assent.prompts import service as prompts
from assent.registry import service as registry

APPROVING, APPROVED_STAGE, RETURNED = (
    ("approval", "review"),
    ("approval", "approved"),
    ("evaluation", "draft"),
)
"""Stage and status that a request brings a version to: filed, approved, rejected."""
BEFORE_DELIVERY = {"development", "evaluation", "approval"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A version, as policies see it. `prompt`: digest of the prompt that it pins."""

    digest: str
    name: str
    ref: str
    model: bool
    tier: str
    base_model: str | None
    prompt: str | None
    contributors: tuple[str, ...]


def find_subject(reader: Reader, project: str, which: str) -> Subject:
    """Find a model's or prompt's version by its digest or as name@version. Raises: Invalid, NotFound."""
    try:
        return _model(reader, project, which)
    except NotFound as missing:
        try:
            return _prompt(reader, project, which)
        except NotFound:
            raise missing from None


def move_stage(tx: Tx, project: str, digest: str, to: tuple[str, str], because: str) -> None:
    """Move a version on; one that is out somewhere already stays at the stage that it reached."""
    version = registry.find_by_digest(tx, project, digest)
    if version is None and prompts.find_by_digest(tx, project, digest) is not None:
        prompts.advance(tx, digest, to[1], because)
    if version is not None and version.stage in BEFORE_DELIVERY:
        stage, status = to
        registry.advance(tx, digest, stage, because, status)


def _model(reader: Reader, project: str, which: str) -> Subject:
    if is_digest(which):
        version = registry.get_by_digest(reader, project, which)
    else:
        version = registry.get(reader, project, *_named(which))
    document: Mapping[str, Any] = version.document
    pinned = document.get("prompt")
    people = set(version.contributors)
    if pinned:
        people |= set(prompts.get_by_digest(reader, project, pinned).contributors)
    return Subject(
        digest=version.digest,
        name=version.name,
        ref=version.ref,
        model=True,
        tier=_tier(document),
        base_model=document.get("base_model") or None,
        prompt=pinned,
        contributors=tuple(sorted(people)),
    )


def _prompt(reader: Reader, project: str, which: str) -> Subject:
    if is_digest(which):
        version = prompts.get_by_digest(reader, project, which)
    else:
        version = prompts.get(reader, project, *_named(which))
    return Subject(
        digest=version.digest,
        name=version.name,
        ref=version.ref,
        model=False,
        tier=_tier(version.document),
        base_model=None,
        prompt=None,
        contributors=tuple(sorted(version.contributors)),
    )


def _tier(document: Mapping[str, Any]) -> str:
    """Give the stated tier; what states none is treated as strictly as can be."""
    tier = document.get("tier")
    return tier if tier in TIERS else STRICTEST


def _named(which: str) -> tuple[str, str]:
    name, at, number = which.partition("@")
    if not (name and at and number):
        raise Invalid(f"{which!r} names no version.", remedy="Write NAME@VERSION, for example support@2.1.0.")
    return name, number


def documents_of(reader: Reader, project: str, manifest: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """Give the documents of the versions and prompts that a manifest names, by digest."""
    found: dict[str, Mapping[str, Any]] = {}
    for digest in manifest.values():
        version = registry.find_by_digest(reader, project, digest) or prompts.find_by_digest(
            reader, project, digest
        )
        if version is not None:
            found[digest] = version.document
    return found
