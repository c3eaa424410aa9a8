"""What judges say of live calls, for the page *Monitoring*."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from assent.kernel.tx import Reader
from assent.monitoring import service as monitoring
from assent.web import charts
from assent.web.charts import Estimate
from assent.web.pages import count

NONE = "none yet"


@dataclass(frozen=True, slots=True)
class Grading:
    """A name whose live calls a judge grades; `state` is quiet or unknown."""

    name: str
    environment: str
    judge: str
    passport: str
    share: str
    left: str
    state: str
    trouble: str


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """What a judge says of a version; cells in the order of `HEADS`."""

    name: str
    environment: str
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class Judged:
    """The section of the page."""

    gradings: Sequence[Grading]
    rows: Sequence[JudgedRow]
    picture: Markup | None


HEADS = ("Score", "Units", "Judged", "Off-format", "Waiting", "Failed", "Left out", "Cut")
_COUNTS = ("n_judged", "n_unreadable", "n_waiting", "n_failed", "n_left_out", "n_cut")


def build(reader: Reader, project: str, period: monitoring.report.Period, where: Mapping[str, str]) -> Judged:
    """Gather it; empty where nothing is graded."""
    between_s = (period.start.timestamp(), period.end.timestamp())
    figures = monitoring.quality.figures(reader, project, between_s, where)
    shown = [_estimate(one) for one in figures if one["score"]["mean"] is not None]
    return Judged(
        [
            _grading(one)
            for one in monitoring.quality.list_(reader, project)
            if one["enabled"]
            and where.get("environment", one["environment"]) == one["environment"]
            and where.get("route", one["name"]) == one["name"]
        ],
        [JudgedRow(_name(one), one["environment"], _cells(one)) for one in figures],
        charts.intervals("What judges say, 1 is good", shown) if shown else None,
    )


def _grading(one: Mapping[str, Any]) -> Grading:
    passport = one["passport"]
    return Grading(
        one["name"],
        one["environment"],
        one["judge"],
        "may not grade" if passport is None else passport["state"],
        f"{100 * one['share']:g} %",
        f"{count(one['left_today'])} of {count(one['per_day'])}",
        "quiet" if one["trouble"] is None else "unknown",
        one["trouble"] or "",
    )


def _name(one: Mapping[str, Any]) -> str:
    return f"{one['ref']}, {one['variant']}"


def _text(score: Mapping[str, Any]) -> str:
    low, high = score["interval"]["low"], score["interval"]["high"]
    return NONE if score["mean"] is None else f"{score['mean']:.3f} [{low:.3f}, {high:.3f}]"


def _cells(one: Mapping[str, Any]) -> list[str]:
    return [_text(one["score"]), count(one["score"]["n"]), *(count(one[name]) for name in _COUNTS)]


def _estimate(one: Mapping[str, Any]) -> Estimate:
    label, score = f"{_name(one)} ({one['environment']})", one["score"]
    ends = (score["interval"]["low"], score["interval"]["high"])
    return Estimate(label, score["mean"], *ends, _text(score))
