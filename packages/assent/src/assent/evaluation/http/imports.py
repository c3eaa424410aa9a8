"""Routes of results that other tools measured."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

import pydantic
from fastapi import APIRouter, Depends, Query, Request, Response

from assent.evaluation import service
from assent.evaluation.service import Import, NewImport
from assent.identity.domain import Permission
from assent.kernel.errors import Invalid
from assent.kernel.tx import Reader
from assent.web.api import MAX_PAGE, Call, ProjectPath, page, requires
from assent.web.openapi import EXISTED

router = APIRouter(prefix="/v1/projects/{project}/imports")

Reading = Annotated[Call, requires(Permission.EVALUATION_READ)]
RAW = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {}}}}}


class ImportQuery(pydantic.BaseModel):
    """What the file is. Without a subject it is checked and nothing is recorded."""

    model_config = pydantic.ConfigDict(extra="forbid")

    format: Literal["inspect", "lm-eval", "promptfoo", "deepeval", "junit", "jsonl"]
    name: str = pydantic.Field("file", min_length=1, max_length=200)
    subject: str | None = pydantic.Field(None, max_length=130)
    suite: str | None = pydantic.Field(None, max_length=63)


class ImportsQuery(pydantic.BaseModel):
    """Which imports."""

    model_config = pydantic.ConfigDict(extra="forbid")

    subject: str | None = None
    suite: str | None = None
    cursor: str | None = pydantic.Field(None, max_length=100)
    limit: int = pydantic.Field(50, ge=1, le=MAX_PAGE)


async def _raw(request: Request) -> bytes:
    return await request.body()


@router.post("", status_code=201, openapi_extra=RAW, responses=EXISTED)
def import_result(
    project: ProjectPath,
    call: Annotated[Call, requires(Permission.RESULT_IMPORT)],
    asked: Annotated[ImportQuery, Query()],
    content: Annotated[bytes, Depends(_raw)],
    response: Response,
) -> dict[str, Any]:
    """Take a result file over as evidence of a version: 201; without a subject only its figures: 200."""
    if (asked.subject is None) is not (asked.suite is None):
        raise Invalid(
            "A subject goes with a suite, and a suite with a subject.",
            remedy="Give --subject NAME@VERSION and --suite NAME, or neither to check the file only.",
        )
    measured = service.measure(asked.format, asked.name, content)
    if asked.subject is None or asked.suite is None:
        response.status_code = 200
        return {"id": None, **measured.said}
    with call.begin() as tx:
        found = service.take_over(tx, NewImport(project, asked.subject, asked.suite, measured))
        return _whole(tx, found)


@router.get("")
def list_imports(
    project: ProjectPath, call: Reading, asked: Annotated[ImportsQuery, Query()]
) -> dict[str, Any]:
    """List imported results, newest first. The subject is a digest or `name@version`."""
    column = "subject" if (asked.subject or "").startswith("sha256:") else "subject_ref"
    filters = {column: asked.subject, "suite": asked.suite}
    wanted = {name: value for name, value in filters.items() if value is not None}
    with call.read() as reader:
        found = service.list_imports(reader, project, wanted, before=asked.cursor, limit=asked.limit)
    return page([_line(one) for one in found], found[-1].id if len(found) == asked.limit else None)


@router.get("/{id}")
def get_import(project: ProjectPath, id: str, call: Reading) -> dict[str, Any]:  # noqa: A002 -- the word of the path
    """Show an imported result with its figures."""
    with call.read() as reader:
        return _whole(reader, service.get_import(reader, project, id))


@router.get("/{id}/verification")
def verify_import(project: ProjectPath, id: str, call: Reading) -> dict[str, Any]:  # noqa: A002 -- the word of the path
    """Compute every figure again from the rows that were kept."""
    with call.read() as reader:
        checks = service.verify_import(reader, project, id)
    listed = [
        {"id": name, "ok": published == computed, "published": published, "computed": computed}
        for name, published, computed in checks
    ]
    return {"import": id, "ok": all(check["ok"] for check in listed), "checks": listed}


def _line(found: Import) -> dict[str, Any]:
    return {name: value for name, value in asdict(found).items() if name != "project"}


def _whole(reader: Reader, found: Import) -> dict[str, Any]:
    return {**_line(found), **service.said_of(reader, found)}
