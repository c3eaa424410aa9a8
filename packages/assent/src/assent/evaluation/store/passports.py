"""Passports of judges: table, projection, queries."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from assent.evaluation.domain.events import JudgeCalibrated
from assent.evaluation.store.records import DIGEST, ID, NAME, REF, projections
from assent.kernel.db import Json, Utc, table
from assent.kernel.events import Recorded
from assent.kernel.tx import Reader, Writer

passports = table(
    "evaluation_passports",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("name", NAME, nullable=False),
    sa.Column("judge", DIGEST, nullable=False),
    sa.Column("document", DIGEST, nullable=False),
    sa.Column("subject", DIGEST, nullable=False),
    sa.Column("subject_ref", REF, nullable=False),
    sa.Column("labels", DIGEST, nullable=False),
    sa.Column("n_labels", sa.Integer, nullable=False),
    sa.Column("usable", sa.Boolean, nullable=False),
    sa.Column("figures", Json, nullable=False),
    sa.Column("issued_at", Utc, nullable=False),
    sa.Column("issued_by", ID, nullable=False),
    sa.Index("ix_evaluation_passports_place", "project", "name", "subject"),
    kind="governed",
)


@projections.on(JudgeCalibrated)
def _judge_calibrated(conn: Writer, r: Recorded[JudgeCalibrated]) -> None:
    e = r.event
    conn.execute(
        sa.insert(passports).values(
            id=e.id,
            project=e.project,
            name=e.name,
            judge=e.judge,
            document=e.document,
            subject=e.subject,
            subject_ref=e.subject_ref,
            labels=e.labels,
            n_labels=e.n_labels,
            usable=e.usable,
            figures=dict(e.figures),
            issued_at=r.at,
            issued_by=r.actor,
        )
    )


@dataclass(frozen=True, slots=True)
class PassportRecord:
    """A passport: judge `name` with digest `judge`, on `subject`; `figures` are decimal text."""

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
    figures: Mapping[str, Any]
    issued_at: datetime
    issued_by: str


def list_passports(
    reader: Reader, project: str, filters: Mapping[str, Any], page: tuple[str | None, int]
) -> list[PassportRecord]:
    """List passports newest first, before a cursor (an id).

    `filters` are equalities of columns; `system` is the name before the version of `subject_ref`, `until`
    the latest time of issue.
    """
    before, limit = page
    query = sa.select(passports).where(passports.c.project == project)
    for column, value in filters.items():
        if column == "system":
            query = query.where(passports.c.subject_ref.startswith(f"{value}@", autoescape=True))
        elif column == "until":
            query = query.where(passports.c.issued_at <= value)
        else:
            query = query.where(passports.c[column] == value)
    if before is not None:
        query = query.where(passports.c.id < before)
    found = reader.conn.execute(query.order_by(passports.c.id.desc()).limit(limit)).mappings()
    return [PassportRecord(**row) for row in found]
