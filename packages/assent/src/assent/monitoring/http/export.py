"""The route that gives observed calls as a file."""

from datetime import datetime
from typing import Annotated, Literal

import pydantic
from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from assent.identity.domain import Permission
from assent.monitoring import service
from assent.web.api import Call, ProjectPath, requires
from assent.web.openapi import gives

router = APIRouter(tags=["monitoring"])


class ExportWire(pydantic.BaseModel):
    """Which calls, in which form: from and to when (RFC 3339), else the last `last_s` seconds."""

    model_config = pydantic.ConfigDict(extra="forbid")
    format: Literal["jsonl", "csv", "parquet"] = "jsonl"
    environment: Annotated[str | None, pydantic.Field(max_length=200)] = None
    name: Annotated[str | None, pydantic.Field(max_length=200)] = None
    version: Annotated[str | None, pydantic.Field(max_length=200)] = None
    last_s: Annotated[int, pydantic.Field(ge=10, le=7 * 86_400)] = 3600
    from_at: pydantic.AwareDatetime | None = None
    to_at: pydantic.AwareDatetime | None = None


@router.get(
    "/projects/{project}/observations",
    response_class=StreamingResponse,
    responses=gives(*service.export.MEDIA.values()),
)
def export_observations(
    project: ProjectPath,
    call: Annotated[Call, requires(Permission.OBSERVATION_EXPORT)],
    asked: Annotated[ExportWire, Query()],
) -> StreamingResponse:
    """Give the calls of a period as a file, one row a call: at most a million, while they are kept."""
    narrowed = {"environment": asked.environment, "route": asked.name, "version": asked.version}
    where = {name: value for name, value in narrowed.items() if value is not None}
    with call.read() as reader:
        period = service.report.last(reader, asked.last_s)
        if asked.from_at is not None or asked.to_at is not None:
            period = service.report.between(reader, asked.from_at, asked.to_at)
        service.export.check(reader, project, period, where)
    name = f"observations-{_compact(period.start)}-{_compact(period.end)}.{asked.format}"
    return StreamingResponse(
        service.export.stream(call.read, project, period, where, asked.format),
        media_type=service.export.MEDIA[asked.format],
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


def _compact(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%SZ}"
