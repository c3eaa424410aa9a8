"""Routes of the watches over what is live."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from assent.identity.domain import Permission
from assent.monitoring import service
from assent.web.api import Call, ProjectPath, page, requires

router = APIRouter(prefix="/projects/{project}/watches", tags=["monitoring"])

Reads = Annotated[Call, requires(Permission.MONITORING_READ)]


@router.get("")
def list_watches(
    project: ProjectPath,
    call: Reads,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> dict[str, Any]:
    """List the watches over live versions, newest first; alerts of the kind `regression` begin them."""
    with call.read() as reader:
        found, following = service.watch_report.list_(reader, project, cursor, limit)
        return page([service.watch_report.document(reader, one) for one in found], following)


@router.get("/{watch}")
def get_watch(project: ProjectPath, watch: str, call: Reads) -> dict[str, Any]:
    """Show a watch: references, rates since it began with their intervals, evidence, what was found."""
    with call.read() as reader:
        return service.watch_report.document(reader, service.watch_report.get(reader, project, watch))


@router.get("/{watch}/evidence")
def watch_evidence(project: ProjectPath, watch: str, call: Reads) -> dict[str, Any]:
    """Compute what a watch says again from its first block on, and compare it with the ledger."""
    with call.read() as reader:
        return service.watch_report.replay(reader, project, watch)
