"""What people say about the sections of a card under review: comments on its request."""

from dataclasses import dataclass
from datetime import datetime

from assent.approvals import service as approvals
from assent.cards.domain import SECTIONS
from assent.cards.service.publishing import request_of, under_review
from assent.cards.store import Card
from assent.kernel.errors import NotFound
from assent.kernel.tx import Reader, Tx
from assent.web.diff import SEPARATOR


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRemark:
    """What somebody says: of a section by its number, of the whole, or in answer to a comment."""

    text: str
    section: int | None = None
    answers: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """A comment as it is shown; `section` is None where it is about the whole, `text` where it was erased."""

    id: str
    section: int | None
    answers: str | None
    by: str
    at: datetime
    resolved_at: datetime | None
    text: str | None


def remark(tx: Tx, project: str, which: str, new: NewRemark) -> Remark:
    """Comment on a section of the card under review. Raises: NotFound, Conflict, Invalid."""
    card = under_review(tx, project, which)
    if new.section is not None and not 1 <= new.section <= len(SECTIONS):
        raise NotFound(f"A card has no section {new.section}.", remedy="Sections go from 1 to 20.")
    made = approvals.comment(
        tx,
        approvals.NewComment(
            request=request_of(tx, card).id,
            project=project,
            text=new.text,
            path=None if new.section is None else SECTIONS[new.section - 1].heading,
            answers=new.answers,
        ),
    )
    return _shown(made)


def list_remarks(reader: Reader, card: Card) -> list[Remark]:
    """List what was said about a card, oldest first."""
    if card.request is None:
        return []
    return [_shown(one) for one in approvals.list_comments(reader, card.request)]


def _shown(one: approvals.Comment) -> Remark:
    heading = (one.path or "").partition(SEPARATOR)[0]
    number = next((section.number for section in SECTIONS if section.heading == heading), None)
    return Remark(
        id=one.id,
        section=number,
        answers=one.answers,
        by=one.by,
        at=one.at,
        resolved_at=one.resolved_at,
        text=one.text,
    )
