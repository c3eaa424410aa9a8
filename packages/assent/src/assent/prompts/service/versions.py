"""Register prompts and read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from assent.identity import service as identity
from assent.kernel.canonical import canonical, digest_bytes, is_digest
from assent.kernel.errors import Conflict, NotFound, TooLarge
from assent.kernel.ids import new_id
from assent.kernel.locks import lock_name
from assent.kernel.tx import Reader, Tx
from assent.prompts import store
from assent.prompts.domain import (
    MAX_DOCUMENT_BYTES,
    Bump,
    InterfaceChange,
    PromptRegistered,
    Wish,
    chosen_number,
    derived_bump,
    interface_changes,
    parse_number,
    parse_prompt,
    refuse,
)
from assent.prompts.service import fragments, schemas, templates
from assent.prompts.store import Filtered, PromptVersion
from assent.web.api import checked_name
from assent.web.diff import Field, Line, document_diff, text_diff


@dataclass(frozen=True, slots=True)
class NewPrompt:
    """What an author registers: `content` holds the document's fields."""

    project: str
    name: str
    content: Mapping[str, Any]
    bump: Bump | None = None
    number: str | None = None
    authors: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """A checked document before it has a number."""

    document: Mapping[str, Any]
    digest: str
    content: str


def register(tx: Tx, new: NewPrompt) -> tuple[PromptVersion, bool]:
    """Register a prompt; the same content under the same name gives the version that exists.

    Gives the version and whether it is new. Raises: Invalid with every mistake, TooLarge, NotFound
    (project, author), Conflict, Refused (the number is lower than the interface demands).
    """
    draft = _read(tx, new)
    lock_name(tx, "prompt", new.project, new.name)
    twin = store.find_by_digest(tx, new.project, draft.digest)
    if twin is not None:
        _same(twin, new.number)
        store.put_document(tx, draft.digest, draft.content)
        return get_by_digest(tx, new.project, draft.digest), False
    latest = store.find(tx, new.project, new.name, None)
    changes = () if latest is None else interface_changes(latest.document, draft.document)
    contributors = contributors_of(tx, new.authors)
    store.put_document(tx, draft.digest, draft.content)
    tx.record(
        PromptRegistered(
            id=new_id("prv"),
            project=new.project,
            name=new.name,
            number=_number(tx, new, latest, changes),
            digest=draft.digest,
            format=draft.document["format"],
            bump=str(derived_bump(changes)),
            tags=tuple(draft.document.get("tags", ())),
            contributors=contributors,
            supersedes=None if latest is None else latest.digest,
            fragments=fragments.digests_of(draft.document),
        )
    )
    return get_by_digest(tx, new.project, draft.digest), True


def preview(reader: Reader, new: NewPrompt) -> dict[str, Any]:
    """Say what registering would do. Raises: as `register`."""
    draft = _read(reader, new)
    twin = store.find_by_digest(reader, new.project, draft.digest)
    changes: Sequence[InterfaceChange] = ()
    if twin is not None:
        version, ref = twin.number, _same(twin, new.number).ref
    else:
        latest = store.find(reader, new.project, new.name, None)
        changes = () if latest is None else interface_changes(latest.document, draft.document)
        version, ref = _number(reader, new, latest, changes), None
    return {
        "name": new.name,
        "version": version,
        "digest": draft.digest,
        "ref": ref,
        "created": False,
        "exists": twin is not None,
        "bump": str(derived_bump(changes)),
        "interface": [asdict(change) for change in changes],
    }


def _read(reader: Reader, new: NewPrompt) -> Draft:
    checked_name(new.name, "prompt")
    identity.get_project(reader, new.project)
    bounded(new.content, "prompt")
    content, made_from = fragments.composed(reader, new.project, new.name, new.content)
    document = parse_prompt(content, project=new.project, name=new.name) | made_from
    refuse([*schemas.examine(document), *templates.examine(document)], "prompt", new.name)
    written = bounded(document, "prompt")
    return Draft(document, digest_bytes(written), written.decode())


def bounded(value: Mapping[str, Any], noun: str) -> bytes:
    """Give the canonical bytes of a document. Raises: TooLarge, Invalid."""
    content = canonical(value)
    if len(content) > MAX_DOCUMENT_BYTES:
        raise TooLarge(
            f"The {noun} has {len(content):,} bytes; {MAX_DOCUMENT_BYTES:,} are allowed.",
            remedy="Keep long texts elsewhere and give them as variables.",
        )
    return content


def contributors_of(tx: Tx, authors: Iterable[str], others: Iterable[str] = ()) -> tuple[str, ...]:
    """Give the ids of all who made a version: who registers it, the authors named, and others.

    Raises: NotFound (an author who has no account).
    """
    named = {identity.get_account(tx, author).id for author in authors}
    return tuple(sorted({tx.actor.id, *named, *others}))


def _same(twin: PromptVersion, number: str | None) -> PromptVersion:
    if number is not None and number != twin.number:
        raise Conflict(
            f"{twin.name} has this content already, as {twin.number}.",
            remedy=f"Use {twin.ref}, or change it.",
        )
    return twin


def _number(
    reader: Reader, new: NewPrompt, latest: PromptVersion | None, changes: Sequence[InterfaceChange]
) -> str:
    wish = Wish(new.bump, new.number)
    if new.number is not None and (taken := store.find(reader, new.project, new.name, new.number)):
        highest = parse_number((latest or taken).number)
        raise Conflict(
            f"{taken.ref} exists with other content, and versions never change.",
            remedy=f"Register it as {highest.raised(derived_bump(changes))}.",
        )
    return str(chosen_number(None if latest is None else parse_number(latest.number), changes, wish))


def get(reader: Reader, project: str, name: str, number: str | None = None) -> PromptVersion:
    """Get a version by its number or digest, or the one with the highest number. Raises: NotFound."""
    if number is not None and is_digest(number):
        found = store.find_by_digest(reader, project, number)
    else:
        found = store.find(reader, project, name, number)
    if found is None or found.name != name:
        raise NotFound(
            f"There is no prompt {name}{f'@{number}' if number else ''} in {project}.",
            remedy="`assent prompt list` shows those that there are.",
        )
    return found


def find_by_digest(reader: Reader, project: str, digest: str) -> PromptVersion | None:
    """Find the version with this content."""
    return store.find_by_digest(reader, project, digest)


def get_by_digest(reader: Reader, project: str, digest: str) -> PromptVersion:
    """Get the version with this content. Raises: NotFound."""
    found = store.find_by_digest(reader, project, digest)
    if found is None:
        raise NotFound(f"No prompt of {project} has the digest {digest}.", remedy="Register it first.")
    return found


def list_versions(reader: Reader, project: str, name: str) -> list[PromptVersion]:
    """List all versions of a prompt, newest first. Raises: NotFound."""
    found = store.list_versions(reader, project, {"name": name})
    if not found:
        raise NotFound(f"There is no prompt {name} in {project}.")
    return found


def list_prompts(reader: Reader, project: str) -> list[str]:
    """List the names of the prompts."""
    return store.list_names(reader, project)


def search(
    reader: Reader,
    project: str,
    where: Mapping[str, str],
    *,
    before: str | None = None,
    limit: int = 50,
    filtered: Filtered | None = None,
) -> list[PromptVersion]:
    """List the versions that have all these values (name, tag, format, digest), newest first.

    Raises: Invalid with the place of the mistake in the filter.
    """
    return store.list_versions(reader, project, where, store.Page(before, limit), filtered)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two documents: key by key, the text line by line, and the interface."""

    before: PromptVersion
    after: PromptVersion
    fields: Sequence[Field]
    text: Sequence[Line]
    interface: Sequence[InterfaceChange]

    @property
    def bump(self) -> Bump:
        """Give the least bump that the difference demands."""
        return derived_bump(self.interface)


def compare(before: PromptVersion, after: PromptVersion) -> Comparison:
    """Compare two versions of prompts."""
    old, new = before.document, after.document
    return Comparison(
        before,
        after,
        document_diff(old, new),
        text_diff(_as_text(old), _as_text(new)),
        interface_changes(old, new),
    )


def _as_text(document: Mapping[str, Any]) -> str:
    """Write the messages one below the other."""
    told = []
    for message in document["messages"]:
        if "placeholder" in message:
            told.append(f"[messages: {message['placeholder']}]")
            continue
        content = message.get("content")
        written = content if isinstance(content, str) else canonical(content).decode()
        told.append(f"[{message['role']}]\n{written}")
    return "\n\n".join(told)
