"""Figures that another tool measured, where a policy lets them count: each against a bar fixed beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from assent.approvals.domain.facts import Ok

IMPORTED = "eval.imported"
MIN_COVERAGE = Decimal("0.95")
"""Share of the samples that have a value; below, a figure says nothing (as with our own runs)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """What one imported figure must clear with its whole 95 % interval.

    `task` None: in every task that has the metric. Just one of the limits is set.
    """

    metric: str
    task: str | None = None
    at_least: Decimal | None = None
    at_most: Decimal | None = None

    def __str__(self) -> str:
        """Say what must hold."""
        name = self.metric if self.task is None else f"{self.metric} of {self.task}"
        return f"{name} {self.limit}"

    @property
    def limit(self) -> str:
        """Say the limit alone."""
        return f"at least {self.at_least}" if self.at_least is not None else f"at most {self.at_most}"

    def weigh(self, figures: Sequence[Mapping[str, Any]]) -> tuple[Ok, str]:
        """Judge every figure that is meant: the worst answer counts; none is unknown."""
        meant = [
            one
            for one in figures
            if one.get("metric") == self.metric and self.task in {None, one.get("task")}
        ]
        answers = [self._one(one) for one in meant]
        for ok in (Ok.FAIL, Ok.UNKNOWN, Ok.PASS):
            for answer in answers:
                if answer[0] is ok:
                    return answer
        return Ok.UNKNOWN, f"no figure {self.metric}"

    def _one(self, figure: Mapping[str, Any]) -> tuple[Ok, str]:
        name = f"{figure.get('task')} {self.metric}"
        value, low, high, coverage = (_number(figure.get(k)) for k in ("value", "low", "high", "coverage"))
        if value is None or low is None or high is None:
            return Ok.UNKNOWN, f"{name}: no interval"
        shown = f"{name}: {value} [{low}, {high}]"
        if coverage is None or coverage < MIN_COVERAGE:
            return Ok.UNKNOWN, f"{shown}, coverage {coverage}"
        clears = low >= self.at_least if self.at_least is not None else high <= (self.at_most or 0)
        misses = high < self.at_least if self.at_least is not None else low > (self.at_most or 0)
        return (Ok.PASS if clears else Ok.FAIL if misses else Ok.UNKNOWN), shown


def weigh_import(value: Mapping[str, Any], bars: Sequence[Bar]) -> tuple[Ok, str]:
    """Judge what an import claims against every bar; a run that did not end well never passes."""
    source = f"imported from {value.get('tool')}"
    if value.get("complete") is False:
        return Ok.UNKNOWN, f"{source}, whose run did not end well"
    figures = value.get("figures")
    weighed = [bar.weigh(figures if isinstance(figures, list) else ()) for bar in bars]
    ok = next(one for one in (Ok.FAIL, Ok.UNKNOWN, Ok.PASS) if one in {found for found, _ in weighed})
    return ok, f"{source}; " + "; ".join(
        f"{text}, {bar.limit}" for bar, (_, text) in zip(bars, weighed, strict=True)
    )


def _number(text: Any) -> Decimal | None:
    try:
        number = Decimal(str(text))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
