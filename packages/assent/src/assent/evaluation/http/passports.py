"""Routes of judges' passports."""

from typing import Annotated, Any

import pydantic
from fastapi import APIRouter, Query

from assent.evaluation import service
from assent.evaluation.service import NewCalibration, Passport
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.errors import NotFound
from assent.kernel.tx import Reader
from assent.web.api import MAX_PAGE, Call, ProjectPath, page, requires

router = APIRouter(prefix="/v1/projects/{project}")

Reading = Annotated[Call, requires(Permission.EVALUATION_READ)]
Calibrating = Annotated[Call, requires(Permission.JUDGE_CALIBRATE)]


class Wire(pydantic.BaseModel):
    """Bodies are strict: unknown fields are errors."""

    model_config = pydantic.ConfigDict(extra="forbid")


class CalibrationWire(Wire):
    """A judge, the version whose answers it judged, and people's labels beside its replies."""

    name: str
    judge: Any
    subject: str
    cases: list[Any]
    valid_days: int = 180


class CheckWire(Wire):
    """The judge that is about to decide on a version."""

    name: str
    judge: Any
    subject: str


class PassportQuery(Wire):
    """Which passports. Subject is a digest or `name@version`."""

    name: str | None = pydantic.Field(None, max_length=100)
    subject: str | None = pydantic.Field(None, max_length=200)
    cursor: str | None = pydantic.Field(None, max_length=100)
    limit: int = pydantic.Field(50, ge=1, le=MAX_PAGE)


@router.post("/judge-passports", status_code=201)
def calibrate_judge(project: ProjectPath, body: CalibrationWire, call: Calibrating) -> dict[str, Any]:
    """Measure a judge against people's labels and record its passport."""
    new = NewCalibration(project, body.name, body.judge, body.subject, body.cases, body.valid_days)
    with call.begin() as tx:
        return _wire(tx, service.calibrate(tx, new))


@router.get("/judge-passports")
def list_passports(
    project: ProjectPath, call: Reading, asked: Annotated[PassportQuery, Query()]
) -> dict[str, Any]:
    """List passports, newest first."""
    column = "subject" if (asked.subject or "").startswith("sha256:") else "subject_ref"
    filters = {
        key: value for key, value in (("name", asked.name), (column, asked.subject)) if value is not None
    }
    with call.read() as reader:
        found = service.list_passports(reader, project, filters, before=asked.cursor, limit=asked.limit)
        wires = [_wire(reader, one) for one in found]
    following = found[-1].record.id if len(found) == asked.limit else None
    return page(wires, following)


@router.get("/judge-passports/{passport}")
def get_passport(project: ProjectPath, passport: str, call: Reading) -> dict[str, Any]:
    """Show a passport: how it stands, the judge, and every figure."""
    with call.read() as reader:
        return _wire(reader, service.get_passport(reader, project, passport))


@router.post("/judge-checks")
def check_judge(project: ProjectPath, body: CheckWire, call: Reading) -> dict[str, Any]:
    """Give the passport by which this very judge may decide on a version; refused where there is none."""
    with call.read() as reader:
        return _wire(reader, service.check_judge(reader, project, body.name, body.judge, body.subject))


@router.get("/runs/{run}/judgements")
def list_judgements(
    project: ProjectPath, run: str, call: Reading, metric: Annotated[str, Query(max_length=100)]
) -> list[dict[str, Any]]:
    """List what the judge `metric` replied about each answer, for people to label beside it."""
    with call.read() as reader:
        found = service.get_run(reader, run)
        if found.project != project:
            raise NotFound(f"There is no run {run}.")
        return service.judging.judgements(reader, found, metric)


def _wire(reader: Reader, passport: Passport) -> dict[str, Any]:
    record = passport.record
    return {
        "id": record.id,
        "name": record.name,
        "judge": record.judge,
        "state": passport.state,
        "subject": record.subject,
        "subject_ref": record.subject_ref,
        "n_labels": record.n_labels,
        "labels": record.labels,
        "document": passport.judge,
        "figures": passport.figures,
        "issued_at": record.issued_at,
        "issued_by": identity.name_of(reader, record.issued_by),
    }
