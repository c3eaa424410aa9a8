"""Evaluations: all runs, one run with its gate, slices, flips and cases, and two beside each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import Response
from markupsafe import Markup

from assent.console.runs import RunChart, draw_run
from assent.console.visit import PageRoute, Visit, visits
from assent.evaluation import service as evaluation
from assent.evaluation.domain.cases import CaseRecord, Outcome
from assent.evaluation.domain.dataset import Row
from assent.evaluation.service import Run, RunProgress
from assent.identity.domain import Permission
from assent.kernel.errors import NotFound
from assent.kernel.tx import Reader

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}")
Seen = Annotated[Visit, visits(Permission.EVALUATION_READ)]
PAGE = 25
MAX_TEXT = 2000


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One case as it is listed; texts are what people and models wrote."""

    id: str
    side: str
    outcome: str
    input: str
    target: str
    answer: str
    scores: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """What the page of a run shows; all but the run itself is empty while it is not closed."""

    project: str
    run: Run
    step: RunProgress | None
    chart: RunChart | None
    result: Mapping[str, Any]
    took: Sequence[Mapping[str, str]]
    slices: Markup
    tables: Sequence[evaluation.reports.Listing]
    flips: Sequence[Mapping[str, Any]]
    n_gained: int
    n_lost: int
    cases: Sequence[CaseRow]
    n_cases: int
    outcome: str
    outcomes: Sequence[str]
    older: str
    others: Sequence[Run]


@router.get("/evaluations")
def list_runs(
    visit: Seen,
    before: Annotated[str | None, Query(max_length=64)] = None,
    verdict: Annotated[Literal["pass", "fail", "inconclusive", ""], Query()] = "",
) -> Response:
    """List runs, newest first."""
    wanted = {"verdict": verdict} if verdict else {}
    with visit.read() as reader:
        runs = evaluation.list_runs(reader, visit.project, wanted, before=before, limit=PAGE)
        imported = evaluation.list_imports(reader, visit.project, {}, limit=PAGE)
    more = {**wanted, "before": runs[-1].id} if len(runs) == PAGE else None
    older = f"/projects/{visit.project}/evaluations?{urlencode(more)}" if more else ""
    return visit.page(
        "evaluations/list.html",
        project=visit.project,
        runs=runs,
        imported=() if before else imported,
        older=older,
        verdict=verdict,
    )


@router.get("/evaluations/{run}")
def show_run(
    visit: Seen,
    run: str,
    outcome: Annotated[Literal["scored", "refused", "unscorable", "error", ""], Query()] = "",
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Response:
    """Show a run."""
    with visit.read() as reader:
        view = _view(reader, _get(reader, visit.project, run), outcome, start)
    return visit.page("evaluations/run.html", view=view)


@router.get("/evaluations/{run}/compare")
def compare(visit: Seen, run: str, other: Annotated[str, Query(max_length=64)]) -> Response:
    """Show two runs beside each other."""
    with visit.read() as reader:
        first, second = (_get(reader, visit.project, one) for one in (run, other))
        said = evaluation.reports.compare(reader, first, second)
    drawing = evaluation.reports.forest(said["metrics"], paired=True)
    return visit.page("evaluations/compare.html", project=visit.project, said=said, drawing=drawing)


def _get(reader: Reader, project: str, run: str) -> Run:
    found = evaluation.get_run(reader, run)
    if found.project != project:
        raise NotFound(f"There is no run {run}.")
    return found


def _view(reader: Reader, run: Run, outcome: str, start: int) -> RunView:
    closed = run.journal is not None
    said = evaluation.reports.report(reader, run) if closed else {}
    cases = _cases(reader, run, outcome) if closed else []
    address = f"/projects/{run.project}/evaluations/{run.id}"
    more = {**({"outcome": outcome} if outcome else {}), "start": start + PAGE}
    others = evaluation.list_runs(reader, run.project, {"suite": run.suite, "state": "closed"}, limit=PAGE)
    return RunView(
        project=run.project,
        run=run,
        step=evaluation.progress_of(reader, run.id),
        chart=draw_run(reader, run.id),
        result=said.get("result", {}),
        took=said.get("took", ()),
        slices=evaluation.reports.forest(said.get("slices", ()), paired=run.baseline is not None),
        tables=evaluation.reports.tables_of(said) if closed else (),
        flips=said.get("flips", ()),
        n_gained=said.get("n_gained", 0),
        n_lost=said.get("n_lost", 0),
        cases=[_row(record, row) for record, row in cases[start : start + PAGE]],
        n_cases=len(cases),
        outcome=outcome,
        outcomes=[one.value for one in Outcome],
        older=f"{address}?{urlencode(more)}#cases" if start + PAGE < len(cases) else "",
        others=[other for other in others if other.id != run.id],
    )


def _cases(reader: Reader, run: Run, outcome: str) -> list[tuple[CaseRecord, Row]]:
    rows = {row.key: row for row in evaluation.contents_of(reader, run)[1]}
    order = {key: position for position, key in enumerate(rows)}
    found = [
        (record, rows[record.sample])
        for record in evaluation.records_of(reader, run.journal or "")
        if record.sample in rows and outcome in {"", record.outcome.value}
    ]
    return sorted(found, key=lambda one: (order[one[0].sample], one[0].repeat, one[0].side != "candidate"))


def _row(record: CaseRecord, row: Row) -> CaseRow:
    return CaseRow(
        id=row.id,
        side=record.side,
        outcome=record.outcome.value,
        input=_cut(row.input),
        target="" if row.target is None else _cut(row.target),
        answer="" if record.answer is None else _cut(record.answer.text),
        scores=", ".join(f"{s.name} {'none' if s.value is None else f'{s.value:g}'}" for s in record.scores),
        note=record.error or "; ".join(s.note for s in record.scores if s.note),
    )


def _cut(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"
