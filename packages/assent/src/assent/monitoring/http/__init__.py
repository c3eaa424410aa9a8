"""Routes of monitoring."""

from fastapi import APIRouter

from assent.monitoring.http import (
    alerts,
    export,
    exposition,
    figures,
    incidents,
    otlp,
    quality,
    span_export,
    watches,
)

router = APIRouter()
router.include_router(exposition.router)
for part in (figures, export, otlp, span_export, alerts, incidents, watches, quality):
    router.include_router(part.router, prefix="/v1")

__all__ = ["router"]
