"""Routes that all applications of a process share."""

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.routing import BaseRoute


def routes_of(routers: Sequence[APIRouter]) -> list[BaseRoute]:
    """Give what to add to an application's routes.

    FastAPI works out the parameters of an included router at its first request, 0.3 s for all of ours. Here
    it is included once, and worked out once for however many applications.
    """
    together = APIRouter()
    for router in routers:
        together.include_router(router)
    return together.routes
