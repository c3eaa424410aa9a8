"""Use cases of cards: write them, complete them, have them voted on, read them; other slices enter here."""

from assent.cards.service.comparing import Comparison, compare, previous
from assent.cards.service.drafting import (
    Form,
    complete,
    document_of,
    find_published,
    form_of,
    generate,
    get,
    import_,
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
from assent.cards.service.writing import POLICY, bom_of, eval_results_of, page_of, readme_of
from assent.cards.store import Card

__all__ = [
    "POLICY",
    "PUBLISHED",
    "Card",
    "Comparison",
    "Form",
    "NewVote",
    "View",
    "bom_of",
    "compare",
    "complete",
    "document_of",
    "eval_results_of",
    "find_published",
    "form_of",
    "generate",
    "get",
    "import_",
    "is_current",
    "is_decided",
    "list_",
    "list_submitted",
    "page_of",
    "previous",
    "readme_of",
    "request_of",
    "settle",
    "submit",
    "under_review",
    "view",
    "vote",
    "withdraw",
]
