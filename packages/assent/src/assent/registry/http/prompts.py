"""The list of prompt versions: their filter knows labels, which stand here."""

from __future__ import annotations

from typing import Annotated, Any

import pydantic
from fastapi import APIRouter, Query

from assent.identity.domain import Permission
from assent.kernel.filters import MAX_LENGTH
from assent.prompts import service as prompts
from assent.registry import service
from assent.web.api import MAX_PAGE, Call, ProjectPath, page, requires

router = APIRouter(tags=["prompts"])


class PromptQuery(pydantic.BaseModel):
    """Which versions: those that have all of these."""

    model_config = pydantic.ConfigDict(extra="forbid")

    name: str | None = None
    tag: str | None = None
    format: str | None = None
    status: str | None = None
    digest: str | None = None
    registered_by: str | None = None
    filter: str | None = pydantic.Field(None, max_length=MAX_LENGTH)
    cursor: str | None = pydantic.Field(None, max_length=100)
    limit: int = pydantic.Field(50, ge=1, le=MAX_PAGE)


@router.get("/prompts")
def list_prompts(
    project: ProjectPath,
    call: Annotated[Call, requires(Permission.PROMPT_READ)],
    asked: Annotated[PromptQuery, Query()],
) -> dict[str, Any]:
    """List prompt versions, newest first: those with all these values and within the filter.

    A filter compares fields: `status = approved AND NOT label = production`.
    """
    where = asked.model_dump(exclude_none=True, exclude={"cursor", "limit", "filter"})
    with call.read() as reader:
        filtered = prompts.Filtered(asked.filter, service.prompt_fields(project)) if asked.filter else None
        found = prompts.search(
            reader, project, where, before=asked.cursor, limit=asked.limit, filtered=filtered
        )
    lines = [prompts.version_to_wire(one) for one in found]
    return page(lines, found[-1].id if len(found) == asked.limit else None)
