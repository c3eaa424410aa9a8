"""The card of a version: how complete it is, what is missing and who can bring it, and what is said of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from assent.cards import service as cards
from assent.cards.domain import Asked, completeness, title_of
from assent.cards.service import Card, Comparison, Form, Remark, View
from assent.console.changes import told
from assent.console.parts import ActionButton, Link
from assent.console.refs import system_link
from assent.console.timeline import Names
from assent.console.visit import PageRoute, Visit, see_other, visits
from assent.identity.domain import Permission
from assent.kernel.errors import AssentError, NotFound
from assent.kernel.tx import Reader, Tx
from assent.registry import service as registry
from assent.web.forms import Form as Posted
from assent.web.forms import posted_form

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/cards")
Seen = Annotated[Visit, visits(Permission.CARD_READ)]
Writing = Annotated[Visit, visits(Permission.CARD_WRITE)]
Sent = Annotated[Posted, Depends(posted_form)]
MAX_HISTORY = 50


@dataclass(frozen=True, slots=True)
class SectionRow:
    """One section; `state` is pass, fail (required and missing), unknown (missing) or live."""

    heading: str
    origin: str
    state: str
    to_do: Sequence[tuple[str, Sequence[str]]]
    remarks: Sequence[tuple[str, datetime, str, bool]]


@dataclass(frozen=True, slots=True)
class PastRow:
    """One revision."""

    revision: int
    state: str
    by: str
    at: datetime
    published_at: datetime | None
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CardView:
    """What the page shows."""

    ref: str
    title: str
    system: Link
    card: Card | None
    newest: bool
    current: bool
    complete: bool
    n_met: int
    n_asked: int
    sections: Sequence[SectionRow]
    whole: Sequence[tuple[str, datetime, str, bool]]
    compared: Comparison | None
    compared_with: str
    history: Sequence[PastRow]
    actions: Sequence[ActionButton]
    form_address: str
    request: Link | None
    public: str
    exports: Sequence[Link]


def address_of(project: str, name: str, number: str) -> str:
    """Give the address of a version's card."""
    return f"/projects/{project}/cards/{name}/{number}"


def build(visit: Visit, reader: Reader, name: str, number: str, revision: int | None) -> CardView:
    """Gather what the page shows; a version without a card has a page too. Raises: NotFound."""
    version = registry.get(reader, visit.project, name, number)
    card = _find(reader, visit.project, version.ref, revision)
    view = None if card is None else cards.view(reader, card)
    remarks = [] if card is None else cards.list_remarks(reader, card)
    compared = None if card is None else cards.compare(reader, visit.project, card.id)
    found = None if view is None else completeness(view.document)
    history = cards.list_(reader, visit.project, {"subject": version.digest}, limit=MAX_HISTORY)
    newest = card is not None and card.id == history[0].id
    names = Names(reader)
    here = address_of(visit.project, name, number)
    published = any(one.state == "published" for one in history)
    n_met, n_asked = (0, 0) if found is None else found.score
    return CardView(
        ref=version.ref,
        title=version.name if view is None else title_of(view.document),
        system=system_link(visit.project, name),
        card=card,
        newest=newest,
        current=card is not None and cards.is_current(reader, card),
        complete=found is not None and found.complete,
        n_met=n_met,
        n_asked=n_asked,
        sections=[] if view is None else _sections(view, remarks, names),
        whole=[_said(one, names) for one in remarks if one.section is None],
        compared=compared,
        compared_with="" if compared is None else told(compared),
        history=[_past(one, names, here) for one in history],
        actions=_actions(visit, card if newest else None, history, here),
        form_address="" if visit.lacks(Permission.CARD_WRITE) else f"{here}/form",
        request=_request(card),
        public=f"/cards/{visit.project}/{name}/{number}" if published else "",
        exports=[] if card is None else _exports(card, here),
    )


def _find(reader: Reader, project: str, ref: str, revision: int | None) -> Card | None:
    if revision is not None:
        return cards.get(reader, project, f"{ref}#{revision}")
    try:
        return cards.get(reader, project, ref)
    except NotFound:
        return None


def _sections(view: View, remarks: Sequence[Remark], names: Names) -> list[SectionRow]:
    rows = []
    for part in view.parts:
        missing = "fail" if part.required else "unknown"
        rows.append(
            SectionRow(
                heading=part.section.heading,
                origin=part.section.told,
                state=missing if part.lacks else "read_now" if part.section.live else "pass",
                to_do=_by_whom(part.lacks),
                remarks=[_said(one, names) for one in remarks if one.section == part.section.number],
            )
        )
    return rows


def _by_whom(lacks: Sequence[Asked]) -> list[tuple[str, list[str]]]:
    """Group what is missing by who can bring it."""
    found: dict[str, list[str]] = {}
    for one in lacks:
        found.setdefault(one.by, []).append(one.what)
    return list(found.items())


def _said(one: Remark, names: Names) -> tuple[str, datetime, str, bool]:
    return names.of(one.by), one.at, one.text or "", one.resolved_at is not None


def _past(card: Card, names: Names, here: str) -> PastRow:
    by = names.of(card.drafted_by)
    address = f"{here}?revision={card.revision}"
    return PastRow(card.revision, card.state, by, card.drafted_at, card.published_at, address)


def _actions(visit: Visit, card: Card | None, history: Sequence[Card], here: str) -> list[ActionButton]:
    """Offer what can be done with the newest card, or say why it cannot."""
    lacking = tuple(visit.lacks(Permission.CARD_WRITE))
    if not history:
        return [ActionButton("Write the card from the records", f"{here}/drafts", reasons=lacking)]
    if card is None:
        return []
    waiting = next((one for one in history if one.state == "submitted"), None)
    found = [ActionButton("Bring it up to date", f"{here}/drafts", reasons=lacking)]
    if waiting is not None:
        found.append(ActionButton("Take it back from review", f"{here}/withdrawals", reasons=lacking))
    elif card.state != "published":
        found.append(ActionButton("Submit it for review", f"{here}/submissions", reasons=lacking))
    return found


def _request(card: Card | None) -> Link | None:
    if card is None or card.request is None:
        return None
    text = "Review it and vote" if card.state == "submitted" else "The vote on it"
    return Link(text, f"/projects/{card.project}/requests/{card.request}")


def _exports(card: Card, here: str) -> list[Link]:
    words = {
        Form.HTML: "HTML",
        Form.PDF: "PDF",
        Form.MARKDOWN: "Markdown",
        Form.BRIEF: "Short form",
        Form.JSON: "JSON",
        Form.HUGGINGFACE: "Hugging Face",
        Form.CYCLONEDX: "CycloneDX",
    }
    return [Link(word, f"{here}/exports/{form}?revision={card.revision}") for form, word in words.items()]


def show_card(
    visit: Visit, ref: tuple[str, str], revision: int | None = None, error: AssentError | None = None
) -> Response:
    """Show the page, with why something was refused."""
    with visit.read() as reader:
        view = build(visit, reader, *ref, revision)
    reasons: Sequence[Any] = () if error is None else error.reasons or (error,)
    status = 200 if error is None else error.status
    return visit.page("card/page.html", status=status, view=view, errors=reasons)


@router.get("")
def list_cards(visit: Seen) -> Response:
    """List the newest cards of a project."""
    with visit.read() as reader:
        found = cards.list_(reader, visit.project, {}, limit=MAX_HISTORY)
    seen: dict[str, Card] = {}
    for card in found:
        seen.setdefault(card.ref, card)
    rows = [(card, address_of(visit.project, card.name, card.number)) for card in seen.values()]
    return visit.page("card/list.html", rows=rows, project=visit.project)


@router.get("/{name}/{number}")
def show(
    visit: Seen, name: str, number: str, revision: Annotated[int | None, Query(ge=1, le=10**6)] = None
) -> Response:
    """Show the newest card of a version, or one revision of it."""
    return show_card(visit, (name, number), revision)


@router.get("/{name}/{number}/exports/{form}")
def export(
    visit: Seen, name: str, number: str, form: Form, revision: Annotated[int, Query(ge=1, le=10**6)]
) -> Response:
    """Give a card in one of its forms, as a file."""
    with visit.read() as reader:
        view = cards.view(reader, cards.get(reader, visit.project, f"{name}@{number}#{revision}"))
    base = visit.runtime.settings.base_url
    made = cards.write(view, form, f"{base}/cards/{visit.project}/{name}/{number}")
    file = f"{name}-{number}{cards.ENDINGS[form]}"
    named = {"content-disposition": f'attachment; filename="{file}"'} if form is not Form.HTML else {}
    return Response(made.content, media_type=made.media_type, headers={**made.headers, **named})


def _do(visit: Visit, ref: tuple[str, str], action: Callable[[Tx, str], object]) -> Response:
    try:
        with visit.begin() as tx:
            action(tx, "@".join(ref))
    except AssentError as error:
        return show_card(visit, ref, error=error)
    return see_other(address_of(visit.project, *ref))


@router.post("/{name}/{number}/drafts")
def generate(visit: Writing, name: str, number: str, _form: Sent) -> Response:
    """Write the card from the records."""
    return _do(visit, (name, number), lambda tx, ref: cards.generate(tx, visit.project, ref))


@router.post("/{name}/{number}/submissions")
def submit(visit: Writing, name: str, number: str, _form: Sent) -> Response:
    """Ask for a vote on the card."""
    return _do(visit, (name, number), lambda tx, ref: cards.submit(tx, visit.project, ref))


@router.post("/{name}/{number}/withdrawals")
def withdraw(visit: Writing, name: str, number: str, _form: Sent) -> Response:
    """Take the card back from review."""
    return _do(visit, (name, number), lambda tx, ref: cards.withdraw(tx, visit.project, ref))
