"""The route that says how the sending of spans goes."""

from typing import Annotated, Any

from fastapi import APIRouter

from assent.identity.domain import Permission
from assent.kernel.errors import NotFound
from assent.monitoring import service
from assent.web.api import Call, requires

router = APIRouter(tags=["monitoring"])


@router.get("/span-export")
def get_span_export(call: Annotated[Call, requires(Permission.MONITORING_READ)]) -> dict[str, Any]:
    """Show what was sent to the collector, what it refused, what was dropped, and how far behind it is."""
    with call.read() as reader:
        found = service.span_export.document(reader)
    if found is None:
        raise NotFound(
            "This installation sends no spans.", remedy="An operator sets ASSENT_OTLP_URL for the worker."
        )
    return found
