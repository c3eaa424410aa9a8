"""Compare a card with the one before it."""

from dataclasses import dataclass

from assent.cards import store
from assent.cards.domain import tree_of
from assent.cards.service.drafting import document_of, get, version_of
from assent.cards.service.records import earlier_version
from assent.cards.store import Card
from assent.kernel.tx import Reader
from assent.web.diff import Field, document_diff


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two cards and where they differ; `before` is None where there is nothing to compare with."""

    before: Card | None
    after: Card
    fields: tuple[Field, ...]


def compare(reader: Reader, project: str, which: str, against: str | None = None) -> Comparison:
    """Compare a card with another, or with the one before it. Raises: NotFound, Invalid."""
    after = get(reader, project, which)
    before = previous(reader, after) if against is None else get(reader, project, against)
    old = None if before is None else tree_of(document_of(reader, before))
    return Comparison(before, after, document_diff(old, tree_of(document_of(reader, after))))


def previous(reader: Reader, card: Card) -> Card | None:
    """Find the card before this one: of the same version published, of the version before, or a draft."""
    own = store.select(reader, card.project, {"subject": card.subject}, None, limit=1000)
    older = [one for one in own if one.revision < card.revision]
    published = [one for one in older if one.published_at is not None]
    return next(iter([*published, *_of_earlier_version(reader, card), *older]), None)


def _of_earlier_version(reader: Reader, card: Card) -> list[Card]:
    earlier = earlier_version(reader, version_of(reader, card.project, card.id))
    if earlier is None:
        return []
    found = [store.newest(reader, card.project, earlier.digest, state) for state in ("published", None)]
    return [one for one in found if one is not None]
