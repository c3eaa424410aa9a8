"""Routes of the registry."""

from fastapi import APIRouter

from assent.registry.http import labels, resolving, versions

router = APIRouter(prefix="/v1/projects/{project}")
for part in (resolving.router, labels.router, versions.router):
    router.include_router(part)

__all__ = ["router"]
