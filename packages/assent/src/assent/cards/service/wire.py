"""The JSON form of cards."""

from typing import Any

from assent.cards.domain import completeness, named, title_of
from assent.cards.service.reading import View
from assent.cards.store import Card
from assent.kernel.clock import to_text


def card_to_wire(card: Card) -> dict[str, Any]:
    """Give where a card stands, without what it says."""
    at = {
        key: None if moment is None else to_text(moment)
        for key, moment in (
            ("drafted_at", card.drafted_at),
            ("submitted_at", card.submitted_at),
            ("published_at", card.published_at),
        )
    }
    return {
        "id": card.id,
        "ref": card.ref,
        "name": card.name,
        "version": card.number,
        "subject": card.subject,
        "revision": card.revision,
        "digest": card.digest,
        "tier": card.tier,
        "state": card.state,
        "complete": card.complete,
        "missing": [named(number) for number in card.missing],
        "request": card.request,
        "drafted_by": card.drafted_by,
        "submitted_by": card.submitted_by,
        **at,
    }


def view_to_wire(view: View) -> dict[str, Any]:
    """Give all of a card; the form follows the published schema."""
    found = completeness(view.document)
    n_met, n_asked = found.score
    return {
        **card_to_wire(view.card),
        "title": title_of(view.document),
        "completeness": {"complete": found.complete, "n_met": n_met, "n_asked": n_asked},
        "document": dict(view.document),
        "sections": view.sections(),
    }
