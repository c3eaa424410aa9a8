"""What happens in evaluation, as the ledger keeps it; figures are decimal text, bodies are digests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from assent.kernel.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRegistered(Event):
    """A dataset version exists; `body` holds its rows."""

    TYPE: ClassVar[str] = "evaluation.dataset.registered"
    id: str
    project: str
    name: str
    number: str
    digest: str
    body: str
    n_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRegistered(Event):
    """A suite version exists; its gate stands here, before any run of it."""

    TYPE: ClassVar[str] = "evaluation.suite.registered"
    id: str
    project: str
    name: str
    number: str
    digest: str
    body: str
    kind: str
    dataset: str
    gate: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSubmitted(Event):
    """A run was asked for: of a suite on a subject, beside a baseline where the gate compares.

    `through`: the model version, by digest, that answers where the subject is a prompt.
    """

    TYPE: ClassVar[str] = "evaluation.run.submitted"
    id: str
    project: str
    suite: str
    suite_ref: str
    subject: str
    subject_ref: str
    environment: str | None
    baseline: str | None
    baseline_ref: str | None
    fresh: bool
    through: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunClosed(Event):
    """A run ended with a verdict. `digest` covers every case; `journal` and `result` are bodies."""

    TYPE: ClassVar[str] = "evaluation.run.closed"
    run: str
    verdict: str
    digest: str
    journal: str
    result: str
    n_records: int
    figures: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCancelled(Event):
    """A run was given up; it says nothing."""

    TYPE: ClassVar[str] = "evaluation.run.cancelled"
    run: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeCalibrated(Event):
    """A judge has a passport for a subject; `judge` is its digest, `labels` and `document` are bodies."""

    TYPE: ClassVar[str] = "evaluation.judge.calibrated"
    id: str
    project: str
    name: str
    judge: str
    document: str
    subject: str
    subject_ref: str
    labels: str
    n_labels: int
    usable: bool
    figures: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultImported(Event):
    """What another tool measured of a version was taken over, computed anew from its rows.

    `sources` are the files as bodies, by name; `rows` and `result` are bodies; `importer` is format/version.
    """

    TYPE: ClassVar[str] = "evaluation.result.imported"
    id: str
    project: str
    subject: str
    subject_ref: str
    suite: str
    format: str
    importer: str
    tool: str
    sources: Mapping[str, str]
    rows: str
    result: str
    n_rows: int
    complete: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabellingOpened(Event):
    """People are asked to sort answers of a run into labels; `question` is a body."""

    TYPE: ClassVar[str] = "evaluation.labelling.opened"
    id: str
    project: str
    run: str
    question: str
    labels: Sequence[str]
    n_answers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerLabelled(Event):
    """A person gave an answer (its key) a label; None takes back the one that they gave before."""

    TYPE: ClassVar[str] = "evaluation.answer.labelled"
    id: str
    project: str
    labelling: str
    answer: str
    label: str | None
