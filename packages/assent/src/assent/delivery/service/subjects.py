"""The versions that delivery speaks of, models and prompts alike, from the registries that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from assent.evidence import service as evidence
from assent.evidence.domain import DEPRECATION
from assent.flags import service as flags
from assent.kernel.canonical import is_digest
from assent.kernel.clock import to_text
from assent.kernel.errors import Conflict, Invalid, NotFound
from assent.kernel.tx import Reader
from assent.prompts import service as prompts
from assent.prompts.domain import Status
from assent.prompts.service import PromptVersion
from assent.registry import service as registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A version with all that is needed to serve it; `prompts` holds documents by digest.

    `deprecated_prompts`: those of them that are deprecated, as {ref, at, successor}.
    """

    digest: str
    kind: str
    name: str
    ref: str
    document: dict[str, Any]
    prompts: dict[str, dict[str, Any]]
    deprecation: dict[str, Any] | None
    deprecated_prompts: tuple[dict[str, Any], ...] = ()


def find_subject(reader: Reader, project: str, which: str) -> Subject:
    """Find a model's or prompt's version by its digest or as name@version. Raises: Invalid, NotFound."""
    try:
        return _model(reader, project, which)
    except NotFound as missing:
        try:
            return _prompt(reader, project, which)
        except NotFound:
            raise missing from None


def expect_no_flag(reader: Reader, project: str, environment: str, name: str) -> None:
    """Check that no flag has the name: an environment has one route for a name. Raises: Conflict."""
    if flags.find(reader, project, environment, name) is not None:
        raise Conflict(
            f"{environment} has a flag {name}, so no version can be routed under this name.",
            remedy="Archive the flag: assent flag archive.",
        )


def ref_of(reader: Reader, project: str, digest: str) -> str:
    """Give the name@version of a digest, or the digest where no registry knows it."""
    try:
        return find_subject(reader, project, digest).ref
    except NotFound:
        return digest


def _model(reader: Reader, project: str, which: str) -> Subject:
    if is_digest(which):
        version = registry.get_by_digest(reader, project, which)
    else:
        version = registry.get(reader, project, *_named(which))
    pinned = version.document.get("prompt")
    prompt = prompts.get_by_digest(reader, project, pinned) if pinned else None
    end = _end_of_prompt(reader, prompt) if prompt else None
    return Subject(
        digest=version.digest,
        kind="model",
        name=version.name,
        ref=version.ref,
        document=dict(version.document),
        prompts={prompt.digest: dict(prompt.document)} if prompt else {},
        deprecation=end_of(reader, project, version.digest),
        deprecated_prompts=({"ref": prompt.ref, **end},) if prompt and end else (),
    )


def _prompt(reader: Reader, project: str, which: str) -> Subject:
    if is_digest(which):
        version = prompts.get_by_digest(reader, project, which)
    else:
        version = prompts.get(reader, project, *_named(which))
    return Subject(
        digest=version.digest,
        kind="prompt",
        name=version.name,
        ref=version.ref,
        document=dict(version.document),
        prompts={},
        deprecation=_end_of_prompt(reader, version),
    )


def _end_of_prompt(reader: Reader, version: PromptVersion) -> dict[str, Any] | None:
    """Say since when a prompt version should not be used, and what follows it; it has no sunset."""
    if version.status != Status.DEPRECATED:
        return None
    following = version.successor and prompts.find_by_digest(reader, version.project, version.successor)
    return {"at": to_text(version.since), "successor": following.ref if following else None}


def end_of(reader: Reader, project: str, digest: str) -> dict[str, Any] | None:
    """Give what is claimed of a version's end, as snapshots carry it."""
    claim = evidence.latest(reader, project, DEPRECATION, digest)
    if claim is None or claim.value["state"] == "undone":
        return None
    return {
        "at": claim.value["at"],
        "sunset_at": claim.value["sunset_at"],
        "successor": claim.value["successor"],
        "brownouts": claim.value["brownouts"],
        "is_retired": claim.value["state"] == "retired",
    }


def _named(which: str) -> tuple[str, str]:
    name, at, number = which.partition("@")
    if not (name and at and number):
        raise Invalid(f"{which!r} names no version.", remedy="Write NAME@VERSION, for example support@2.1.0.")
    return name, number
