"""Evaluation runs of a version, drawn: every estimate with its interval and what it had to clear."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from assent.evaluation import service as evaluation
from assent.evaluation.domain.gate import Direction, Gate, Rule
from assent.evaluation.domain.numbers import split_ref
from assent.kernel.tx import Reader
from assent.web import charts
from assent.web.charts import Estimate, Limit, percent
from assent.web.status import Tone

TONES = {"pass": Tone.GOOD, "fail": Tone.BAD, "inconclusive": Tone.WARN}
MAX_RUNS = 100


@dataclass(frozen=True, slots=True)
class RunChart:
    """One run: its verdict, a drawing, and what else must be said."""

    title: str
    verdict: str
    drawing: Markup
    levels: Markup
    note: str


def _number(figure: str | None) -> float | None:
    return None if figure is None else float(figure)


def _points(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:+.1f}".replace("-", "\N{MINUS SIGN}")


def _share(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.1f} %"


def _bar(gate: Gate) -> Limit:
    """Say what the interval has to clear, in the metric's own direction."""
    if gate.rule is Rule.THRESHOLD:
        word = "at least" if gate.direction is Direction.HIGHER else "at most"
        return Limit(gate.limit, f"{word} {percent(gate.limit)}")
    if gate.rule is Rule.MAX_GAP:
        return Limit(gate.limit, f"gap of {100 * gate.limit:g} points")
    if gate.rule is Rule.SUPERIOR:
        return Limit(0.0, "no difference")
    return Limit(-gate.sign * gate.limit, f"margin {100 * gate.limit:g} points")


def _judged(gate: Gate, result: Mapping[str, Any], baseline: str | None) -> Markup:
    value, low, high = (_number(result[name]) for name in ("estimate", "low", "high"))
    compares = gate.rule is not Rule.THRESHOLD
    show = _points if compares else _share
    shown = f"{show(value)} [{show(low)}, {show(high)}], n = {result['n']}"
    estimate = Estimate(gate.metric, value, low, high, shown, TONES[result["verdict"]])
    limits = [_bar(gate)]
    if gate.compares and limits[0].value:
        limits.append(Limit(0.0, "no difference"))
    title = f"candidate minus {baseline}, in points" if gate.compares else "share of cases"
    title = "largest gap between two groups, in points" if gate.rule is Rule.MAX_GAP else title
    return charts.intervals(title, [estimate], limits, charts.in_points if compares else percent)


def _levels(result: Mapping[str, Any], gate: Gate) -> Markup:
    rows = []
    for level in result["levels"]:
        value, low, high = (_number(level[name]) for name in ("value", "low", "high"))
        shown = f"{_share(value)} [{_share(low)}, {_share(high)}], n = {level['n']}"
        tone = Tone.BUSY if level["side"] == "candidate" else Tone.QUIET
        if value is not None and level["metric"] in {gate.metric, "refused"}:
            rows.append(Estimate(f"{level['metric']}, {level['side']}", value, low, high, shown, tone))
    return charts.intervals("Levels, 95 % intervals", rows, name=percent) if rows else Markup()


def _note(result: Mapping[str, Any], gate: Gate) -> str:
    parts = [
        f"{result['method'].capitalize()} interval, {gate.alpha:g} in each tail",
        f"coverage {100 * float(result['coverage']):.1f} %",
        *result["reasons"],
    ]
    if result["more_samples"] is not None:
        parts.append(f"about {result['more_samples']} more cases would decide")
    return "; ".join(parts) + "."


def draw_run(reader: Reader, run_id: str) -> RunChart | None:
    """Draw a run; None while it is not closed. Raises: NotFound."""
    run = evaluation.get_run(reader, run_id)
    result = evaluation.result_of(reader, run)
    if result is None:
        return None
    suite = evaluation.get_suite(reader, run.project, *split_ref(run.suite_ref))
    gate = evaluation.suite_of(reader, suite).gate
    return RunChart(
        title=run.suite_ref,
        verdict=result["verdict"],
        drawing=_judged(gate, result, run.baseline_ref),
        levels=_levels(result, gate),
        note=_note(result, gate),
    )


def draw_runs(reader: Reader, project: str, subject: str) -> list[RunChart]:
    """Draw the newest closed run of each suite on a version."""
    newest: dict[str, str] = {}
    for run in evaluation.list_runs(reader, project, {"subject": subject, "state": "closed"}, limit=MAX_RUNS):
        newest.setdefault(run.suite, run.id)
    drawn = (draw_run(reader, run_id) for run_id in newest.values())
    return [chart for chart in drawn if chart is not None]
