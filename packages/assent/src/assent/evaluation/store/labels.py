"""Labellings and what people said in them: tables, projections, queries. Taking back is a new row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from assent.evaluation.domain.events import AnswerLabelled, LabellingOpened
from assent.evaluation.store.records import DIGEST, ID, NAME, projections
from assent.kernel.db import Json, Utc, table
from assent.kernel.events import Recorded
from assent.kernel.tx import Reader, Writer

labellings = table(
    "evaluation_labellings",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("run", ID, nullable=False),
    sa.Column("question", DIGEST, nullable=False),
    sa.Column("labels", Json, nullable=False),
    sa.Column("n_answers", sa.Integer, nullable=False),
    sa.Column("opened_at", Utc, nullable=False),
    sa.Column("opened_by", ID, nullable=False),
    sa.Index("ix_evaluation_labellings_project", "project", "id"),
    kind="governed",
)
labels = table(
    "evaluation_labels",
    sa.Column("id", ID, primary_key=True),
    sa.Column("labelling", ID, nullable=False),
    sa.Column("answer", DIGEST, nullable=False),
    sa.Column("label", sa.String(200)),
    sa.Column("at", Utc, nullable=False),
    sa.Column("by", ID, nullable=False),
    sa.Index("ix_evaluation_labels_labelling", "labelling", "by", "id"),
    kind="governed",
)


@projections.on(LabellingOpened)
def _opened(conn: Writer, r: Recorded[LabellingOpened]) -> None:
    e = r.event
    conn.execute(
        sa.insert(labellings).values(
            id=e.id,
            project=e.project,
            run=e.run,
            question=e.question,
            labels=list(e.labels),
            n_answers=e.n_answers,
            opened_at=r.at,
            opened_by=r.actor,
        )
    )


@projections.on(AnswerLabelled)
def _labelled(conn: Writer, r: Recorded[AnswerLabelled]) -> None:
    e = r.event
    conn.execute(
        sa.insert(labels).values(
            id=e.id, labelling=e.labelling, answer=e.answer, label=e.label, at=r.at, by=r.actor
        )
    )


@dataclass(frozen=True, slots=True)
class Labelling:
    """Answers of a run that people sort into `labels`; `question` is the digest of what they are asked."""

    id: str
    project: str
    run: str
    question: str
    labels: Sequence[str]
    n_answers: int
    opened_at: datetime
    opened_by: str


@dataclass(frozen=True, slots=True)
class Label:
    """What one person said of one answer; None takes back what they said before."""

    id: str
    labelling: str
    answer: str
    label: str | None
    at: datetime
    by: str


def find_labelling(reader: Reader, project: str, labelling: str) -> Labelling | None:
    """Find a labelling of a project."""
    query = sa.select(labellings).where(labellings.c.project == project, labellings.c.id == labelling)
    row = reader.conn.execute(query).mappings().first()
    return None if row is None else Labelling(**row)


def list_labellings(reader: Reader, project: str, before: str | None, limit: int) -> list[Labelling]:
    """List labellings newest first, before a cursor (an id)."""
    query = sa.select(labellings).where(labellings.c.project == project)
    if before is not None:
        query = query.where(labellings.c.id < before)
    found = reader.conn.execute(query.order_by(labellings.c.id.desc()).limit(limit)).mappings()
    return [Labelling(**row) for row in found]


def labels_of(reader: Reader, labelling: str, by: str | None = None) -> list[Label]:
    """List all that was said, in its order: of one person where one is named."""
    query = sa.select(labels).where(labels.c.labelling == labelling)
    if by is not None:
        query = query.where(labels.c.by == by)
    return [Label(**row) for row in reader.conn.execute(query.order_by(labels.c.id)).mappings()]
