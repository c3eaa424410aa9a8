"""Labelling in the console: answers of a run, one at a time, blind, by button or by key."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from assent.console.timeline import Names
from assent.console.visit import PageRoute, Visit, see_other, visits
from assent.evaluation import service as evaluation
from assent.evaluation.domain.agreement import Agreement
from assent.evaluation.service import Labelling, labelling
from assent.identity.domain import Permission
from assent.kernel.errors import AssentError, Invalid
from assent.kernel.tx import Reader, Tx
from assent.web.forms import Form, posted_form

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/labelling")
Seen = Annotated[Visit, visits(Permission.EVALUATION_READ)]
Labels = Annotated[Visit, visits(Permission.ANSWER_LABEL)]
Opens = Annotated[Visit, visits(Permission.LABELLING_OPEN)]
Posted = Annotated[Form, Depends(posted_form)]
PAGE = 25
FIELDS = ("run", "question", "labels", "n")
USUAL_N = "200"


@dataclass(frozen=True, slots=True)
class Line:
    """One labelling as it is listed, with how far the visitor is."""

    labelling: Labelling
    suite: str
    question: str
    n_done: int


@dataclass(frozen=True, slots=True)
class Pair:
    """Two people and how far they agree."""

    first: str
    second: str
    said: Agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class LabellingView:
    """What the page of a labelling shows; `pairs` is None for those who may not see it."""

    project: str
    labelling: Labelling
    question: str
    n_done: int
    answer: str
    asked: str
    answered: str
    can_undo: bool
    may_label: bool
    pairs: Sequence[Pair] | None


@router.get("")
def list_labellings(visit: Seen, before: Annotated[str | None, Query(max_length=64)] = None) -> Response:
    """List labellings, newest first."""
    return _list(visit, before)


def _list(
    visit: Visit,
    before: str | None = None,
    errors: Sequence[Any] = (),
    typed: Mapping[str, str] | None = None,
) -> Response:
    with visit.read() as reader:
        found = labelling.list_labellings(reader, visit.project, before=before, limit=PAGE)
        lines = [
            Line(
                one,
                evaluation.get_run(reader, one.run).suite_ref,
                labelling.question_of(reader, one),
                labelling.n_done_of(reader, one).get(visit.session.person, 0),
            )
            for one in found
        ]
    more = f"/projects/{visit.project}/labelling?before={found[-1].id}" if len(found) == PAGE else ""
    return visit.page(
        "labelling/list.html",
        status=422 if errors else 200,
        project=visit.project,
        lines=lines,
        older=more,
        may_open=Permission.LABELLING_OPEN in visit.allowed,
        errors=errors,
        typed=typed or {**dict.fromkeys(FIELDS, ""), "n": USUAL_N},
    )


@router.post("")
def open_labelling(visit: Opens, form: Posted) -> Response:
    """Ask people to label answers of a run; what cannot be taken is shown with what was typed."""
    typed = {name: form.fields.get(name, "") for name in FIELDS}
    names = [one.strip() for one in typed["labels"].split(",") if one.strip()]
    try:
        new = labelling.NewLabelling(
            visit.project, typed["run"].strip(), typed["question"], names, _count(typed["n"])
        )
        with visit.begin() as tx:
            opened = labelling.open_labelling(tx, new)
    except AssentError as error:
        return _list(visit, errors=error.reasons or (error,), typed=typed)
    return see_other(f"/projects/{visit.project}/labelling/{opened.id}")


def _count(text: str) -> int:
    text = text.strip() or USUAL_N
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise Invalid(f"{text[:40]!r} is no number of answers.", remedy=f"Type a number, such as {USUAL_N}.")
    return int(text)


@router.get("/{labelling_id}")
def show_labelling(visit: Seen, labelling_id: str) -> Response:
    """Show the next answer to label."""
    return _show(visit, labelling_id)


@router.post("/{labelling_id}/labels")
def label_answer(visit: Labels, labelling_id: str, form: Posted) -> Response:
    """Label an answer and go on to the next."""
    answer, label = form.fields.get("answer", ""), form.fields.get("label", "")

    def do(tx: Tx) -> None:
        labelling.label_answer(tx, visit.project, labelling_id, answer, label)

    return _do(visit, labelling_id, do)


@router.post("/{labelling_id}/withdrawals")
def take_back(visit: Labels, labelling_id: str, form: Posted) -> Response:
    """Take one's newest label back."""
    del form

    def do(tx: Tx) -> None:
        labelling.take_back(tx, visit.project, labelling_id)

    return _do(visit, labelling_id, do)


def _do(visit: Visit, labelling_id: str, action: Callable[[Tx], None]) -> Response:
    try:
        with visit.begin() as tx:
            action(tx)
    except AssentError as error:
        return _show(visit, labelling_id, error.reasons or (error,), error.status)
    return see_other(f"/projects/{visit.project}/labelling/{labelling_id}")


def _show(visit: Visit, labelling_id: str, errors: Sequence[Any] = (), status: int = 200) -> Response:
    with visit.read() as reader:
        view = _view(visit, reader, labelling_id)
    return visit.page("labelling/page.html", status=status, view=view, errors=errors)


def _view(visit: Visit, reader: Reader, labelling_id: str) -> LabellingView:
    found = labelling.get_labelling(reader, visit.project, labelling_id)
    at = labelling.standing_of(reader, found, visit.session.person)
    item = at.item
    return LabellingView(
        project=visit.project,
        labelling=found,
        question=at.question,
        n_done=at.n_done,
        answer="" if item is None else item.answer,
        asked="" if item is None else _words(item.input),
        answered="" if item is None else item.text,
        can_undo=at.last is not None,
        may_label=Permission.ANSWER_LABEL in visit.allowed,
        pairs=_pairs(reader, found) if Permission.LABELLING_EXPORT in visit.allowed else None,
    )


def _pairs(reader: Reader, found: Labelling) -> list[Pair]:
    names = Names(reader)
    return [
        Pair(names.of(one.first), names.of(one.second), one) for one in labelling.agreement_of(reader, found)
    ]


def _words(asked: Any) -> str:
    """Give a question as a person reads it: text, or the messages under each other."""
    if isinstance(asked, Mapping) and "messages" in asked:
        return "\n\n".join(f"{one.get('role')}: {one.get('content')}" for one in asked["messages"])
    if isinstance(asked, Mapping) and "text" in asked:
        return str(asked["text"])
    return asked if isinstance(asked, str) else json.dumps(asked, ensure_ascii=False)
