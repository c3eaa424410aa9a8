"""What an A/B test says, drawn: differences with their intervals, and the check of exposures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from assent.console.guards import NAMES
from assent.delivery.domain import Metric, Rollout
from assent.web import charts
from assent.web.charts import Estimate, Limit
from assent.web.status import Tone

WORDS = {
    "canary_better": "The new version is better",
    "stable_better": "The stable version is better",
    "no_difference": "No difference that matters",
    "inconclusive": "Nothing can be said yet",
}
TONES = {"canary_better": Tone.GOOD, "stable_better": Tone.BAD, "no_difference": Tone.BUSY}
AMOUNTS = {
    "latency_s": ("Latency a call", 1000.0, " ms"),
    "tokens_in": ("Tokens in a call", 1.0, ""),
    "tokens_out": ("Tokens out a call", 1.0, ""),
    "cost": ("Cost of a thousand calls", 1000.0, ""),
}
RATE = (100.0, " points")
RATES = frozenset(metric.value for metric in Metric)


@dataclass(frozen=True, slots=True)
class TestView:
    """An A/B test as it stands, in words and drawings."""

    says: str
    because: str
    looks: str | None
    is_broken: bool
    exposure: str
    drawings: Sequence[Markup]
    rows: Sequence[tuple[str, Sequence[str]]]


def view_of(rollout: Rollout, figures: Mapping[str, Any] | None) -> TestView | None:
    """Show an A/B test; None for any other rollout, or before the first look."""
    experiment = rollout.plan.experiment
    if experiment is None or figures is None:
        return None
    metrics = figures["metrics"]
    looks = figures["looks"]
    tone = TONES.get(figures["verdict"], Tone.QUIET)
    return TestView(
        says=WORDS[figures["verdict"]],
        because=figures["because"],
        looks=f"{looks[0]} of {looks[1]} planned looks" if looks else None,
        is_broken=not figures["exposure"]["ok"],
        exposure=_exposure(figures["exposure"]),
        drawings=[
            _drawing(one, tone if i == 0 else Tone.QUIET, experiment.margin if i == 0 else None)
            for i, one in enumerate(metrics)
        ],
        rows=[_row(one) for one in metrics],
    )


def _exposure(exposure: Mapping[str, Any]) -> str:
    counts, expected = exposure["counts"], exposure["expected"]
    arms = (f"{arm} {counts[arm]:,} of {float(expected[arm]):,.1f} expected" for arm in sorted(counts))
    return ", ".join(arms)


def _drawing(one: Mapping[str, Any], tone: Tone, margin: float | None) -> Markup:
    factor, _ = _measure(one)
    limits = [Limit(0.0, "no difference")]
    if margin is not None:
        limits += [Limit(-factor * margin, "better by the margin"), Limit(factor * margin, "worse by it")]
    return charts.intervals(caption(one), [estimate_of("canary − stable", one, tone)], limits)  # noqa: RUF001 -- a minus sign


def caption(one: Mapping[str, Any]) -> str:
    """Say what is drawn, and in what."""
    _, measure = _measure(one)
    unit = f"{'percentage points' if measure == RATE[1] else measure.strip()}; " if measure else ""
    return f"{_name(one)}: {unit}less is better"


def estimate_of(label: str, one: Mapping[str, Any], tone: Tone) -> Estimate:
    """Give a metric's difference as it is drawn."""
    factor, _ = _measure(one)
    low, high = (None if one[end] is None else factor * float(one[end]) for end in ("low", "high"))
    value = None if one["waits_for"] and low is None else factor * float(one["estimate"])
    return Estimate(label, value, low, high, _difference(one), tone)


def _row(one: Mapping[str, Any]) -> tuple[str, Sequence[str]]:
    return _name(one), cells(one)


def cells(one: Mapping[str, Any]) -> Sequence[str]:
    """Write a metric: in the canary, in the stable version, the difference, units of both arms."""
    return [
        _value(one, one["canary"]),
        _value(one, one["stable"]),
        _difference(one),
        f"{one['n_canary']:,} / {one['n_stable']:,}",
    ]


def _name(one: Mapping[str, Any]) -> str:
    metric: str = one["metric"]
    return NAMES[metric] if metric in RATES else AMOUNTS[metric][0]


def _value(one: Mapping[str, Any], value: Any) -> str:
    if value is None:
        return "none yet"
    if one["metric"] in RATES:
        return f"{100 * float(value):.2f} %"
    factor, measure = _measure(one)
    return f"{charts.number(factor * float(value))}{measure}"


def _measure(one: Mapping[str, Any]) -> tuple[float, str]:
    """Give by what a figure is multiplied to be shown, and in what it is measured."""
    return RATE if one["metric"] in RATES else AMOUNTS[one["metric"]][1:]


def _difference(one: Mapping[str, Any]) -> str:
    """Write the difference with its interval, or what it waits for."""
    if one["low"] is None or one["high"] is None:
        return f"waits for {one['waits_for']}"
    factor, measure = _measure(one)
    estimate, low, high = (charts.number(factor * float(one[key])) for key in ("estimate", "low", "high"))
    return f"{estimate}{measure} [{low}, {high}]"
