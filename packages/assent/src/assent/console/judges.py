"""Passports of judges: how well each reads the answers of a version, and whether it may decide."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from assent.console.visit import PageRoute, Visit, visits
from assent.evaluation import service as evaluation
from assent.evaluation.service import Passport
from assent.identity.domain import Permission

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/judges")
Seen = Annotated[Visit, visits(Permission.EVALUATION_READ)]
PAGE = 25
ENDS = "with any change of model, prompt, parameters or parser, or a newer calibration"


@dataclass(frozen=True, slots=True)
class PassportRow:
    """One passport; figures are texts with their intervals."""

    id: str
    judge: str
    subject: str
    model: str
    state: str
    sensitivity: str
    specificity: str
    youden: str
    kappa: str
    n_labels: int
    issued_at: datetime


@router.get("")
def list_passports(visit: Seen, before: Annotated[str | None, Query(max_length=64)] = None) -> Response:
    """List passports, newest first."""
    with visit.read() as reader:
        found = evaluation.list_passports(reader, visit.project, {}, before=before, limit=PAGE)
    older = f"/projects/{visit.project}/judges?before={found[-1].record.id}" if len(found) == PAGE else ""
    rows = [_row(one) for one in found]
    return visit.page("judges/list.html", project=visit.project, rows=rows, older=older, ends=ENDS)


def _row(passport: Passport) -> PassportRow:
    record, figures = passport.record, passport.figures
    return PassportRow(
        id=record.id,
        judge=record.name,
        subject=record.subject_ref,
        model=str(passport.judge.get("model", "")),
        state=passport.state,
        sensitivity=_shown(figures["sensitivity"]),
        specificity=_shown(figures["specificity"]),
        youden=_shown(figures["youden"]),
        kappa=_shown(figures["kappa"]),
        n_labels=record.n_labels,
        issued_at=record.issued_at,
    )


def _shown(estimate: Any) -> str:
    value, low, high = (float(estimate[end]) for end in ("value", "low", "high"))
    return f"{value:.3f} [{low:.3f},\N{NO-BREAK SPACE}{high:.3f}]"
