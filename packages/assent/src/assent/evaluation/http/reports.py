"""Routes of reports and comparisons."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, Response

from assent.evaluation import service
from assent.identity.domain import Permission
from assent.kernel.errors import NotFound
from assent.kernel.tx import Reader
from assent.web.api import Call, ProjectPath, requires

router = APIRouter(prefix="/v1/projects/{project}/runs")
Reading = Annotated[Call, requires(Permission.EVALUATION_READ)]


@router.get("/{run}/report")
def get_report(project: ProjectPath, run: str, call: Reading) -> dict[str, Any]:
    """Give all that is said of a closed run, with flips and slices."""
    with call.read() as reader:
        return service.reports.report(reader, _get(reader, project, run))


@router.get("/{run}/report.html", response_class=HTMLResponse)
def get_page(project: ProjectPath, run: str, call: Reading) -> Response:
    """Give the same as one page that needs nothing else."""
    with call.read() as reader:
        found = _get(reader, project, run)
        said = service.reports.report(reader, found)
        page = service.reports.to_html(said, service.contents_of(reader, found)[0].gate)
    headers = {"content-disposition": f'attachment; filename="{run}.html"'}
    return HTMLResponse(page, headers=headers)


@router.get("/{run}/comparison")
def get_comparison(
    project: ProjectPath, run: str, call: Reading, other: Annotated[str, Query(max_length=64)]
) -> dict[str, Any]:
    """Compare with another closed run, sample by sample: `other` minus this one."""
    with call.read() as reader:
        return service.reports.compare(reader, _get(reader, project, run), _get(reader, project, other))


def _get(reader: Reader, project: str, run: str) -> service.Run:
    found = service.get_run(reader, run)
    if found.project != project:
        raise NotFound(f"There is no run {run}.")
    return found
