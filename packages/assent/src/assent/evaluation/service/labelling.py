"""Have people label answers of a run: blind, each in an order of their own, with every change a new row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assent.evaluation import store
from assent.evaluation.domain.agreement import Agreement, agreements, consensus, order_for, sample
from assent.evaluation.domain.cases import CaseRecord
from assent.evaluation.domain.dataset import Row
from assent.evaluation.domain.events import AnswerLabelled, LabellingOpened
from assent.evaluation.domain.judge import is_label
from assent.evaluation.service.contents import contents_of, records_of
from assent.evaluation.service.runs import get_run
from assent.evaluation.store import Labelling
from assent.kernel.errors import Conflict, Forbidden, Invalid, NotFound, Reason, Refused
from assent.kernel.ids import new_id
from assent.kernel.tx import Reader, Tx

MAX_LABELS = 9
"""One key of the keyboard each."""
MAX_ANSWERS = 5000
MAX_QUESTION = 500


@dataclass(frozen=True, slots=True)
class NewLabelling:
    """Which run's answers, the question put to people, the labels to choose from, and how many answers."""

    project: str
    run: str
    question: str
    labels: Sequence[str]
    n: int = 200


@dataclass(frozen=True, slots=True)
class Item:
    """An answer to label: what was asked and answered, and nothing of whose answer it is."""

    answer: str
    input: Any
    text: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one person is. `item` is the next answer; `last` the newest label that can be taken back."""

    labelling: Labelling
    question: str
    n_done: int
    item: Item | None
    last: str | None


def open_labelling(tx: Tx, new: NewLabelling) -> Labelling:
    """Ask people to label answers of a closed run. Raises: NotFound, Conflict, Invalid with every mistake."""
    mistakes = []
    if not 2 <= len(new.labels) <= MAX_LABELS or not all(is_label(one) for one in new.labels):  # noqa: PLR2004 -- said
        text = f"Give 2 to {MAX_LABELS} labels of 1 to 200 characters without space around them."
        mistakes.append(Reason("labels", text))
    if len(set(new.labels)) != len(new.labels):
        mistakes.append(Reason("labels", "A label stands twice."))
    if not 0 < len(new.question.strip()) <= MAX_QUESTION:
        mistakes.append(Reason("question", f"Say in 1 to {MAX_QUESTION} characters what people decide."))
    if not 1 <= new.n <= MAX_ANSWERS:
        mistakes.append(Reason("n", f"Label 1 to {MAX_ANSWERS:,} answers."))
    if mistakes:
        raise Invalid(" ".join(one.message for one in mistakes), reasons=mistakes)
    answered = _answered(tx, new.project, new.run)
    if not answered:
        raise Conflict(f"The run {new.run} has no answers to label.")
    labelling = new_id("lab")
    tx.record(
        LabellingOpened(
            id=labelling,
            project=new.project,
            run=new.run,
            question=tx.blobs.put(new.question.strip().encode()),
            labels=list(new.labels),
            n_answers=min(new.n, len(answered)),
        )
    )
    return get_labelling(tx, new.project, labelling)


def get_labelling(reader: Reader, project: str, labelling: str) -> Labelling:
    """Get a labelling. Raises: NotFound."""
    found = store.find_labelling(reader, project, labelling)
    if found is None:
        raise NotFound(f"There is no labelling {labelling} in {project}.")
    return found


def list_labellings(
    reader: Reader, project: str, *, before: str | None = None, limit: int = 50
) -> list[Labelling]:
    """List labellings, newest first."""
    return store.list_labellings(reader, project, before, limit)


def question_of(reader: Reader, labelling: Labelling) -> str:
    """Read what people are asked. Raises: NotFound (erased)."""
    return reader.blobs.get(labelling.question).decode()


def standing_of(reader: Reader, labelling: Labelling, person: str) -> Standing:
    """Say how far a person is and what comes next."""
    records, rows = _cases(reader, labelling)
    given = store.labels_of(reader, labelling.id, person)
    mine = _newest(given).get(person, {})
    waiting = [key for key in order_for(person, records) if key not in mine]
    item = _item(records[waiting[0]], rows) if waiting else None
    last = next((one.answer for one in reversed(given) if one.label and one.answer in mine), None)
    return Standing(labelling, question_of(reader, labelling), len(mine), item, last)


def label_answer(tx: Tx, project: str, labelling: str, answer: str, label: str) -> None:
    """Say what one holds of an answer; a later word takes the place of an earlier one.

    Raises: NotFound, Invalid (no such label), Forbidden (a service is no person).
    """
    found = get_labelling(tx, project, labelling)
    if tx.actor.kind != "person":
        raise Forbidden("Labels are given by people.", remedy="Sign in as yourself.")
    if label not in found.labels:
        raise Invalid(
            f"{label[:60]!r} is none of the labels.", remedy="Use one of " + ", ".join(found.labels)
        )
    if answer not in _cases(tx, found)[0]:
        raise NotFound(f"{labelling} has no answer {answer[:80]}.")
    _say(tx, found, answer, label)


def take_back(tx: Tx, project: str, labelling: str) -> str:
    """Take back one's newest label; the answer comes again. Gives its key. Raises: NotFound, Conflict."""
    found = get_labelling(tx, project, labelling)
    last = standing_of(tx, found, tx.actor.id).last
    if last is None:
        raise Conflict("You have given no label that could be taken back.")
    _say(tx, found, last, None)
    return last


def _say(tx: Tx, labelling: Labelling, answer: str, label: str | None) -> None:
    event = AnswerLabelled(
        id=new_id("lbl"), project=labelling.project, labelling=labelling.id, answer=answer, label=label
    )
    tx.record(event)


def agreement_of(reader: Reader, labelling: Labelling) -> list[Agreement]:
    """Compare each two people who labelled the same answers."""
    return agreements(_newest(store.labels_of(reader, labelling.id)))


def n_done_of(reader: Reader, labelling: Labelling) -> dict[str, int]:
    """Count the answers that each person has labelled."""
    return {person: len(said) for person, said in _newest(store.labels_of(reader, labelling.id)).items()}


def labels_by_most(reader: Reader, labelling: Labelling, side: str = "candidate") -> list[dict[str, Any]]:
    """Give for each labelled answer of a side what most people say; `human` is None where they are split."""
    records, rows = _cases(reader, labelling)
    said = consensus(_newest(store.labels_of(reader, labelling.id)))
    items = {key: _item(records[key], rows) for key in sorted(said) if records[key].side == side}
    return [
        {"id": key, "human": said[key], "input": item.input, "answer": item.text}
        for key, item in items.items()
    ]


def passport_cases(labelled: Sequence[Mapping[str, Any]], replies: Mapping[str, str]) -> list[dict[str, str]]:
    """Put a judge's replies beside people's labels, as a passport takes them; split votes are left out.

    Raises: Refused (a labelled answer has no reply).
    """
    agreed = [one for one in labelled if one["human"] is not None]
    missing = [one["id"] for one in agreed if one["id"] not in replies]
    if missing:
        raise Refused(
            f"{len(missing)} labelled answers have no reply of the judge, first {missing[0]}.",
            reasons=[
                Reason("replies", f"No reply to {missing[0]}.", "Have the judge reply to every answer.")
            ],
        )
    return [{"id": one["id"], "human": one["human"], "reply": replies[one["id"]]} for one in agreed]


def _newest(given: Sequence[store.Label]) -> dict[str, dict[str, str]]:
    """Give what each person holds of each answer now."""
    last = {(one.by, one.answer): one.label for one in given}
    found: dict[str, dict[str, str]] = {}
    for (person, answer), label in last.items():
        if label is not None:
            found.setdefault(person, {})[answer] = label
    return found


def _answered(reader: Reader, project: str, run_id: str) -> dict[str, CaseRecord]:
    run = get_run(reader, run_id)
    if run.project != project:
        raise NotFound(f"There is no run {run_id}.")
    if run.journal is None:
        raise Conflict(f"The run {run_id} is {run.state}; answers of closed runs are labelled.")
    return {one.answer_key: one for one in records_of(reader, run.journal) if one.answer is not None}


def _cases(reader: Reader, labelling: Labelling) -> tuple[dict[str, CaseRecord], dict[str, Row]]:
    answered = _answered(reader, labelling.project, labelling.run)
    _, rows = contents_of(reader, get_run(reader, labelling.run))
    chosen = sample(answered, labelling.n_answers)
    return {key: answered[key] for key in chosen}, {row.key: row for row in rows}


def _item(record: CaseRecord, rows: Mapping[str, Row]) -> Item:
    row = rows.get(record.sample)
    text = "" if record.answer is None else record.answer.text
    return Item(record.answer_key, None if row is None else row.input, text)
