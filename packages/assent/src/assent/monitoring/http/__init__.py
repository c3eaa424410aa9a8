"""Routes of monitoring."""

from fastapi import APIRouter

from assent.monitoring.http import alerts, export, exposition, figures, incidents, otlp, watches

router = APIRouter()
router.include_router(exposition.router)
for part in (figures.router, export.router, otlp.router, alerts.router, incidents.router, watches.router):
    router.include_router(part, prefix="/v1")

__all__ = ["router"]
