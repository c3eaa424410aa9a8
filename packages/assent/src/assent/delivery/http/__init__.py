"""Routes of delivery."""

from fastapi import APIRouter

from assent.delivery.http import environments, ofrep, rollouts, samplings, snapshots

router = APIRouter(prefix="/v1/projects/{project}", tags=["delivery"])
for part in (rollouts.router, environments.router, samplings.router, snapshots.router, ofrep.router):
    router.include_router(part)

__all__ = ["router"]
