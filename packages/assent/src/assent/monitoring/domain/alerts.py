"""Alerts: conditions as data, and when one fires, is told again, and is over.

What is not known (too few calls, a figure that could not be computed) neither fires an alert nor ends it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from assent.kernel.errors import Invalid, Reason

MAX_WINDOW_S = 7 * 86_400
MAX_REPEAT_S = 30 * 86_400
SHORT_PART = 12
"""A budget's short window is so much of the long one where none is given (Google SRE workbook, ch. 5)."""

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")


class Kind(StrEnum):
    """What an alert watches."""

    THRESHOLD = "threshold"
    BURN = "burn"
    NO_TRAFFIC = "no_traffic"
    LAGGING = "lagging"
    DROPPED = "dropped"
    DRIFT = "drift"
    SUITE = "suite"
    REGRESSION = "regression"
    JUDGE = "judge"


RATES = ("error_rate", "refusal_rate", "guardrail_rate", "thumbs_down_rate", "not_as_approved_rate")
QUANTILES = ("latency_p50_s", "latency_p95_s", "latency_p99_s", "ttft_p50_s", "ttft_p95_s", "ttft_p99_s")
TOTALS = ("cost", "tokens", "unguarded")
METRICS = (*RATES, *QUANTILES, *TOTALS)
SCORED = ("error", "refusal", "thumbs_down", "slow", "guardrail", "judge")
"""What has one score a unit, as the guards of a rollout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """When something is wrong. Lengths of time are seconds.

    `certain`: the lower end of the interval must lie above the limit, not the estimate alone.
    Of a regression: `metrics` that are watched (none: those that guarded the rollout), `above` as their limit
    (0: figures of the rollout, or of a run of `suite`, and `margin`), days between false alarms on average,
    and whether one opens an incident; `window_s` is how long a detection stands.
    """

    kind: Kind
    metric: str | None = None
    above: Decimal = Decimal(0)
    budget: Decimal = Decimal(0)
    factor: Decimal = Decimal(0)
    window_s: int = 300
    short_window_s: int = 0
    min_n: int = 1
    certain: bool = True
    back_s: int = 604_800
    suite: str | None = None
    metrics: tuple[str, ...] = ()
    margin: Decimal = Decimal(0)
    arl_days: int = 365
    incident: bool = False
    for_s: int = 0
    resolve_after_s: int = 300
    repeat_s: int = 14_400


@dataclass(frozen=True, slots=True)
class Reading:
    """A figure over a window: its value, the lower end of its interval, and how many it rests on."""

    value: float | None
    low: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a condition holds (None: not known), and why, in figures."""

    holds: bool | None
    says: str
    value: float | None = None
    n: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an alert stands: by its events, and `true_since` and `true_at` by the looks at it."""

    firing: bool = False
    told_at: datetime | None = None
    silenced_until: datetime | None = None
    true_since: datetime | None = None
    true_at: datetime | None = None


class Step(StrEnum):
    """What a look leads to."""

    NOTHING = "nothing"
    FIRE = "fire"
    REPEAT = "repeat"
    RESOLVE = "resolve"


def seen(standing: Standing, finding: Finding, now: datetime) -> Standing:
    """Remember what a look found."""
    since = standing.true_since
    at = standing.true_at
    if finding.holds:
        since, at = since or now, now
    elif finding.holds is False:
        since = None
    return Standing(standing.firing, standing.told_at, standing.silenced_until, since, at)


def decide(condition: Condition, standing: Standing, now: datetime) -> Step:
    """Decide after `seen`. A silence holds back what would be told; what goes on after it is told then."""
    silent = standing.silenced_until is not None and now < standing.silenced_until
    if not standing.firing:
        held = standing.true_since is not None and now - standing.true_since >= _s(condition.for_s)
        return Step.FIRE if held and not silent else Step.NOTHING
    over = standing.true_at is None or now - standing.true_at >= _s(condition.resolve_after_s)
    if standing.true_since is None and over:
        return Step.RESOLVE
    told = standing.told_at
    again = standing.true_since is not None and told is not None and now - told >= _s(condition.repeat_s)
    return Step.REPEAT if again and condition.repeat_s and not silent else Step.NOTHING


def _s(seconds: int) -> timedelta:
    return timedelta(seconds=seconds)


def limit_of(condition: Condition) -> Decimal:
    """Give the value above which a figure is wrong."""
    return condition.budget * condition.factor if condition.kind is Kind.BURN else condition.above


def judge(condition: Condition, readings: Mapping[str, Reading]) -> Finding:
    """Compare readings (`long`, and for a burn also `short`) with the limit."""
    limit = float(limit_of(condition))
    long = readings["long"]
    says = _says(condition, long, limit)
    if any(one.n < condition.min_n or one.value is None for one in readings.values()):
        return Finding(None, f"{says}: too little to tell", long.value, long.n)
    found = [_compared(condition, one) for one in readings.values()]
    return Finding(all(value > limit for value in found), says, long.value, long.n)


def _compared(condition: Condition, reading: Reading) -> float:
    certain = condition.certain and reading.low is not None
    return (reading.low if certain else reading.value) or 0.0


def _figure(value: float) -> str:
    """Write four digits, and never a power of ten: people read it at night."""
    return f"{float(f'{value:.4g}'):.10f}".rstrip("0").rstrip(".")


def _says(condition: Condition, reading: Reading, limit: float) -> str:
    value = "unknown" if reading.value is None else _figure(reading.value)
    low = "" if reading.low is None else f" (at least {_figure(reading.low)})"
    over = f"over {condition.window_s} s of {reading.n} calls"
    return f"{condition.metric} {value}{low} {over}, limit {_figure(limit)}"


def parse_condition(document: Mapping[str, Any]) -> Condition:
    """Read a condition. Raises: Invalid with every mistake."""
    reader = _Fields(document)
    kind = reader.choice("kind", [one.value for one in Kind])
    values: dict[str, Any] = {"kind": Kind(kind)} if kind else {}
    if kind == Kind.THRESHOLD:
        values["metric"] = reader.choice("metric", METRICS)
        values["above"] = reader.amount("above", 0)
    if kind == Kind.BURN:
        values["metric"] = reader.choice("metric", RATES)
        values["budget"], values["factor"] = reader.amount("budget", 0, 1), reader.amount("factor", 1, 10_000)
    if kind == Kind.DROPPED:
        values["above"] = reader.amount("above", 0, default=0)
    if kind == Kind.DRIFT:
        values["back_s"] = reader.whole("back_s", 604_800, 60, 366 * 86_400)
    if kind in {Kind.DRIFT, Kind.REGRESSION}:
        values["suite"] = reader.name("suite")
    if kind == Kind.REGRESSION:
        values |= _regression(reader)
    default_n = 20 if values.get("metric") in (*RATES, *QUANTILES) else 1
    window_s = 86_400 if kind in {Kind.DRIFT, Kind.REGRESSION} else 300
    values["window_s"] = reader.whole("window_s", window_s, 10, MAX_WINDOW_S)
    if kind == Kind.BURN:
        part = max(10, (values["window_s"] or 0) // SHORT_PART)
        values["short_window_s"] = reader.whole("short_window_s", part, 10, MAX_WINDOW_S)
    values["min_n"] = reader.whole("min_n", default_n, 1, 10**9)
    values["for_s"] = reader.whole("for_s", 0, 0, MAX_WINDOW_S)
    values["resolve_after_s"] = reader.whole("resolve_after_s", 300, 0, MAX_WINDOW_S)
    values["repeat_s"] = reader.whole("repeat_s", 14_400, 0, MAX_REPEAT_S)
    values["certain"] = reader.flag("certain", default=True)
    reader.finish()
    return Condition(**values)


def _regression(reader: "_Fields") -> dict[str, Any]:
    return {
        "metrics": reader.names("metrics", SCORED),
        "above": reader.amount("above", 0, 1, default=0),
        "margin": reader.amount("margin", 0, 1, default=0),
        "arl_days": reader.whole("arl_days", 365, 1, 36_500),
        "incident": reader.flag("incident", default=False),
    }


def condition_document(condition: Condition) -> dict[str, Any]:
    """Write a condition with all that counts for its kind; amounts as decimal text."""
    amounts = {name: f"{getattr(condition, name):f}" for name in ("above", "budget", "factor", "margin")}
    fields: dict[str, Any] = {
        "kind": condition.kind.value,
        "metric": condition.metric,
        "window_s": condition.window_s,
        "min_n": condition.min_n,
        "certain": condition.certain,
        "for_s": condition.for_s,
        "resolve_after_s": condition.resolve_after_s,
        "repeat_s": condition.repeat_s,
    }
    if condition.kind is Kind.BURN:
        own = {"budget": amounts["budget"], "factor": amounts["factor"]}
        return {**fields, **own, "short_window_s": condition.short_window_s}
    if condition.kind in {Kind.DRIFT, Kind.REGRESSION}:
        fields["suite"] = condition.suite
    if condition.kind is Kind.DRIFT and condition.suite is None:
        fields["back_s"] = condition.back_s
    if condition.kind is Kind.REGRESSION:
        fields |= {"metrics": list(condition.metrics), "margin": amounts["margin"]}
        fields |= {"arl_days": condition.arl_days, "incident": condition.incident}
    if condition.kind in {Kind.THRESHOLD, Kind.DROPPED, Kind.REGRESSION}:
        fields["above"] = amounts["above"]
    return {name: value for name, value in fields.items() if value is not None}


class _Fields:
    """Reads the fields of a document and gathers every mistake."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._left = {name: value for name, value in document.items() if value is not None}
        self._mistakes: list[Reason] = []

    def choice(self, name: str, known: Any) -> str | None:
        value = self._left.pop(name, None)
        if value in known:
            return str(value)
        self._wrong(name, f"{name} is {value!r:.60}.", f"One of {', '.join(known)}.")
        return None

    def amount(
        self, name: str, least: int, most: int = 10**12, *, default: int | None = None
    ) -> Decimal | None:
        value = self._left.pop(name, default)
        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            amount = Decimal("NaN")
        if isinstance(value, bool) or not amount.is_finite() or not least <= amount <= most:
            self._wrong(name, f"{name} is {value!r:.60}.", f"A number from {least} to {most:,}.")
            return None
        return amount

    def whole(self, name: str, default: int, least: int, most: int) -> int | None:
        value = self._left.pop(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self._wrong(name, f"{name} is {value!r:.60}.", f"A whole number from {least} to {most:,}.")
            return None
        return value

    def name(self, name: str) -> str | None:
        """Read a name that may be left out."""
        value = self._left.pop(name, None)
        if value is None or (isinstance(value, str) and NAME.match(value)):
            return value
        self._wrong(name, f"{name} is {value!r:.60}.", "A name: a-z, 0-9 and -, 63 at most.")
        return None

    def names(self, name: str, known: Sequence[str]) -> tuple[str, ...]:
        """Read a list of names, or a text with commas between them."""
        value = self._left.pop(name, ())
        given = value.split(",") if isinstance(value, str) else value
        if not isinstance(given, list | tuple) or not {*map(str, given)} <= {*known}:
            self._wrong(name, f"{name} is {value!r:.60}.", f"Some of {', '.join(known)}.")
            return ()
        return tuple(one for one in known if one in given)

    def flag(self, name: str, *, default: bool) -> bool | None:
        value = self._left.pop(name, default)
        if isinstance(value, bool):
            return value
        self._wrong(name, f"{name} is {value!r:.60}.", "true or false.")
        return None

    def finish(self) -> None:
        for name in sorted(self._left):
            self._wrong(name, f"{name} means nothing for this kind of alert.", "Leave it out.")
        if self._mistakes:
            text = " ".join(one.message for one in self._mistakes)
            raise Invalid(text, remedy=self._mistakes[0].remedy, reasons=self._mistakes)

    def _wrong(self, name: str, message: str, remedy: str) -> None:
        self._mistakes.append(Reason(name, message, remedy))
