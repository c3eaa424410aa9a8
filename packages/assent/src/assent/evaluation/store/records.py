"""Tables, projections and queries of evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from assent.evaluation.domain.events import (
    DatasetRegistered,
    RunCancelled,
    RunClosed,
    RunSubmitted,
    SuiteRegistered,
)
from assent.kernel.db import Json, Utc, table
from assent.kernel.events import Recorded
from assent.kernel.tx import Projections, Reader, Tx, Writer
from assent.prompts.domain.numbers import parse_number

ID = sa.String(64)
NAME = sa.String(63)
DIGEST = sa.String(71)
NUMBER = sa.String(64)
REF = sa.String(130)

datasets = table(
    "evaluation_datasets",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("name", NAME, nullable=False),
    sa.Column("number", NUMBER, nullable=False),
    sa.Column("sort_key", sa.String(400), nullable=False),
    sa.Column("digest", DIGEST, nullable=False, index=True),
    sa.Column("body", DIGEST, nullable=False),
    sa.Column("n_rows", sa.Integer, nullable=False),
    sa.Column("registered_at", Utc, nullable=False),
    sa.Column("registered_by", ID, nullable=False),
    sa.UniqueConstraint("project", "name", "number"),
    kind="governed",
)
suites = table(
    "evaluation_suites",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("name", NAME, nullable=False),
    sa.Column("number", NUMBER, nullable=False),
    sa.Column("sort_key", sa.String(400), nullable=False),
    sa.Column("digest", DIGEST, nullable=False, index=True),
    sa.Column("body", DIGEST, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("dataset", DIGEST, nullable=False),
    sa.Column("gate", Json, nullable=False),
    sa.Column("registered_at", Utc, nullable=False),
    sa.Column("registered_by", ID, nullable=False),
    sa.UniqueConstraint("project", "name", "number"),
    kind="governed",
)
runs = table(
    "evaluation_runs",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False, index=True),
    sa.Column("suite", DIGEST, nullable=False),
    sa.Column("suite_ref", REF, nullable=False),
    sa.Column("subject", DIGEST, nullable=False, index=True),
    sa.Column("subject_ref", REF, nullable=False),
    sa.Column("environment", NAME),
    sa.Column("baseline", DIGEST, index=True),
    sa.Column("baseline_ref", REF),
    sa.Column("fresh", sa.Boolean, nullable=False),
    sa.Column("through", DIGEST),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("submitted_at", Utc, nullable=False),
    sa.Column("submitted_by", ID, nullable=False),
    sa.Column("ended_at", Utc),
    sa.Column("verdict", sa.String(20)),
    sa.Column("digest", DIGEST),
    sa.Column("journal", DIGEST),
    sa.Column("result", DIGEST),
    sa.Column("figures", Json),
    kind="governed",
)
progress = table(
    "evaluation_progress",
    sa.Column("run", ID, primary_key=True),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("n_planned", sa.Integer, nullable=False),
    sa.Column("n_done", sa.Integer, nullable=False),
    sa.Column("counts", Json, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("at", Utc, nullable=False),
    kind="operational",
)

projections = Projections("evaluation")


@projections.on(DatasetRegistered)
def _dataset_registered(conn: Writer, r: Recorded[DatasetRegistered]) -> None:
    e = r.event
    conn.execute(
        sa.insert(datasets).values(
            id=e.id,
            project=e.project,
            name=e.name,
            number=e.number,
            sort_key=parse_number(e.number).sort_key,
            digest=e.digest,
            body=e.body,
            n_rows=e.n_rows,
            registered_at=r.at,
            registered_by=r.actor,
        )
    )


@projections.on(SuiteRegistered)
def _suite_registered(conn: Writer, r: Recorded[SuiteRegistered]) -> None:
    e = r.event
    conn.execute(
        sa.insert(suites).values(
            id=e.id,
            project=e.project,
            name=e.name,
            number=e.number,
            sort_key=parse_number(e.number).sort_key,
            digest=e.digest,
            body=e.body,
            kind=e.kind,
            dataset=e.dataset,
            gate=dict(e.gate),
            registered_at=r.at,
            registered_by=r.actor,
        )
    )


@projections.on(RunSubmitted)
def _run_submitted(conn: Writer, r: Recorded[RunSubmitted]) -> None:
    e = r.event
    conn.execute(
        sa.insert(runs).values(
            id=e.id,
            project=e.project,
            suite=e.suite,
            suite_ref=e.suite_ref,
            subject=e.subject,
            subject_ref=e.subject_ref,
            environment=e.environment,
            baseline=e.baseline,
            baseline_ref=e.baseline_ref,
            fresh=e.fresh,
            through=e.through,
            state="submitted",
            submitted_at=r.at,
            submitted_by=r.actor,
        )
    )


@projections.on(RunClosed)
def _run_closed(conn: Writer, r: Recorded[RunClosed]) -> None:
    e = r.event
    conn.execute(
        sa.update(runs)
        .where(runs.c.id == e.run)
        .values(
            state="closed",
            ended_at=r.at,
            verdict=e.verdict,
            digest=e.digest,
            journal=e.journal,
            result=e.result,
            figures=dict(e.figures),
        )
    )


@projections.on(RunCancelled)
def _run_cancelled(conn: Writer, r: Recorded[RunCancelled]) -> None:
    conn.execute(sa.update(runs).where(runs.c.id == r.event.run).values(state="cancelled", ended_at=r.at))


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """A registered dataset version."""

    id: str
    project: str
    name: str
    number: str
    sort_key: str
    digest: str
    body: str
    n_rows: int
    registered_at: datetime
    registered_by: str

    @property
    def ref(self) -> str:
        """Give `name@number`."""
        return f"{self.name}@{self.number}"


@dataclass(frozen=True, slots=True)
class SuiteVersion:
    """A registered suite version."""

    id: str
    project: str
    name: str
    number: str
    sort_key: str
    digest: str
    body: str
    kind: str
    dataset: str
    gate: Mapping[str, str]
    registered_at: datetime
    registered_by: str

    @property
    def ref(self) -> str:
        """Give `name@number`."""
        return f"{self.name}@{self.number}"


@dataclass(frozen=True, slots=True)
class Run:
    """A run; `state` is submitted, closed or cancelled."""

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
    through: str | None
    state: str
    submitted_at: datetime
    submitted_by: str
    ended_at: datetime | None
    verdict: str | None
    digest: str | None
    journal: str | None
    result: str | None
    figures: Mapping[str, str | None] | None


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run is; `state` is waiting, running, stopped or done."""

    run: str
    state: str
    n_planned: int
    n_done: int
    counts: Mapping[str, int]
    note: str
    at: datetime


def find_dataset(reader: Reader, project: str, name: str, number: str | None) -> DatasetVersion | None:
    """Find a version, or the latest by number."""
    row = _version(reader, datasets, project, name, number)
    return None if row is None else DatasetVersion(**row)


def find_suite(reader: Reader, project: str, name: str, number: str | None) -> SuiteVersion | None:
    """Find a version, or the latest by number."""
    row = _version(reader, suites, project, name, number)
    return None if row is None else SuiteVersion(**row)


def _version(
    reader: Reader, versions: sa.Table, project: str, name: str, number: str | None
) -> Mapping[str, Any] | None:
    query = sa.select(versions).where(versions.c.project == project, versions.c.name == name)
    if number is not None:
        query = query.where(versions.c.number == number)
    row = reader.conn.execute(query.order_by(versions.c.sort_key.desc()).limit(1)).mappings().first()
    return None if row is None else dict(row)


def dataset_by_digest(reader: Reader, project: str, digest: str) -> DatasetVersion | None:
    """Find the first version with these rows."""
    query = sa.select(datasets).where(datasets.c.project == project, datasets.c.digest == digest)
    row = reader.conn.execute(query.order_by(datasets.c.id).limit(1)).mappings().first()
    return None if row is None else DatasetVersion(**row)


def suite_by_digest(reader: Reader, project: str, digest: str) -> SuiteVersion | None:
    """Find a suite version."""
    query = sa.select(suites).where(suites.c.project == project, suites.c.digest == digest)
    row = reader.conn.execute(query.limit(1)).mappings().first()
    return None if row is None else SuiteVersion(**row)


def twin_of_dataset(reader: Reader, project: str, name: str, digest: str) -> DatasetVersion | None:
    """Find the version of this name with the same content."""
    query = sa.select(datasets).where(
        datasets.c.project == project, datasets.c.name == name, datasets.c.digest == digest
    )
    row = reader.conn.execute(query.limit(1)).mappings().first()
    return None if row is None else DatasetVersion(**row)


def list_versions(
    reader: Reader, project: str, noun: str, name: str | None, page: tuple[str | None, int]
) -> list[DatasetVersion] | list[SuiteVersion]:
    """List versions of `noun` (datasets, suites), newest first, before a cursor (an id)."""
    versions = datasets if noun == "datasets" else suites
    before, limit = page
    query = sa.select(versions).where(versions.c.project == project)
    if name is not None:
        query = query.where(versions.c.name == name)
    if before is not None:
        query = query.where(versions.c.id < before)
    rows = reader.conn.execute(query.order_by(versions.c.id.desc()).limit(limit)).mappings()
    if noun == "datasets":
        return [DatasetVersion(**row) for row in rows]
    return [SuiteVersion(**row) for row in rows]


def find_run(reader: Reader, run_id: str) -> Run | None:
    """Find a run."""
    row = reader.conn.execute(sa.select(runs).where(runs.c.id == run_id)).mappings().first()
    return None if row is None else Run(**row)


def list_runs(
    reader: Reader, project: str, filters: Mapping[str, str], page: tuple[str | None, int]
) -> list[Run]:
    """List runs newest first, before a cursor (an id); `filters` are equalities of columns."""
    before, limit = page
    query = sa.select(runs).where(runs.c.project == project)
    for column, value in filters.items():
        query = query.where(runs.c[column] == value)
    if before is not None:
        query = query.where(runs.c.id < before)
    return [
        Run(**row) for row in reader.conn.execute(query.order_by(runs.c.id.desc()).limit(limit)).mappings()
    ]


def journals_of(reader: Reader, project: str, subject: str, limit: int) -> list[tuple[str, str]]:
    """List (run, journal) of closed runs that asked this version, newest first."""
    query = (
        sa.select(runs.c.id, runs.c.journal)
        .where(runs.c.project == project, runs.c.state == "closed")
        .where(sa.or_(runs.c.subject == subject, runs.c.baseline == subject))
        .order_by(runs.c.id.desc())
        .limit(limit)
    )
    return [(row.id, row.journal) for row in reader.conn.execute(query)]


def journals_of_dataset(reader: Reader, project: str, dataset: str, limit: int) -> list[str]:
    """List journals of closed runs that asked a dataset, newest first."""
    query = (
        sa.select(runs.c.journal)
        .join(suites, sa.and_(suites.c.digest == runs.c.suite, suites.c.project == runs.c.project))
        .where(runs.c.project == project, runs.c.state == "closed", suites.c.dataset == dataset)
        .order_by(runs.c.id.desc())
        .limit(limit)
    )
    return [row.journal for row in reader.conn.execute(query)]


def lock_run(tx: Tx, run_id: str) -> Run | None:
    """Read a run, holding its row against others until the transaction ends."""
    row = tx.conn.execute(sa.select(runs).where(runs.c.id == run_id).with_for_update()).mappings().first()
    return None if row is None else Run(**row)


def find_progress(reader: Reader, run_id: str) -> RunProgress | None:
    """Find how far a run is."""
    row = reader.conn.execute(sa.select(progress).where(progress.c.run == run_id)).mappings().first()
    return None if row is None else RunProgress(**row)


def write_progress(tx: Tx, step: RunProgress) -> None:
    """Write how far a run is."""
    values = {slot: getattr(step, slot) for slot in RunProgress.__slots__}
    done = tx.conn.execute(sa.update(progress).where(progress.c.run == step.run).values(**values))
    if done.rowcount == 0:
        tx.conn.execute(sa.insert(progress).values(**values))
