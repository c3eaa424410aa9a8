"""Write cards: generate from records, complete by the form, read back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from assent.cards import store
from assent.cards.domain import (
    Blank,
    CardDrafted,
    Declared,
    Document,
    completeness,
    merge,
    parse_form,
    print_form,
    read_card,
)
from assent.cards.service.records import compile_document, earlier_version
from assent.cards.store import Card
from assent.kernel.canonical import canonical, digest_bytes
from assent.kernel.errors import Invalid, NotFound, Reason, Stale, TooLarge
from assent.kernel.ids import new_id
from assent.kernel.locks import lock_name
from assent.kernel.tx import Reader, Tx
from assent.registry import service as registry
from assent.registry.service import ModelVersion

MAX_BYTES = 4_000_000
PREFIX = "card_"
MAX_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Blanks:
    """The form of a version's card: what is declared, what the tier misses, and all of it as YAML.

    `shown` is the digest of the card that it was made from, "" where there is none; `start` is what the card
    of the previous version, `start_ref`, declares.
    """

    ref: str
    tier: str | None
    declared: Mapping[str, Any]
    missing: Sequence[str]
    text: str
    shown: str
    start: Mapping[str, Any]
    start_ref: str


def version_of(reader: Reader, project: str, which: str) -> ModelVersion:
    """Find the model version that `name@number`, or a card's id, speaks of. Raises: NotFound, Invalid."""
    if which.startswith(PREFIX) and "@" not in which:
        card = get(reader, project, which)
        return registry.get_by_digest(reader, project, card.subject)
    name, at, number = which.partition("@")
    if not (name and at and number):
        raise Invalid(f"{which!r} names no version.", remedy="Write NAME@VERSION, as in support@2.1.0.")
    return registry.get(reader, project, name, number)


def get(reader: Reader, project: str, which: str) -> Card:
    """Get a card by its id, or of a version: the newest of `name@number`, or that of `name@number#revision`.

    Raises: NotFound, Invalid.
    """
    if which.startswith(PREFIX) and "@" not in which:
        found = store.find(reader, which)
        if found is None or found.project != project:
            raise NotFound(f"There is no card {which!r}.", remedy="`assent card list` shows them.")
        return found
    ref, hash_, revision = which.partition("#")
    version = version_of(reader, project, ref)
    if hash_:
        return _revision(reader, version, revision)
    newest = store.newest(reader, project, version.digest)
    if newest is None:
        raise NotFound(f"{version.ref} has no card.", remedy=f"assent card generate {version.ref}")
    return newest


def _revision(reader: Reader, version: ModelVersion, revision: str) -> Card:
    plain = revision.isascii() and revision.isdecimal() and len(revision) <= MAX_DIGITS
    project, subject = version.project, version.digest
    found = store.find_revision(reader, project, subject, int(revision)) if plain else None
    if found is None:
        remedy = f"assent card history {version.ref}"
        raise NotFound(f"{version.ref} has no card of revision {revision!r}.", remedy=remedy)
    return found


def find_published(reader: Reader, project: str, name: str, number: str) -> Card | None:
    """Find the published card of a version; one that was published later has taken the place of others."""
    found = store.select(
        reader, project, {"name": name, "number": number, "state": "published"}, None, limit=1
    )
    return found[0] if found else None


def list_(
    reader: Reader, project: str, filters: Mapping[str, str], *, before: str | None = None, limit: int = 50
) -> list[Card]:
    """List cards, newest first; `filters`: name, number, subject, state."""
    return store.select(reader, project, filters, before, limit)


def document_of(reader: Reader, card: Card) -> Document:
    """Read what a card says. Raises: NotFound (erased)."""
    document: Document = msgspec.json.decode(reader.blobs.get(card.digest))
    return document


def is_current(reader: Reader, card: Card) -> bool:
    """Tell whether the records say today what they said when the card was written."""
    version = registry.get_by_digest(reader, card.project, card.subject)
    declared = document_of(reader, card)["declared"]
    return digest_bytes(canonical(compile_document(reader, version, declared))) == card.digest


def generate(tx: Tx, project: str, which: str) -> tuple[Card, bool]:
    """Write a version's card from its records, what is declared so far kept. The same again changes nothing.

    Gives the card and whether it is new. Raises: NotFound, Invalid.
    """
    version = _locked(tx, project, which)
    return draft(tx, version, _declared(tx, version))


def complete(tx: Tx, project: str, which: str, form: Any, based_on: str | None = None) -> tuple[Card, bool]:
    """Write a version's card anew with what a form declares, which takes the place of all declared before.

    `based_on` is the digest of the card that was before the writer's eyes; "" says that there was none.
    Gives the card and whether it is new. Raises: NotFound, Invalid with every mistake, TooLarge, Stale.
    """
    declared = parse_form(form)
    version = _locked(tx, project, which)
    newest = store.newest(tx, project, version.digest)
    if based_on is not None and based_on != ("" if newest is None else newest.digest):
        raise Stale(
            f"The card of {version.ref} was changed meanwhile.",
            remedy="Look at what changed, then send your text again: it takes the place of theirs.",
        )
    return draft(tx, version, declared)


def import_(tx: Tx, project: str, which: str, form: str, content: Any) -> tuple[Card, bool, list[Reason]]:
    """Take over what a card written elsewhere declares: it takes the place of what stood in these fields.

    Gives the card, whether it is new, and what was left out. Raises: NotFound, Invalid, TooLarge.
    """
    version = _locked(tx, project, which)
    taken, left = read_card(form, content)
    card, created = draft(tx, version, merge(_declared(tx, version), taken))
    return card, created, left


def _locked(tx: Tx, project: str, which: str) -> ModelVersion:
    """Get a version whose card nobody else writes until this is done."""
    version = version_of(tx, project, which)
    lock_name(tx, "card", project, version.digest)
    return version


def draft(tx: Tx, version: ModelVersion, declared: Declared) -> tuple[Card, bool]:
    """Keep a card unless the newest one of this version says the same."""
    document = compile_document(tx, version, declared)
    content = canonical(document)
    if len(content) > MAX_BYTES:
        raise TooLarge(
            f"The card has {len(content):,} bytes; {MAX_BYTES:,} at most.", remedy="Shorten the form."
        )
    newest = store.newest(tx, version.project, version.digest)
    if newest is not None and newest.digest == digest_bytes(content):
        return newest, False
    found = completeness(document)
    event = CardDrafted(
        card=new_id("card"),
        project=version.project,
        name=version.name,
        number=version.number,
        subject=version.digest,
        revision=1 if newest is None else newest.revision + 1,
        digest=tx.blobs.put(content),
        tier=found.tier,
        complete=found.complete,
        missing=found.missing,
    )
    tx.record(event)
    return get(tx, version.project, event.card), True


def form_of(reader: Reader, project: str, which: str) -> Blanks:
    """Print the form of a version's card, with the previous version's text where nothing is declared yet."""
    version = version_of(reader, project, which)
    declared = _declared(reader, version)
    found = completeness(compile_document(reader, version, declared))
    earlier = earlier_version(reader, version)
    start = _declared(reader, earlier) if earlier is not None else {}
    blank = Blank(
        ref=version.ref,
        tier=found.tier,
        declared=declared,
        missing=found.missing_paths,
        start=start,
        start_ref=earlier.ref if earlier is not None and start else "",
    )
    newest = store.newest(reader, version.project, version.digest)
    return Blanks(
        ref=version.ref,
        tier=found.tier,
        declared=declared,
        missing=sorted(found.missing_paths),
        text=print_form(blank),
        shown="" if newest is None else newest.digest,
        start=start,
        start_ref=blank.start_ref,
    )


def _declared(reader: Reader, version: ModelVersion) -> Declared:
    newest = store.newest(reader, version.project, version.digest)
    return {} if newest is None else dict(document_of(reader, newest)["declared"])
