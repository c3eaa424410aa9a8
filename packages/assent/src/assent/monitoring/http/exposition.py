"""The route that Prometheus scrapes."""

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from assent.identity.domain import Permission
from assent.monitoring.service import exposition
from assent.web.api import Call, requires

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
def metrics(call: Annotated[Call, requires(Permission.MONITORING_READ)]) -> Response:
    """Give what is live in Prometheus' text format; the token's role must read everywhere."""
    content = exposition.exposition(exposition.registry_of(call.runtime))
    return Response(content, media_type=CONTENT_TYPE_LATEST)
