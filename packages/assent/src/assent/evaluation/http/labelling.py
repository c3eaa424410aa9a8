"""Routes of labellings: answers of a run that people sort into labels."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

import pydantic
from fastapi import APIRouter, Query

from assent.evaluation.domain.agreement import Agreement
from assent.evaluation.domain.figures import figure
from assent.evaluation.service import Labelling, labelling
from assent.evaluation.service.labelling import NewLabelling, Standing
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.tx import Reader
from assent.web.api import MAX_PAGE, Call, ProjectPath, page, requires

router = APIRouter(prefix="/v1/projects/{project}/labellings")

Reading = Annotated[Call, requires(Permission.EVALUATION_READ)]
Labelled = Annotated[Call, requires(Permission.ANSWER_LABEL)]
Exporting = Annotated[Call, requires(Permission.LABELLING_EXPORT)]


class Wire(pydantic.BaseModel):
    """Bodies are strict: unknown fields are errors."""

    model_config = pydantic.ConfigDict(extra="forbid")


class NewLabellingWire(Wire):
    """See `service.labelling.NewLabelling`."""

    run: str
    question: str
    labels: list[str]
    n: int = 200


class LabelWire(Wire):
    """What one holds of an answer, which is named by its key."""

    answer: str
    label: str


class RepliesWire(Wire):
    """What a judge replied, by the key of the answer."""

    replies: Mapping[str, str]
    side: Literal["candidate", "baseline"] = "candidate"


@router.post("", status_code=201)
def open_labelling(
    project: ProjectPath,
    body: NewLabellingWire,
    call: Annotated[Call, requires(Permission.LABELLING_OPEN)],
) -> dict[str, Any]:
    """Ask people to label answers of a closed run."""
    new = NewLabelling(project, body.run, body.question, body.labels, body.n)
    with call.begin() as tx:
        return _whole(tx, labelling.open_labelling(tx, new))


@router.get("")
def list_labellings(
    project: ProjectPath,
    call: Reading,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> dict[str, Any]:
    """List labellings, newest first."""
    with call.read() as reader:
        found = labelling.list_labellings(reader, project, before=cursor, limit=limit)
        items = [_whole(reader, one) for one in found]
    return page(items, found[-1].id if len(found) == limit else None)


@router.get("/{id}")
def get_labelling(project: ProjectPath, id: str, call: Reading) -> dict[str, Any]:  # noqa: A002 -- the word of the path
    """Show a labelling."""
    with call.read() as reader:
        return _whole(reader, labelling.get_labelling(reader, project, id))


@router.get("/{id}/next")
def next_answer(project: ProjectPath, id: str, call: Labelled) -> dict[str, Any]:  # noqa: A002 -- the word of the path
    """Give the next answer that the caller has not labelled, and how far they are."""
    with call.read() as reader:
        return _standing(reader, project, id, call.actor.id)


@router.post("/{id}/labels", status_code=201)
def label_answer(project: ProjectPath, id: str, body: LabelWire, call: Labelled) -> dict[str, Any]:  # noqa: A002 -- the word of the path
    """Label an answer; a later label takes the place of an earlier one. Gives what comes next."""
    with call.begin() as tx:
        labelling.label_answer(tx, project, id, body.answer, body.label)
        return _standing(tx, project, id, call.actor.id)


@router.post("/{id}/withdrawals", status_code=201)
def take_back(project: ProjectPath, id: str, call: Labelled) -> dict[str, Any]:  # noqa: A002 -- the word of the path
    """Take back one's newest label; its answer comes again."""
    with call.begin() as tx:
        labelling.take_back(tx, project, id)
        return _standing(tx, project, id, call.actor.id)


@router.get("/{id}/agreement")
def get_agreement(project: ProjectPath, id: str, call: Exporting) -> dict[str, Any]:  # noqa: A002 -- the word of the path
    """Compare each two people who labelled the same answers: Cohen's kappa with its interval."""
    with call.read() as reader:
        found = labelling.get_labelling(reader, project, id)
        return {
            "labelling": id,
            "n_done": labelling.n_done_of(reader, found),
            "pairs": [agreement_wire(reader, one) for one in labelling.agreement_of(reader, found)],
        }


@router.get("/{id}/labels")
def export_labels(
    project: ProjectPath,
    id: str,  # noqa: A002 -- the word of the path
    call: Exporting,
    side: Annotated[Literal["candidate", "baseline"], Query()] = "candidate",
) -> dict[str, Any]:
    """Give what most people say of each answer of a side; null where they are split."""
    with call.read() as reader:
        found = labelling.get_labelling(reader, project, id)
        return page(labelling.labels_by_most(reader, found, side), None)


@router.post("/{id}/passport-cases")
def passport_cases(project: ProjectPath, id: str, body: RepliesWire, call: Exporting) -> dict[str, Any]:  # noqa: A002 -- the word of the path
    """Put a judge's replies beside people's labels, as a passport takes them. Records nothing."""
    with call.read() as reader:
        found = labelling.get_labelling(reader, project, id)
        labelled = labelling.labels_by_most(reader, found, body.side)
    return page(labelling.passport_cases(labelled, body.replies), None)


def agreement_wire(reader: Reader, one: Agreement) -> dict[str, Any]:
    """Write an agreement with the names of the two and decimal text."""
    kappa = one.kappa
    return {
        "first": identity.name_of(reader, one.first),
        "second": identity.name_of(reader, one.second),
        "n": one.n,
        "n_agreed": one.n_agreed,
        "kappa": None if kappa is None else figure(kappa.value),
        "low": None if kappa is None else figure(kappa.interval.low),
        "high": None if kappa is None else figure(kappa.interval.high),
    }


def _whole(reader: Reader, found: Labelling) -> dict[str, Any]:
    line = {key: value for key, value in asdict(found).items() if key != "project"}
    return {**line, "labels": list(found.labels), "question": labelling.question_of(reader, found)}


def _standing(reader: Reader, project: str, labelling_id: str, person: str) -> dict[str, Any]:
    at: Standing = labelling.standing_of(
        reader, labelling.get_labelling(reader, project, labelling_id), person
    )
    return {
        "labelling": labelling_id,
        "question": at.question,
        "labels": list(at.labelling.labels),
        "n_done": at.n_done,
        "n_answers": at.labelling.n_answers,
        "answer": None if at.item is None else at.item.answer,
        "input": None if at.item is None else at.item.input,
        "text": None if at.item is None else at.item.text,
    }
