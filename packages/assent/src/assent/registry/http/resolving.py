"""The route that clients ask all the time: what a name stands for."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response

from assent.identity.domain import Permission
from assent.registry import service
from assent.web.api import Call, LeanRoute, requires
from assent.web.conditional import unchanged

router = APIRouter(prefix="/v1/projects/{project}", tags=["registry"], route_class=LeanRoute)


@router.get("/resolve/model/{ref}", response_model=None)
def resolve_model(
    project: str, ref: str, request: Request, call: Annotated[Call, requires(Permission.MODEL_READ)]
) -> Response:
    """Give all that is needed to call `name@number`, `name@label` or `name@latest`, its prompts included.

    The digest is the ETag: a client that has it gets 304.
    """
    with call.read() as reader:
        found = service.resolve(reader, project, ref)
    if fresh := unchanged(request, found.digest):
        return fresh
    return Response(found.wire(), media_type="application/json", headers={"etag": f'"{found.digest}"'})
