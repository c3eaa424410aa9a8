"""Monitoring: what each version does over a period, drawn with intervals, and the same in a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

import pydantic
from fastapi import APIRouter, Query
from fastapi.responses import Response
from markupsafe import Markup

from assent.console import judged
from assent.console.visit import PageRoute, Visit, visits
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.errors import AssentError, Invalid
from assent.kernel.tx import Reader
from assent.monitoring import service as monitoring
from assent.web import charts
from assent.web.charts import Estimate, number
from assent.web.pages import count

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}/monitoring")
Seen = Annotated[Visit, visits(Permission.MONITORING_READ)]
Text = Annotated[str, pydantic.Field(max_length=200)]
NONE = "none yet"
PERIODS = {"1h": "Last hour", "24h": "Last 24 hours", "7d": "Last 7 days", "custom": "From and until"}


class Asked(pydantic.BaseModel):
    """What the visitor wants to see; it outlives a refusal."""

    model_config = pydantic.ConfigDict(frozen=True)
    environment: Text = ""
    name: Text = ""
    version: Text = ""
    period: Text = "1h"
    start: Text = ""
    end: Text = ""
    by: Text = "version"

    @property
    def query(self) -> str:
        """Give it as the query of an address."""
        return urlencode({key: value for key, value in self.model_dump().items() if value})


@dataclass(frozen=True, slots=True)
class Row:
    """A version, or one of its variants; cells in the order of `HEADS`."""

    name: str
    environment: str
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class DriftRow:
    """How one distribution differs from that of a week before."""

    name: str
    state: str
    n: str
    psi: str
    p: str
    test: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringView:
    """What the page shows."""

    project: str
    asked: Asked
    period: monitoring.report.Period
    as_of: datetime
    n_calls: int
    n_unguarded: int
    cost: str
    firing: Sequence[Any]
    rows: Sequence[Row]
    pictures: Sequence[Markup]
    prices: Sequence[str]
    environments: Sequence[str]
    drift: Sequence[DriftRow]
    spans: Mapping[str, Any] | None
    judged: judged.Judged
    live_address: str


HEADS = (
    "Requests", "Errors", "Refusals", "Guardrail hits", "Thumbs-down of opinions", "Latency p50", "p95",
    "p99", "First token p50", "Tokens in", "Tokens out", "Cost",
)  # fmt: skip


def rate_text(figures: Mapping[str, Any]) -> str:
    """Write a rate with its interval, in percent."""
    interval, rate = figures["interval"], figures["rate"]
    if rate is None:
        return NONE
    return f"{100 * rate:.2f} % [{100 * interval['low']:.2f}, {100 * interval['high']:.2f}]"


def seconds_text(value: float | None, interval: Mapping[str, Any]) -> str:
    """Write a quantile of durations with its interval."""
    if value is None:
        return NONE
    high = "∞" if interval["high"] is None else number(interval["high"])
    return f"{number(value)} s [{number(interval['low'])}, {high}]"


def money(amount: float, currency: str) -> str:
    """Write an amount of money: whole cents where there are many, else its first digits."""
    return f"{amount:,.2f} {currency}" if amount >= 1 else f"{number(amount)} {currency}"


def _cost_text(cost: Mapping[str, Any] | None) -> str:
    return "unknown" if cost is None else money(cost["total"], cost["currency"])


def _price_text(cost: Mapping[str, Any]) -> str:
    price = cost["price"]
    amounts = f"{price['input']} in and {price['output']} out per million tokens"
    return f"{price['model']}: {amounts}, {cost['currency']}, as of {price['as_of']}"


def _row(figures: Mapping[str, Any]) -> Row:
    latency = [
        seconds_text(figures["latency_s"][name], figures["latency_intervals"][name])
        for name in ("p50", "p95", "p99")
    ]
    rates = [rate_text(figures[name]) for name in ("errors", "refusals", "guardrails", "thumbs_down")]
    cells = [
        count(figures["n_calls"]), *rates, *latency,
        seconds_text(figures["ttft_s"]["p50"], figures["ttft_intervals"]["p50"]),
        count(figures["tokens_in"]), count(figures["tokens_out"]), _cost_text(figures["cost"]),
    ]  # fmt: skip
    return Row(_name(figures), figures["environment"], cells)


def _name(figures: Mapping[str, Any]) -> str:
    return f"{figures['ref']}, {figures['variant']}" if "variant" in figures else figures["ref"]


def _label(figures: Mapping[str, Any]) -> str:
    return f"{_name(figures)} ({figures['environment']})"


def _rate_estimate(figures: Mapping[str, Any], name: str) -> Estimate:
    found = figures[name]
    low, high = found["interval"]["low"], found["interval"]["high"]
    return Estimate(_label(figures), found["rate"], low, high, rate_text(found))


def _latency_estimate(figures: Mapping[str, Any], _name: str) -> Estimate:
    value, interval = figures["latency_s"]["p95"], figures["latency_intervals"]["p95"]
    return Estimate(_label(figures), value, interval["low"], interval["high"], seconds_text(value, interval))


def _cost_estimate(figures: Mapping[str, Any], _name: str) -> Estimate:
    per = figures["cost"]["per_call"]
    shown = f"{number(1000 * per['mean'])} {figures['cost']['currency']} per 1,000 calls"
    if per["low"] is None:
        return Estimate(_label(figures), None, None, None, f"{shown}; too few calls for an interval")
    ends = (1000 * per["low"], 1000 * per["high"])
    return Estimate(
        _label(figures), 1000 * per["mean"], *ends, f"{shown} [{number(ends[0])}, {number(ends[1])}]"
    )


Draw = Callable[[Mapping[str, Any], str], Estimate]


def _pictures(rows: Sequence[Mapping[str, Any]]) -> list[Markup]:
    wanted: list[tuple[str, str, Draw, Callable[[Mapping[str, Any]], bool]]] = [
        ("Error rate", "errors", _rate_estimate, lambda _: True),
        (
            "Latency, 95 of 100 calls are faster",
            "latency",
            _latency_estimate,
            lambda row: bool(row["n_calls"]),
        ),
        (
            "Thumbs-down of opinions",
            "thumbs_down",
            _rate_estimate,
            lambda row: bool(row["thumbs_down"]["n"]),
        ),
        ("Refusals", "refusals", _rate_estimate, lambda row: bool(row["refusals"]["rate"])),
        ("Guardrail hits", "guardrails", _rate_estimate, lambda row: bool(row["guardrails"]["rate"])),
        (
            "Cost per 1,000 calls",
            "cost",
            _cost_estimate,
            lambda row: row["cost"] is not None and bool(row["cost"]["per_call"]["n"]),
        ),
    ]
    drawn = []
    for title, name, draw, fits in wanted:
        shown = [draw(row, name) for row in rows if fits(row)]
        if shown:
            axis = _percent if draw is _rate_estimate else number
            drawn.append(charts.intervals(title, shown, name=axis))
    return drawn


def _percent(share: float) -> str:
    return f"{number(100 * share)} %"


def _period(reader: Reader, asked: Asked) -> monitoring.report.Period:
    if asked.period in monitoring.report.PERIODS:
        return monitoring.report.last(reader, monitoring.report.PERIODS[asked.period].total_seconds())
    return monitoring.report.between(reader, _moment(asked.start), _moment(asked.end))


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise Invalid(f"{text!r} is no time.", remedy="Write it like 2026-11-26T08:00, in UTC.") from None


def _drift(reader: Reader, project: str, where: Mapping[str, str]) -> list[DriftRow]:
    """Compare the last day with the one a week before, of one environment: all together say little."""
    if "environment" not in where:
        return []
    found = monitoring.drift.document(monitoring.drift.compare(reader, project, where))
    return [
        DriftRow(
            one["kind"].replace("_", " ").capitalize(),
            "unknown" if one["drifted"] is None else "breach" if one["drifted"] else "quiet",
            f"{count(one['n_reference'])} / {count(one['n_present'])}",
            NONE if one["psi"] is None else number(one["psi"]),
            NONE if one["p"] is None else number(one["p"]),
            one["test"],
        )
        for one in found["shifts"]
    ]


def build(reader: Reader, project: str, asked: Asked) -> MonitoringView:
    """Gather what the page shows. Raises: Invalid."""
    period = _period(reader, asked)
    where = {"environment": asked.environment, "route": asked.name, "version": asked.version}
    narrowed = {key: value for key, value in where.items() if value}
    found = monitoring.report.report(reader, project, period, **narrowed)
    rows = found["variants" if asked.by == "variant" else "versions"]
    totals = [money(amount, currency) for currency, amount in sorted(found["cost"]["totals"].items())]
    address = f"/projects/{project}/monitoring"
    return MonitoringView(
        project=project,
        asked=asked,
        period=period,
        as_of=reader.now(),
        n_calls=found["n_calls"],
        n_unguarded=sum(row["n_unguarded"] for row in found["versions"]),
        cost=" + ".join(totals) or "unknown",
        firing=[one for one in monitoring.alerts.list_(reader, project) if one.firing],
        rows=[_row(row) for row in rows],
        pictures=_pictures(rows),
        prices=sorted({_price_text(row["cost"]) for row in rows if row["cost"] is not None}),
        environments=[one.name for one in identity.list_environments(reader, project)],
        drift=_drift(reader, project, narrowed),
        spans=monitoring.span_export.document(reader),
        judged=judged.build(reader, project, period, narrowed),
        live_address=f"{address}/live?{asked.query}",
    )


def _show(visit: Visit, asked: Asked, template: str) -> Response:
    errors: Sequence[Any] = ()
    status = 200
    with visit.read() as reader:
        try:
            view = build(reader, visit.project, asked)
        except AssentError as error:
            errors, status = error.reasons or (error,), error.status
            view = build(reader, visit.project, Asked())
    return visit.page(
        template,
        status=status,
        view=view,
        asked=asked,
        periods=PERIODS,
        heads=HEADS,
        judged_heads=judged.HEADS,
        errors=errors,
    )


Wanted = Annotated[Asked, Query()]


@router.get("")
def show(visit: Seen, asked: Wanted) -> Response:
    """Show the figures."""
    return _show(visit, asked, "monitoring/page.html")


@router.get("/live")
def live(visit: Seen, asked: Wanted) -> Response:
    """Give the part of the page that renews itself."""
    return _show(visit, asked, "monitoring/live.html")
