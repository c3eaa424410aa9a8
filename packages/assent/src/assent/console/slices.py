"""An A/B test by slices: where its differences come from, drawn with intervals; nothing is decided here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from markupsafe import Markup

from assent.console.experiment import caption, cells, estimate_of
from assent.console.rollout import Seen, address_of
from assent.console.visit import PageRoute
from assent.delivery import service as delivery
from assent.monitoring import service as monitoring
from assent.web import charts
from assent.web.charts import Limit
from assent.web.status import Tone

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/rollouts")
TITLES = {"application": "By application", "language": "By language"}


@dataclass(frozen=True, slots=True)
class Drawn:
    """One metric in all slices of a dimension: drawn are those whose interval something bounds."""

    caption: str
    drawing: Markup | None
    n_waiting: int
    rows: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class DimensionView:
    """One dimension: its metrics, and the slices whose arms cannot be compared."""

    title: str
    metrics: Sequence[Drawn]
    broken: Sequence[str]


def _drawn(slices: Sequence[Mapping[str, Any]], i: int) -> Drawn:
    found = [(one["title"], one["metrics"][i]) for one in slices]
    bounded = [estimate_of(title, one, _tone(one)) for title, one in found if one["low"] is not None]
    told = caption(found[0][1])
    drawing = charts.intervals(told, bounded, [Limit(0.0, "no difference")]) if bounded else None
    rows = [(title, cells(one)) for title, one in found]
    return Drawn(told, drawing, len(found) - len(bounded), rows)


def _tone(one: Mapping[str, Any]) -> Tone:
    return Tone.GOOD if one["high"] < 0 else Tone.BAD if one["low"] > 0 else Tone.BUSY


def _dimension(found: Mapping[str, Any]) -> DimensionView:
    slices = found["slices"]
    n = len(slices[0]["metrics"]) if slices else 0
    return DimensionView(
        TITLES[found["dimension"]],
        [_drawn(slices, i) for i in range(n)],
        [_broken(one) for one in slices if not one["exposure"]["ok"]],
    )


def _broken(one: Mapping[str, Any]) -> str:
    counts, expected = one["exposure"]["counts"], one["exposure"]["expected"]
    arms = ", ".join(f"{arm} {counts[arm]:,} of {float(expected[arm]):,.1f} expected" for arm in counts)
    return f"{one['title']}: {arms}"


@router.get("/{rollout_id}/slices")
def slices(visit: Seen, rollout_id: str) -> Response:
    """Show an A/B test by application and language."""
    with visit.read() as reader:
        rollout = delivery.get(reader, rollout_id, visit.project)
        found = monitoring.slices.slices(reader, visit.project, rollout_id)
    return visit.page(
        "rollout/slices.html",
        subject=rollout.ref,
        back=address_of(rollout),
        n=found["n_comparisons"],
        sure=f"{100 * (1 - found['alpha']):g} %",
        dimensions=[_dimension(one) for one in found["dimensions"]],
    )
