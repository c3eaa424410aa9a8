"""Routes of evaluation, by noun."""

from fastapi import APIRouter

from assent.evaluation.http import bindings, runs

router = APIRouter(tags=["evaluation"])
for part in (runs, bindings):
    router.include_router(part.router)

__all__ = ["router"]
