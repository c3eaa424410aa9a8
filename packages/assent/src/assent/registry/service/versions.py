"""Register model versions, move them through their life, and read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assent.identity import service as identity
from assent.kernel import filter_sql
from assent.kernel.canonical import digest_bytes, is_digest
from assent.kernel.errors import Conflict, Gone, NotFound
from assent.kernel.ids import new_id
from assent.kernel.locks import lock_name
from assent.kernel.tx import Reader, Tx
from assent.prompts import service as prompts
from assent.prompts.domain import Bump, parse_number, split_ref
from assent.prompts.service import Comparison
from assent.registry import store
from assent.registry.domain import (
    Stage,
    VersionAdvanced,
    VersionRegistered,
    parse_model,
    parse_stage,
    parse_status,
    trained_on,
)
from assent.registry.service.guardrails import check_guardrails
from assent.registry.store import Edge, ModelVersion, Search
from assent.web.api import checked_name
from assent.web.diff import Field, document_diff

UNKNOWN = "sha256:" + "0" * 64


@dataclass(frozen=True, slots=True)
class NewModel:
    """What an author registers: the document's fields, with prompts and sources named or by digest."""

    project: str
    name: str
    number: str
    content: Mapping[str, Any]
    authors: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A checked document before it is registered."""

    document: Mapping[str, Any]
    digest: str
    content: str


def register(tx: Tx, project: str, name: str, number: str, document: Mapping[str, Any]) -> ModelVersion:
    """Register a version by the actor alone, or give the one with this content.

    Raises: as `register_model`.
    """
    return register_model(tx, NewModel(project, name, number, document))[0]


def register_model(tx: Tx, new: NewModel) -> tuple[ModelVersion, bool]:
    """Register a model version; the same content again gives the version that exists.

    Gives the version and whether it is new. Raises: Invalid with every mistake, TooLarge, NotFound (project,
    prompt, source, author), Conflict (the number has other content, or the content another number).
    """
    draft = _read(tx, new)
    lock_name(tx, "model", new.project, new.name)
    twin = _twin(tx, new, draft)
    store.put_document(tx, draft.digest, draft.content)
    if twin is not None:
        return get_by_digest(tx, new.project, draft.digest), False
    document, latest = draft.document, store.find(tx, new.project, new.name, None)
    prompt, version = document["prompt"], new_id("mdv")
    helped = prompts.get_by_digest(tx, new.project, prompt).contributors if prompt else ()
    tx.record(
        VersionRegistered(
            id=version,
            project=new.project,
            name=new.name,
            number=new.number,
            digest=draft.digest,
            tier=document["tier"],
            owner=document.get("owner"),
            provider=document["provider"],
            upstream_model=document["upstream_model"],
            base_model=document.get("base_model"),
            prompt=prompt,
            built_from=tuple(document.get("built_from", ())),
            trained_on=trained_on(document),
            supersedes=None if latest is None else latest.digest,
            tags=tuple(document.get("tags", ())),
            contributors=prompts.contributors_of(tx, new.authors, helped),
        )
    )
    store.put_text(tx, version, document)
    return get_by_digest(tx, new.project, draft.digest), True


def preview(reader: Reader, new: NewModel) -> dict[str, Any]:
    """Say what registering would do. Raises: as `register_model`."""
    draft = _read(reader, new)
    twin = _twin(reader, new, draft)
    return {
        "name": new.name,
        "version": new.number,
        "digest": draft.digest,
        "ref": None if twin is None else twin.ref,
        "created": False,
        "exists": twin is not None,
    }


def _read(reader: Reader, new: NewModel) -> Draft:
    checked_name(new.name, "model")
    parse_number(new.number)
    identity.get_project(reader, new.project)
    prompts.bounded(new.content, "model")
    # The form comes first: what the version names may still be on its way, a mistake in it is one now.
    parse_model(_named(new.content, lambda _: UNKNOWN, lambda _: UNKNOWN), project=new.project, name=new.name)
    pinned = _named(
        new.content,
        lambda ref: _prompt(reader, new.project, ref),
        lambda ref: get_ref(reader, new.project, ref).digest,
    )
    document = parse_model(pinned, project=new.project, name=new.name)
    check_guardrails(document)
    content = prompts.bounded(document, "model")
    return Draft(document, digest_bytes(content), content.decode())


def _named(
    content: Mapping[str, Any], prompt: Callable[[str], str], source: Callable[[str], str]
) -> dict[str, Any]:
    """Replace the refs of the prompt and of sources by the digests that they have for good."""
    found = dict(content)
    if isinstance(found.get("prompt"), str):
        found["prompt"] = prompt(found["prompt"])
    for key in ("built_from", "fallback"):
        if isinstance(found.get(key), list):
            found[key] = [source(one) if isinstance(one, str) else one for one in found[key]]
    return found


def _prompt(reader: Reader, project: str, ref: str) -> str:
    if is_digest(ref):
        return prompts.get_by_digest(reader, project, ref).digest
    return prompts.get(reader, project, *split_ref(ref)).digest


def _twin(reader: Reader, new: NewModel, draft: Draft) -> ModelVersion | None:
    twin = store.find_by_digest(reader, draft.digest)
    if twin is not None and twin.number != new.number:
        raise Conflict(
            f"{new.name} has this content already, as {twin.number}.",
            remedy=f"Use {twin.ref}, or change it.",
        )
    if twin is None:
        _refuse_deleted(reader, draft)
        _refuse_taken(reader, new)
    return twin


def _refuse_taken(reader: Reader, new: NewModel) -> None:
    """Refuse a number that another content has, or a deleted draft had."""
    numbers = store.numbers_of(reader, new.project, new.name)
    if new.number in numbers:
        deleted = store.find(reader, new.project, new.name, new.number) is None
        free = parse_number(max(numbers, key=lambda one: parse_number(one).sort_key)).raised(Bump.PATCH)
        why = "was deleted, and its number is" if deleted else "exists with other content, and versions are"
        what = "never used again" if deleted else "never changed"
        raise Conflict(
            f"{new.name}@{new.number} {why} {what}.",
            remedy=f"Register it under a number that is free, such as {free}.",
        )


def _refuse_deleted(reader: Reader, draft: Draft) -> None:
    """Refuse content that was deleted: a digest names one version for good."""
    gone = store.find_tombstone(reader, draft.digest)
    if gone is not None:
        raise Gone(
            f"This content was {gone['name']}@{gone['number']} and was deleted on {gone['since']:%Y-%m-%d}.",
            remedy="Change it, if only a word of its description, and register it under a new number.",
        )


def advance(tx: Tx, digest: str, stage: str, because: str, status: str | None = None) -> ModelVersion:
    """Move a version to the stage that something it went through has brought it to.

    `because` is the id of that event. Nothing is recorded where it is there already; a retired version
    stays retired. Raises: Invalid, NotFound.
    """
    to = parse_stage(stage)
    store.lock_state(tx, digest)
    version = store.find_by_digest(tx, digest)
    if status is None and version is not None and version.status == "deprecated" and to != Stage.RETIREMENT:
        status = version.status  # what moves it does not take its announced end back
    wanted = parse_status(status, to)
    if version is None:
        raise NotFound(f"No model has the digest {digest}.")
    if version.stage == Stage.RETIREMENT or (version.stage, version.status) == (to, wanted):
        return version
    tx.record(
        VersionAdvanced(
            project=version.project,
            name=version.name,
            number=version.number,
            subject=digest,
            stage=to.value,
            status=wanted.value,
            because=because,
        )
    )
    return get_by_digest(tx, version.project, digest)


def status_of(stage: str) -> str:
    """Give the status that follows from a stage. Raises: Invalid."""
    return parse_status(None, parse_stage(stage)).value


def get(reader: Reader, project: str, name: str, number: str | None = None) -> ModelVersion:
    """Get a version, or the one with the highest number. Raises: NotFound."""
    found = store.find(reader, project, name, number)
    if found is None:
        raise NotFound(
            f"There is no model {name}{f'@{number}' if number else ''} in {project}.",
            remedy="`assent model list` shows those that there are.",
        )
    return found


def get_ref(reader: Reader, project: str, ref: str) -> ModelVersion:
    """Get the version that `name@number` or a digest names. Raises: Invalid, NotFound."""
    if is_digest(ref):
        return get_by_digest(reader, project, ref)
    return get(reader, project, *split_ref(ref))


def find_by_digest(reader: Reader, project: str, digest: str) -> ModelVersion | None:
    """Find the version with this content."""
    return store.find_by_digest(reader, digest, project)


def get_by_digest(reader: Reader, project: str, digest: str) -> ModelVersion:
    """Get the version with this content. Raises: NotFound."""
    found = store.find_by_digest(reader, digest, project)
    if found is None:
        raise NotFound(f"No model of {project} has the digest {digest}.", remedy="Register it first.")
    return found


def list_versions(reader: Reader, project: str, name: str) -> list[ModelVersion]:
    """List all versions of a model, newest first. Raises: NotFound."""
    found = store.list_versions(reader, project, name)
    if not found:
        raise NotFound(f"There is no model {name} in {project}.")
    return found


def list_models(reader: Reader, project: str) -> list[str]:
    """List the names of the models."""
    return store.list_names(reader, project)


def search(
    reader: Reader, project: str, wanted: Search, *, before: str | None = None, limit: int = 50
) -> list[ModelVersion]:
    """List a page of versions, newest first, without their documents; `before` is the id that ended the last.

    Raises: Invalid with the place of the mistake in the filter.
    """
    return store.search(reader, project, wanted, before, limit)


def prompt_fields(project: str) -> dict[str, filter_sql.Field]:
    """Give the fields of a filter over prompt versions that the registry knows of."""
    return {"label": store.label_of_prompt(project)}


def reindex(tx: Tx) -> tuple[int, list[str]]:
    """Write the index of words anew, for all projects.

    Gives how many versions it holds, and the refs of those whose document is erased or was changed.
    """
    return store.rewrite_texts(tx)


def contributors(reader: Reader, project: str, digest: str) -> frozenset[str]:
    """Give the ids of all who made a version: they do not approve it. Raises: NotFound."""
    return frozenset(get_by_digest(reader, project, digest).contributors)


def lineage(reader: Reader, project: str, digest: str) -> tuple[list[Edge], list[Edge]]:
    """Give what a digest comes from, and what comes from it."""
    found = store.list_edges(reader, project, digest)
    return [e for e in found if e.source == digest], [e for e in found if e.target == digest]


def prompts_of(reader: Reader, version: ModelVersion) -> dict[str, dict[str, Any]]:
    """Give the documents of the prompts that a version uses, by digest."""
    if version.prompt is None:
        return {}
    return {version.prompt: prompts.get_by_digest(reader, version.project, version.prompt).document}


def compare(
    reader: Reader, before: ModelVersion, after: ModelVersion
) -> tuple[Sequence[Field], Comparison | None]:
    """Compare two versions key by key, and their prompts where both have one and they differ."""
    fields = document_diff(before.document, after.document)
    if before.prompt is None or after.prompt is None or before.prompt == after.prompt:
        return fields, None
    old = prompts.get_by_digest(reader, before.project, before.prompt)
    return fields, prompts.compare(old, prompts.get_by_digest(reader, after.project, after.prompt))
