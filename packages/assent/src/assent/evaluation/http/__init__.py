"""Routes of evaluation, by noun."""

from fastapi import APIRouter

from assent.evaluation.http import (
    bindings,
    estimates,
    imports,
    labelling,
    packs,
    passports,
    reports,
    runs,
    schedules,
)

router = APIRouter(tags=["evaluation"])
for part in (runs, estimates, bindings, passports, packs, imports, labelling, reports, schedules):
    router.include_router(part.router)

__all__ = ["router"]
