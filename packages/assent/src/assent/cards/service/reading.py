"""Give a card in its written forms, its live sections drawn now."""

from dataclasses import dataclass
from typing import Any

from assent.cards.domain import (
    Document,
    Edition,
    Part,
    brief_markdown,
    full_markdown,
    parts_of,
    to_wire,
)
from assent.cards.service.drafting import document_of
from assent.cards.service.live import live_sections
from assent.cards.store import Card
from assent.kernel.tx import Reader
from assent.registry import service as registry


@dataclass(frozen=True, slots=True)
class View:
    """A card with all twenty sections."""

    card: Card
    document: Document
    edition: Edition
    parts: list[Part]

    def markdown(self) -> str:
        """Write all sections."""
        return full_markdown(self.document, self.edition, self.parts)

    def brief(self) -> str:
        """Write the short template."""
        return brief_markdown(self.document, self.edition)

    def sections(self) -> list[dict[str, Any]]:
        """Give all sections as plain values."""
        return [to_wire(part) for part in self.parts]


def view(reader: Reader, card: Card) -> View:
    """Draw a card as it is now. Raises: NotFound (erased)."""
    document = document_of(reader, card)
    version = registry.get_by_digest(reader, card.project, card.subject)
    at = card.published_at or card.drafted_at
    edition = Edition(card.id, card.revision, card.digest, card.state, f"{at:%Y-%m-%d}")
    return View(card, document, edition, parts_of(document, live_sections(reader, card, version)))
