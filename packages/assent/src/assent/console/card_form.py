"""Completing a card in the browser: what was typed outlives every refusal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from assent.cards import service as cards
from assent.cards.domain import FIELDS, PERFORMANCE, declared_at, named
from assent.console.card import address_of
from assent.console.card_fields import COLUMNS, Question, declared_of, n_rows, texts_of, typed
from assent.console.visit import PageRoute, Visit, see_other, visits
from assent.identity.domain import Permission
from assent.kernel.errors import AssentError, Stale
from assent.web.forms import Form, read_form

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/cards")
Writing = Annotated[Visit, visits(Permission.CARD_WRITE)]
MAX_BYTES = 2_000_000
MAX_FIELDS = 600
SHOWN = "shown"
"""The hidden field with the digest of the card that was before the writer's eyes."""


async def sent_form(request: Request) -> Form:
    """Read the form of a card, which is longer than others. Raises: Invalid, TooLarge, Forbidden."""
    return await read_form(request, MAX_BYTES, MAX_FIELDS)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a form was not taken: its mistakes, by field where they concern one."""

    status: int = 200
    title: str = ""
    reasons: Sequence[tuple[str, str, str]] = ()
    by_field: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormView:
    """What the page shows."""

    ref: str
    tier: str | None
    address: str
    back: str
    shown: str
    sections: Sequence[tuple[int, str, Sequence[Question]]]
    rows: Sequence[tuple[int, Mapping[str, str], str]]
    rows_older: str
    older: str


@router.get("/{name}/{number}/form")
def show(visit: Writing, name: str, number: str) -> Response:
    """Show the form, with the previous version's text where nothing is declared yet."""
    return _show(visit, (name, number), None, Trouble())


@router.post("/{name}/{number}/form")
def complete(visit: Writing, name: str, number: str, form: Annotated[Form, Depends(sent_form)]) -> Response:
    """Declare what was typed; what cannot be taken is shown again with why."""
    texts = typed(form)
    try:
        with visit.begin() as tx:
            cards.complete(tx, visit.project, f"{name}@{number}", declared_of(texts), texts.get(SHOWN))
    except AssentError as error:
        return _show(visit, (name, number), texts, _trouble(error))
    return see_other(address_of(visit.project, name, number))


def _trouble(error: AssentError) -> Trouble:
    title = "Somebody was faster" if isinstance(error, Stale) else "Your text was not taken"
    reasons = [(one.id, one.message, one.remedy or "") for one in error.reasons]
    by_field: dict[str, str] = {}
    for path, message, _ in reasons:
        by_field.setdefault(path, message)
    return Trouble(error.status, title, reasons or [("", error.message, error.remedy or "")], by_field)


def _show(visit: Visit, ref: tuple[str, str], texts: Mapping[str, str] | None, trouble: Trouble) -> Response:
    with visit.read() as reader:
        blanks = cards.form_of(reader, visit.project, "@".join(ref))
    older = _older(blanks) if texts is None else {}
    stands = {**older, **texts_of(blanks.declared)} if texts is None else texts
    here = address_of(visit.project, *ref)
    view = FormView(
        ref=blanks.ref,
        tier=blanks.tier,
        address=f"{here}/form",
        back=here,
        shown=blanks.shown,
        sections=_sections(blanks, stands, older, trouble.by_field),
        rows=[
            (
                i,
                {c: stands.get(f"{PERFORMANCE}.{i}.{c}", "") for c in COLUMNS},
                trouble.by_field.get(f"{PERFORMANCE}.{i}", ""),
            )
            for i in range(n_rows(stands))
        ],
        rows_older=blanks.start_ref if any(path.startswith(PERFORMANCE) for path in older) else "",
        older=blanks.start_ref if older else "",
    )
    return visit.page("card/form.html", status=trouble.status, view=view, trouble=trouble, columns=COLUMNS)


def _older(blanks: cards.Blanks) -> dict[str, str]:
    """Give the previous version's texts where nothing is declared yet."""
    own: Mapping[str, Any] = blanks.declared
    kept = {path: text for path, text in texts_of(blanks.start).items() if declared_at(own, path) is None}
    return {
        path: text for path, text in kept.items() if not (path.startswith(PERFORMANCE) and PERFORMANCE in own)
    }


def _sections(
    blanks: cards.Blanks, stands: Mapping[str, str], older: Mapping[str, str], mistakes: Mapping[str, str]
) -> list[tuple[int, str, list[Question]]]:
    found: dict[int, list[Question]] = {}
    for one in FIELDS:
        question = Question(
            section=one.section,
            path=one.path,
            name=one.keys[-1].replace("_", " ").capitalize().replace("Pii", "PII"),
            asks=one.asks,
            is_list=one.is_list,
            text=stands.get(one.path, ""),
            missing=one.path in blanks.missing,
            older=blanks.start_ref if one.path in older else "",
            mistake=mistakes.get(one.path, ""),
        )
        found.setdefault(one.section, []).append(question)
    return [(number, named(number), questions) for number, questions in sorted(found.items())]
