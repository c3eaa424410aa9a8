"""The route that clients ask all the time: what a name stands for."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response

from assent.identity.domain import Permission
from assent.registry import service
from assent.web.api import Call, LeanRoute, requires
from assent.web.conditional import unchanged
from assent.web.openapi import gives, takes_known

router = APIRouter(prefix="/v1/projects/{project}", tags=["registry"], route_class=LeanRoute)

JSON = "application/json"
KNOWN = takes_known("The digest that the caller has, in quotes.")


@router.get("/resolve/model/{ref}", response_model=None, responses=gives(JSON), openapi_extra=KNOWN)
def resolve_model(
    project: str, ref: str, request: Request, call: Annotated[Call, requires(Permission.MODEL_READ)]
) -> Response:
    """Give all that is needed to call `name@number`, `name@label` or `name@latest`, its prompts included.

    The digest is the ETag: a client that has it gets 304.
    """
    return _answer(project, ref, "model", request, call)


@router.get("/resolve/prompt/{ref}", response_model=None, responses=gives(JSON), openapi_extra=KNOWN)
def resolve_prompt(
    project: str, ref: str, request: Request, call: Annotated[Call, requires(Permission.PROMPT_READ)]
) -> Response:
    """Give all that is needed to use `name@number`, `name@label` or `name@latest`; the digest is the ETag."""
    return _answer(project, ref, "prompt", request, call)


def _answer(project: str, ref: str, kind: str, request: Request, call: Call) -> Response:
    with call.read() as reader:
        found = service.resolve(reader, project, ref, kind)
    if fresh := unchanged(request, found.digest):
        return fresh
    return Response(found.wire(), media_type=JSON, headers={"etag": f'"{found.digest}"'})
