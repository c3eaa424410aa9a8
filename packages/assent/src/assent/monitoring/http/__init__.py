"""Routes of monitoring."""

from fastapi import APIRouter

from assent.monitoring.http import alerts, figures, incidents

router = APIRouter(prefix="/v1")
for part in (figures.router, alerts.router, incidents.router):
    router.include_router(part)

__all__ = ["router"]
