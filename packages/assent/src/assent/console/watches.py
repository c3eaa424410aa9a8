"""Watches: whether what is live has become worse, each metric drawn beside its reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import Response
from markupsafe import Markup

from assent.console.guards import NAMES
from assent.console.monitoring import rate_text
from assent.console.visit import PageRoute, Visit, visits
from assent.identity.domain import Permission
from assent.kernel.tx import Reader
from assent.monitoring import service as monitoring
from assent.web import charts
from assent.web.charts import Estimate, Limit, percent
from assent.web.status import Tone

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/watches")
Seen = Annotated[Visit, visits(Permission.MONITORING_READ)]
LEAST_DAYS = 1e-3
STATES = {"worse": "breach", "quiet": "no_harm", "unknown": "unknown", "ended": "done"}


@dataclass(frozen=True, slots=True)
class WatchRow:
    """A watch in a list."""

    name: str
    address: str
    state: str
    environment: str
    started_at: datetime
    ended_at: datetime | None
    evidence: str
    says: str


@dataclass(frozen=True, slots=True)
class MetricView:
    """A metric under watch: in words, and drawn beside its reference and its limit."""

    says: str
    picture: Markup


@dataclass(frozen=True, slots=True)
class WatchView:
    """What the page of a watch shows."""

    row: WatchRow
    metrics: Sequence[MetricView]
    evidence: Markup
    regressions: Sequence[Mapping[str, Any]]
    findings: Markup | None
    arl_days: int


def _row(found: Mapping[str, Any], project: str) -> WatchRow:
    return WatchRow(
        name=found["ref"],
        address=f"/projects/{project}/watches/{found['watch']}",
        state=STATES[found["state"]],
        environment=found["environment"],
        started_at=found["started_at"],
        ended_at=found["ended_at"],
        evidence=f"{found['evidence_days']:.3g} of {found['arl_days']} days",
        says=found["regressions"][0]["says"] if found["regressions"] else "",
    )


def _reference_text(reference: Mapping[str, Any]) -> str:
    if not reference["n"]:
        return f"{percent(reference['rate'])}, stated"
    return f"{rate_text(reference)}, {reference['n']:,} units of {reference['source']}"


def _metric(found: Mapping[str, Any]) -> MetricView:
    name, reference, live = NAMES.get(found["metric"], found["metric"]), found["reference"], found["live"]
    low, high = reference["interval"]["low"], reference["interval"]["high"]
    before = Estimate("When accepted", reference["rate"], low, high, _reference_text(reference))
    ends = live["interval"]["low"], live["interval"]["high"]
    now = Estimate(
        "Since it is live", live["rate"], *ends, f"{rate_text(live)}, {live['n']:,} units", Tone.BUSY
    )
    limit = Limit(found["limit"], f"allowed {percent(found['limit'])}")
    picture = charts.intervals(f"{name}, per unit", [before, now], [limit], name=percent)
    says = f"Evidence of a change: {found['evidence_days']:.3g} days of its weight {found['weight']:.3g}."
    return MetricView(says, picture)


def _findings(found: Sequence[Mapping[str, Any]]) -> Markup | None:
    if not found:
        return None
    drawn = [
        Estimate(
            f"{NAMES.get(one['metric'], one['metric'])}, since {one['since_at']:%Y-%m-%d %H:%M} UTC",
            one["rate"],
            one["interval"]["low"],
            one["interval"]["high"],
            rate_text(one),
            Tone.BAD,
        )
        for one in found
    ]
    return charts.intervals("What became worse, per unit", drawn, name=percent)


def build(reader: Reader, project: str, watch: str) -> WatchView:
    """Gather what the page shows. Raises: NotFound."""
    live = monitoring.watch_report.get(reader, project, watch)
    found = monitoring.watch_report.document(reader, live)
    days = [max(value, LEAST_DAYS) for _, value in monitoring.watch_report.newest_evidence(reader, live)]
    return WatchView(
        row=_row(found, project),
        metrics=[_metric(one) for one in found["metrics"]],
        evidence=charts.evidence("Evidence of a change, in days", days, found["arl_days"]),
        regressions=found["regressions"],
        findings=_findings(found["regressions"]),
        arl_days=found["arl_days"],
    )


@router.get("")
def list_watches(visit: Seen) -> Response:
    """List the watches."""
    with visit.read() as reader:
        found, _ = monitoring.watch_report.list_(reader, visit.project)
        rows = [_row(monitoring.watch_report.document(reader, one), visit.project) for one in found]
    return visit.page("watches/list.html", rows=rows)


@router.get("/{watch}")
def show(visit: Seen, watch: str) -> Response:
    """Show a watch."""
    with visit.read() as reader:
        view = build(reader, visit.project, watch)
    return visit.page("watches/page.html", view=view)
