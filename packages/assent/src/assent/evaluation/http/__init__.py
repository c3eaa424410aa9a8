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
)

router = APIRouter(tags=["evaluation"])
for part in (runs, estimates, bindings, passports, packs, imports, labelling, reports):
    router.include_router(part.router)

__all__ = ["router"]
