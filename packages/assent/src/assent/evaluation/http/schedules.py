"""Routes of the schedules by which what is live is evaluated again."""

from typing import Annotated, Any

import pydantic
from fastapi import APIRouter

from assent.evaluation import service
from assent.evaluation.service.schedules import NewSchedule
from assent.identity.domain import Permission
from assent.web.api import Call, ProjectPath, page, requires

router = APIRouter(prefix="/v1/projects/{project}/schedules")

Reading = Annotated[Call, requires(Permission.EVALUATION_READ)]
Binding = Annotated[Call, requires(Permission.SUITE_BIND)]


class ScheduleWire(pydantic.BaseModel):
    """By which suite the live version of a name is evaluated, and how often."""

    model_config = pydantic.ConfigDict(extra="forbid")

    suite: str
    name: str
    environment: str = "production"
    every_s: int = 86_400


@router.get("")
def list_schedules(project: ProjectPath, call: Reading) -> dict[str, Any]:
    """List the schedules of the project."""
    with call.read() as reader:
        return page([one._asdict() for one in service.list_schedules(reader, project)], None)


@router.post("", status_code=201)
def schedule(project: ProjectPath, body: ScheduleWire, call: Binding) -> dict[str, Any]:
    """Have what is live evaluated every so often."""
    new = NewSchedule(project, body.suite, body.name, body.environment, body.every_s)
    with call.begin() as tx:
        return service.schedule(tx, new)._asdict()


@router.delete("/{environment}/{name}/{suite}", status_code=204)
def unschedule(project: ProjectPath, environment: str, name: str, suite: str, call: Binding) -> None:
    """Evaluate it by itself no longer."""
    with call.begin() as tx:
        service.unschedule(tx, project, suite, name, environment)
