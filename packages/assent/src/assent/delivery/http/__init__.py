"""Routes of delivery."""

from fastapi import APIRouter

from assent.delivery.http import environments, ofrep, rollouts, snapshots

router = APIRouter(prefix="/v1/projects/{project}", tags=["delivery"])
for part in (rollouts.router, environments.router, snapshots.router, ofrep.router):
    router.include_router(part)

__all__ = ["router"]
