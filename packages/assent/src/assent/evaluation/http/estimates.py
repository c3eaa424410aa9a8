"""Route of estimates: what a run would take."""

from typing import Annotated, Any

import pydantic
from fastapi import APIRouter, Query

from assent.evaluation import service
from assent.evaluation.service import NewRun
from assent.identity.domain import Permission
from assent.web.api import Call, ProjectPath, requires

router = APIRouter(prefix="/v1/projects/{project}/estimates")


class EstimateQuery(pydantic.BaseModel):
    """Which run; as one would ask for it."""

    model_config = pydantic.ConfigDict(extra="forbid")

    suite: str = pydantic.Field(max_length=200)
    subject: str = pydantic.Field(max_length=200)
    environment: str = "production"
    fresh: bool = False
    through: str | None = None


@router.get("")
def estimate_run(
    project: ProjectPath,
    call: Annotated[Call, requires(Permission.EVALUATION_READ)],
    asked: Annotated[EstimateQuery, Query()],
) -> dict[str, Any]:
    """Say what a run would take: cases, tokens, money, time; what is not known is null."""
    new = NewRun(project, asked.suite, asked.subject, asked.environment, asked.fresh, asked.through)
    with call.read() as reader:
        return service.estimate_run(reader, new)
