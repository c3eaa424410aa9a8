"""The table of imported results, its projection and its queries."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from assent.evaluation.domain.events import ResultImported
from assent.evaluation.store.records import DIGEST, ID, NAME, REF, projections
from assent.kernel.db import Json, Utc, table
from assent.kernel.events import Recorded
from assent.kernel.tx import Reader, Writer

imports = table(
    "evaluation_imports",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("subject", DIGEST, nullable=False),
    sa.Column("subject_ref", REF, nullable=False),
    sa.Column("suite", NAME, nullable=False),
    sa.Column("format", sa.String(20), nullable=False),
    sa.Column("importer", sa.String(40), nullable=False),
    sa.Column("tool", sa.String(300), nullable=False),
    sa.Column("sources", Json, nullable=False),
    sa.Column("rows", DIGEST, nullable=False),
    sa.Column("result", DIGEST, nullable=False),
    sa.Column("n_rows", sa.Integer, nullable=False),
    sa.Column("complete", sa.Boolean),
    sa.Column("imported_at", Utc, nullable=False),
    sa.Column("imported_by", ID, nullable=False),
    sa.Index("ix_evaluation_imports_subject", "project", "subject", "id"),
    kind="governed",
)


@projections.on(ResultImported)
def _imported(conn: Writer, r: Recorded[ResultImported]) -> None:
    e = r.event
    conn.execute(
        sa.insert(imports).values(
            id=e.id,
            project=e.project,
            subject=e.subject,
            subject_ref=e.subject_ref,
            suite=e.suite,
            format=e.format,
            importer=e.importer,
            tool=e.tool,
            sources=dict(e.sources),
            rows=e.rows,
            result=e.result,
            n_rows=e.n_rows,
            complete=e.complete,
            imported_at=r.at,
            imported_by=r.actor,
        )
    )


@dataclass(frozen=True, slots=True)
class Import:
    """An imported result; `sources` are bodies by the names of their files."""

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
    imported_at: datetime
    imported_by: str


def find_import(reader: Reader, project: str, import_id: str) -> Import | None:
    """Find one."""
    query = sa.select(imports).where(imports.c.project == project, imports.c.id == import_id)
    row = reader.conn.execute(query).mappings().first()
    return None if row is None else Import(**row)


def list_imports(
    reader: Reader, project: str, filters: Mapping[str, str], page: tuple[str | None, int]
) -> list[Import]:
    """List them newest first, before a cursor (an id); `filters` are equalities of columns."""
    before, limit = page
    query = sa.select(imports).where(imports.c.project == project)
    for column, value in filters.items():
        query = query.where(imports.c[column] == value)
    if before is not None:
        query = query.where(imports.c.id < before)
    rows = reader.conn.execute(query.order_by(imports.c.id.desc()).limit(limit)).mappings()
    return [Import(**row) for row in rows]
