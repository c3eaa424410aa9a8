"""Use cases of cards: write them, complete them, have them voted on, read them; other slices enter here."""

from assent.cards.service.comparing import Comparison, compare, previous
from assent.cards.service.drafting import (
    Blanks,
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
from assent.cards.service.remarks import NewRemark, Remark, list_remarks, remark
from assent.cards.service.wire import card_to_wire, view_to_wire
from assent.cards.service.writing import ENDINGS, MEDIA_TYPES, POLICY, Form, Written, page_of, write
from assent.cards.store import Card

__all__ = [
    "ENDINGS",
    "MEDIA_TYPES",
    "POLICY",
    "PUBLISHED",
    "Blanks",
    "Card",
    "Comparison",
    "Form",
    "NewRemark",
    "NewVote",
    "Remark",
    "View",
    "Written",
    "card_to_wire",
    "compare",
    "complete",
    "document_of",
    "find_published",
    "form_of",
    "generate",
    "get",
    "import_",
    "is_current",
    "is_decided",
    "list_",
    "list_remarks",
    "list_submitted",
    "page_of",
    "previous",
    "remark",
    "request_of",
    "settle",
    "submit",
    "under_review",
    "view",
    "view_to_wire",
    "vote",
    "withdraw",
    "write",
]
