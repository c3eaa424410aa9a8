"""Routes of datasets, suites, runs, their cases and their verification."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

import pydantic
from fastapi import APIRouter, Query, Response

from assent.evaluation import service, verification
from assent.evaluation.domain.cases import CaseRecord, Outcome
from assent.evaluation.domain.dataset import Row
from assent.evaluation.domain.suite import Suite, gate_document
from assent.evaluation.service import DatasetVersion, NewRun, NewVersion, Run, RunProgress, SuiteVersion
from assent.identity.domain import Permission
from assent.kernel.errors import Invalid, NotFound
from assent.kernel.tx import Reader
from assent.web.api import MAX_PAGE, Call, ProjectPath, page, requires
from assent.web.openapi import EXISTED

router = APIRouter(prefix="/v1/projects/{project}")

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Cursor = Annotated[str | None, Query(max_length=100)]
Reading = Annotated[Call, requires(Permission.EVALUATION_READ)]
LATEST = "latest"


class Wire(pydantic.BaseModel):
    """Bodies are strict: unknown fields are errors."""

    model_config = pydantic.ConfigDict(extra="forbid")


class NewDataset(Wire):
    """Rows under a name; without a version it gets the next minor number."""

    name: str
    version: str | None = None
    rows: list[Any]


class NewSuite(pydantic.BaseModel):
    """A suite's document beside its name; the domain checks the document's fields, all at once."""

    model_config = pydantic.ConfigDict(extra="allow")

    name: str
    version: str | None = None


class NewRunWire(Wire):
    """What to run on which version; see `service.NewRun`."""

    suite: str
    subject: str
    environment: str = "production"
    fresh: bool = False
    through: str | None = None


class RunQuery(Wire):
    """Which runs. Subject and suite are digests or `name@version`."""

    subject: str | None = None
    suite: str | None = None
    state: Literal["submitted", "closed", "cancelled"] | None = None
    verdict: Literal["pass", "fail", "inconclusive"] | None = None
    cursor: str | None = pydantic.Field(None, max_length=100)
    limit: int = pydantic.Field(50, ge=1, le=MAX_PAGE)


class CaseQuery(Wire):
    """Which cases of a run; `flip` keeps those that only one side got right."""

    outcome: Outcome | None = None
    side: Literal["candidate", "baseline"] | None = None
    flip: Literal["gained", "lost"] | None = None
    cursor: str | None = pydantic.Field(None, max_length=10)
    limit: int = pydantic.Field(50, ge=1, le=MAX_PAGE)


@router.post("/datasets", status_code=201, responses=EXISTED)
def register_dataset(
    project: ProjectPath,
    body: NewDataset,
    response: Response,
    call: Annotated[Call, requires(Permission.DATASET_REGISTER)],
    *,
    check: bool = False,
) -> dict[str, Any]:
    """Register a dataset version: 201, or 200 where the same rows are there. `check` records nothing."""
    new = NewVersion(project, body.name, body.rows, body.version)
    if check:
        response.status_code = 200
        with call.read() as reader:
            return service.preview_dataset(reader, new)
    with call.begin() as tx:
        version, created = service.register_dataset(tx, new)
    response.status_code = 201 if created else 200
    return {**_dataset(version), "created": created}


@router.get("/datasets")
def list_datasets(
    project: ProjectPath, call: Reading, name: str | None = None, cursor: Cursor = None, limit: Limit = 50
) -> dict[str, Any]:
    """List dataset versions, newest first."""
    with call.read() as reader:
        found = service.list_datasets(reader, project, name, before=cursor, limit=limit)
    return page([_dataset(v) for v in found], found[-1].id if len(found) == limit else None)


@router.get("/datasets/{name}/{version}")
def get_dataset(project: ProjectPath, name: str, version: str, call: Reading) -> dict[str, Any]:
    """Show a dataset version; `latest` is the one with the highest number."""
    with call.read() as reader:
        return _dataset(service.get_dataset(reader, project, name, _number(version)))


@router.get("/datasets/{name}/{version}/rows")
def list_rows(
    project: ProjectPath, name: str, version: str, call: Reading, cursor: Cursor = None, limit: Limit = 50
) -> dict[str, Any]:
    """List the rows of a dataset version in the order in which they were registered."""
    with call.read() as reader:
        rows = service.rows_of(reader, service.get_dataset(reader, project, name, _number(version)))
    return _slice([_row(row) for row in rows], cursor, limit)


@router.post("/suites", status_code=201, responses=EXISTED)
def register_suite(
    project: ProjectPath,
    body: NewSuite,
    response: Response,
    call: Annotated[Call, requires(Permission.SUITE_REGISTER)],
    *,
    check: bool = False,
) -> dict[str, Any]:
    """Register a suite version: 201, or 200 where the same document is there. `check` records nothing."""
    content = dict(body.model_extra or {})
    new = NewVersion(project, body.name, content, body.version)
    if check:
        response.status_code = 200
        with call.read() as reader:
            return service.preview_suite(reader, new)
    with call.begin() as tx:
        version, created = service.register_suite(tx, new)
        wire = _suite(tx, version)
    response.status_code = 201 if created else 200
    return {**wire, "created": created}


@router.get("/suites")
def list_suites(
    project: ProjectPath, call: Reading, name: str | None = None, cursor: Cursor = None, limit: Limit = 50
) -> dict[str, Any]:
    """List suite versions, newest first."""
    with call.read() as reader:
        found = service.list_suites(reader, project, name, before=cursor, limit=limit)
        items = [_suite_line(v) for v in found]
    return page(items, found[-1].id if len(found) == limit else None)


@router.get("/suites/{name}/{version}")
def get_suite(project: ProjectPath, name: str, version: str, call: Reading) -> dict[str, Any]:
    """Show a suite version with its document; `latest` is the one with the highest number."""
    with call.read() as reader:
        return _suite(reader, service.get_suite(reader, project, name, _number(version)))


@router.post("/runs", status_code=201)
def submit_run(
    project: ProjectPath, body: NewRunWire, call: Annotated[Call, requires(Permission.RUN_SUBMIT)]
) -> dict[str, Any]:
    """Ask for a run; a worker carries it out."""
    with call.begin() as tx:
        new = NewRun(project, body.suite, body.subject, body.environment, body.fresh, body.through)
        return _run(tx, service.submit(tx, new))


@router.get("/runs")
def list_runs(project: ProjectPath, call: Reading, asked: Annotated[RunQuery, Query()]) -> dict[str, Any]:
    """List runs, newest first. Subject and suite are digests or `name@version`."""
    filters = {
        _column("subject", asked.subject): asked.subject,
        _column("suite", asked.suite): asked.suite,
        "state": asked.state,
        "verdict": asked.verdict,
    }
    wanted = {column: value for column, value in filters.items() if value is not None}
    with call.read() as reader:
        found = service.list_runs(reader, project, wanted, before=asked.cursor, limit=asked.limit)
    return page([_run_line(run) for run in found], found[-1].id if len(found) == asked.limit else None)


@router.get("/runs/{run}")
def get_run(project: ProjectPath, run: str, call: Reading) -> dict[str, Any]:
    """Show a run: how far it is, and once closed what it says."""
    with call.read() as reader:
        return _run(reader, _get(reader, project, run))


@router.get("/runs/{run}/cases")
def list_cases(
    project: ProjectPath, run: str, call: Reading, asked: Annotated[CaseQuery, Query()]
) -> dict[str, Any]:
    """List the cases of a closed run; `flip` keeps those that only one side got right."""
    with call.read() as reader:
        found = _get(reader, project, run)
        if found.journal is None:
            raise NotFound(f"The cases of {run} can be read once it is closed; it is {found.state}.")
        rows = {row.key: row for row in service.contents_of(reader, found)[1]}
        records = service.records_of(reader, found.journal)
        flipped = set((service.result_of(reader, found) or {}).get(asked.flip or "", ()))
    order = {key: position for position, key in enumerate(rows)}
    wanted = [
        record
        for record in sorted(
            records, key=lambda r: (order.get(r.sample, -1), r.repeat, r.side != "candidate")
        )
        if asked.outcome in {None, record.outcome}
        and asked.side in {None, record.side}
        and (asked.flip is None or record.sample in flipped)
    ]
    return _slice(wanted, asked.cursor, asked.limit, lambda record: _case(record, rows.get(record.sample)))


@router.get("/runs/{run}/verification")
def verify_run(project: ProjectPath, run: str, call: Reading) -> dict[str, Any]:
    """Compute every published number of a closed run again from its journal."""
    with call.read() as reader:
        checks = verification.verify(reader, _get(reader, project, run).id)
    return {
        "run": run,
        "ok": all(check.ok for check in checks),
        "checks": [asdict(check) for check in checks],
    }


@router.post("/runs/{run}/cancellations", status_code=201)
def cancel_run(
    project: ProjectPath, run: str, call: Annotated[Call, requires(Permission.RUN_SUBMIT)]
) -> dict[str, Any]:
    """Give a run up; it will say nothing."""
    with call.begin() as tx:
        return _run_line(service.cancel(tx, _get(tx, project, run).id))


@router.post("/runs/{run}/resumptions", status_code=201)
def resume_run(
    project: ProjectPath, run: str, call: Annotated[Call, requires(Permission.RUN_SUBMIT)]
) -> dict[str, Any]:
    """Let a run that stopped go on where it was."""
    with call.begin() as tx:
        return _run(tx, service.resume(tx, _get(tx, project, run).id))


def _get(reader: Reader, project: str, run: str) -> Run:
    found = service.get_run(reader, run)
    if found.project != project:
        raise NotFound(f"There is no run {run}.")
    return found


def _number(version: str) -> str | None:
    return None if version == LATEST else version


def _column(name: str, value: str | None) -> str:
    return name if value is None or value.startswith("sha256:") else f"{name}_ref"


def _slice(
    items: Sequence[Any], cursor: str | None, limit: int, wire: Any = lambda item: item
) -> dict[str, Any]:
    """Give a page of what never changes; the cursor is a position."""
    if cursor is not None and not (cursor.isdecimal() and len(cursor) < 10):  # noqa: PLR2004 -- a position
        raise Invalid(f"{cursor!r} is not a cursor of this list.")
    start = int(cursor or 0)
    end = start + limit
    return page([wire(item) for item in items[start:end]], str(end) if end < len(items) else None)


def _dataset(version: DatasetVersion) -> dict[str, Any]:
    return {
        "id": version.id,
        "name": version.name,
        "version": version.number,
        "ref": version.ref,
        "digest": version.digest,
        "n_rows": version.n_rows,
        "registered_at": version.registered_at,
        "registered_by": version.registered_by,
    }


def _row(row: Row) -> dict[str, Any]:
    return {**row.to_document(), "key": row.key}


def _suite_line(version: SuiteVersion) -> dict[str, Any]:
    return {
        "id": version.id,
        "name": version.name,
        "version": version.number,
        "ref": version.ref,
        "digest": version.digest,
        "kind": version.kind,
        "dataset": version.dataset,
        "gate": dict(version.gate),
        "registered_at": version.registered_at,
        "registered_by": version.registered_by,
    }


def _suite(reader: Reader, version: SuiteVersion) -> dict[str, Any]:
    """Give a suite as its author would write it, defaults included, and what the registry knows of it."""
    suite: Suite = service.suite_of(reader, version)
    document = {
        key: value for key, value in suite.document.items() if key not in {"project", "name", "purpose"}
    }
    return {
        **_suite_line(version),
        "gate": gate_document(suite.gate),
        "dataset_ref": service.dataset_ref(reader, version),
        "document": {**document, "kind": suite.kind},
    }


def _run_line(run: Run) -> dict[str, Any]:
    line = asdict(run)
    return {key: value for key, value in line.items() if key not in {"project", "journal", "result"}}


def _run(reader: Reader, run: Run) -> dict[str, Any]:
    return {
        **_run_line(run),
        "progress": _progress(service.progress_of(reader, run.id)),
        "result": service.result_of(reader, run),
    }


def _progress(step: RunProgress | None) -> Mapping[str, Any] | None:
    return None if step is None else asdict(step)


def _case(record: CaseRecord, row: Row | None) -> dict[str, Any]:
    return {
        "side": record.side,
        "id": None if row is None else row.id,
        "sample": record.sample,
        "repeat": record.repeat,
        "outcome": record.outcome.value,
        "input": None if row is None else row.input,
        "target": None if row is None else row.target,
        "answer": None if record.answer is None else record.answer.text,
        "scores": {score.name: score.value for score in record.scores},
        "notes": [score.note for score in record.scores if score.note],
        "error": record.error,
        "asked_at": record.asked_at,
        "latency_ms": record.latency_ms,
        "attempts": record.attempts,
        "reused_from": record.reused_from,
        "key": record.answer_key,
    }
