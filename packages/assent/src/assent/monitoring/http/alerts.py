"""Routes of alerts."""

from typing import Annotated, Any

import pydantic
from fastapi import APIRouter

from assent.identity.domain import Permission
from assent.monitoring import service
from assent.web.api import Call, ProjectPath, page, requires

router = APIRouter(prefix="/projects/{project}/alerts", tags=["monitoring"])

Reads = Annotated[Call, requires(Permission.MONITORING_READ)]
Changes = Annotated[Call, requires(Permission.ALERT_CHANGE)]
Silences = Annotated[Call, requires(Permission.ALERT_SILENCE)]


class Wire(pydantic.BaseModel):
    """Bodies are strict: unknown fields are errors."""

    model_config = pydantic.ConfigDict(extra="forbid")


class AlertWire(Wire):
    """What an alert watches; `route` is a name, null for all of the environment."""

    environment: Annotated[str, pydantic.Field(max_length=63)]
    route: Annotated[str | None, pydantic.Field(max_length=200)] = None
    condition: Annotated[dict[str, Any], pydantic.Field(max_length=30)]


class SilenceWire(Wire):
    """Until when an alert tells nothing, and why."""

    until: pydantic.AwareDatetime
    reason: Annotated[str, pydantic.Field(max_length=2000)]


@router.get("")
def list_alerts(project: ProjectPath, call: Reads) -> dict[str, Any]:
    """List the alerts of the project with where each stands."""
    with call.read() as reader:
        found = service.alerts.list_(reader, project)
        return page([service.alerts.document(reader, one) for one in found], None)


@router.get("/{name}")
def get_alert(project: ProjectPath, name: str, call: Reads) -> dict[str, Any]:
    """Show an alert."""
    with call.read() as reader:
        return service.alerts.document(reader, service.alerts.get(reader, project, name))


@router.put("/{name}")
def set_alert(project: ProjectPath, name: str, body: AlertWire, call: Changes) -> dict[str, Any]:
    """Add an alert, or change what it watches."""
    new = service.alerts.NewAlert(name, body.environment, body.condition, body.route)
    with call.begin() as tx:
        found, is_new = service.alerts.set_(tx, project, new)
        return {**service.alerts.document(tx, found), "is_new": is_new}


@router.delete("/{name}", status_code=204)
def remove_alert(project: ProjectPath, name: str, call: Changes) -> None:
    """Remove an alert."""
    with call.begin() as tx:
        service.alerts.remove(tx, project, name)


@router.put("/{name}/silence")
def silence_alert(project: ProjectPath, name: str, body: SilenceWire, call: Silences) -> dict[str, Any]:
    """Have it tell nothing until a time; what still holds then is told then."""
    with call.begin() as tx:
        found = service.alerts.silence(tx, project, name, body.until, body.reason)
        return service.alerts.document(tx, found)


@router.delete("/{name}/silence")
def unsilence_alert(project: ProjectPath, name: str, call: Silences) -> dict[str, Any]:
    """End its silence before its time."""
    with call.begin() as tx:
        return service.alerts.document(tx, service.alerts.unsilence(tx, project, name))
