"""Routes of the registry; `often` holds those that are asked all the time, to be looked for first."""

from fastapi import APIRouter

from assent.registry.http import labels, prompts, resolving, versions

often = resolving.router
router = APIRouter(prefix="/v1/projects/{project}")
for part in (labels.router, prompts.router, versions.router):
    router.include_router(part)

__all__ = ["often", "router"]
