"""Use cases of cards: write them, complete them, have them voted on, read them; other slices enter here."""

from assent.cards.service.drafting import (
    Form,
    complete,
    document_of,
    find_published,
    form_of,
    generate,
    get,
    is_current,
    list_,
)
from assent.cards.service.publishing import (
    PUBLISHED,
    NewVote,
    is_decided,
    list_submitted,
    request_of,
    settle,
    submit,
    under_review,
    vote,
    withdraw,
)
from assent.cards.service.reading import View, view
from assent.cards.store import Card

__all__ = [
    "PUBLISHED",
    "Card",
    "Form",
    "NewVote",
    "View",
    "complete",
    "document_of",
    "find_published",
    "form_of",
    "generate",
    "get",
    "is_current",
    "is_decided",
    "list_",
    "list_submitted",
    "request_of",
    "settle",
    "submit",
    "under_review",
    "view",
    "vote",
    "withdraw",
]
