"""What an A/B test says: the difference of its arms on each metric, and whether the arms can be compared.

Canary minus stable throughout; less is better on every metric. The plan's alpha is for the primary metric,
which alone decides; the intervals of the others are drawn at the same level beside it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from assent.delivery.domain import Experiment, Mode
from assent.monitoring.domain.difference import Difference, Moments, Stratum, difference
from assent.monitoring.domain.exposure import Exposure, check_exposure
from assent.monitoring.domain.group_sequential import GroupPlan, PlannedVerdict, planned_verdict
from assent.monitoring.domain.scores import LEVELS, Arm, Histogram


class Finding(StrEnum):
    """What the primary metric says."""

    CANARY_BETTER = "canary_better"
    STABLE_BETTER = "stable_better"
    NO_DIFFERENCE = "no_difference"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One metric in both arms; an interval that nothing bounds yet has None for its ends."""

    metric: str
    canary: float | None
    stable: float | None
    estimate: float
    low: float | None
    high: float | None
    n_canary: int
    n_stable: int
    waits_for: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An A/B test as it stands. `looks`: planned looks taken and planned in all; None at any time."""

    finding: Finding
    because: str
    primary: Compared
    others: tuple[Compared, ...]
    exposure: Exposure
    looks: tuple[int, int] | None

    def document(self) -> dict[str, Any]:
        """Write it as figures are kept and shown."""
        return {
            "verdict": self.finding.value,
            "because": self.because,
            "metrics": [compared_document(one) for one in (self.primary, *self.others)],
            "exposure": exposure_document(self.exposure),
            "looks": None if self.looks is None else list(self.looks),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an A/B test is read by: its plan's experiment, its alpha, the canary's share, a unit's window."""

    experiment: Experiment
    alpha: float
    share: float
    window_s: int


def named_metrics(experiment: Experiment) -> tuple[str, ...]:
    """Name all that an A/B test compares, the primary metric first."""
    rates = (experiment.primary, *experiment.metrics)
    return (*(metric.value for metric in rates), *(amount.value for amount in experiment.amounts))


def read(terms: Terms, strata: Mapping[str, Sequence[Stratum]], counts: Mapping[str, int]) -> Reading:
    """Read an A/B test from its blocks; `counts` are units exposed so far, by arm.

    A metric without strata (no scores arrive, no price is known) waits for its units.
    """
    experiment = terms.experiment
    exposure = check_exposure(counts, {Arm.CANARY.value: terms.share, Arm.STABLE.value: 1 - terms.share})
    rates = {metric.value for metric in experiment.metrics}
    others = tuple(
        compared(name, found, difference(found, terms.alpha, rate=name in rates))
        for name in named_metrics(experiment)[1:]
        for found in [strata.get(name, ())]
    )
    primary, finding, because, looks = _primary(terms, strata.get(experiment.primary.value, ()))
    if not strata and (n_open := sum(counts.values())):
        because = (
            f"a unit counts once the {terms.window_s} s after its first call are over; {n_open:,} wait so"
        )
    if exposure.broken:
        finding, because = Finding.INCONCLUSIVE, "the arms got other shares of the units than planned"
    return Reading(
        finding=finding, because=because, primary=primary, others=others, exposure=exposure, looks=looks
    )


def stratum_of(canary: Histogram, stable: Histogram) -> Stratum:
    """Give the moments of a block's scores, as shares of 1."""
    return Stratum(control=_moments(stable), treatment=_moments(canary))


def _moments(histogram: Histogram) -> Moments:
    pairs = histogram.counts
    return Moments(
        sum(n for _, n in pairs),
        sum(score * n for score, n in pairs) / LEVELS,
        sum(score * score * n for score, n in pairs) / LEVELS**2,
    )


def _primary(
    terms: Terms, strata: Sequence[Stratum]
) -> tuple[Compared, Finding, str, tuple[int, int] | None]:
    experiment, name = terms.experiment, terms.experiment.primary.value
    found = difference(strata, terms.alpha, rate=True)
    its = compared(name, strata, found)
    if experiment.mode is Mode.PLANNED and experiment.units is not None:
        plan = GroupPlan(units=experiment.units, looks=experiment.looks, alpha=terms.alpha, rate=True)
        return _planned(its, planned_verdict(strata, plan), experiment)
    if found.waits_for is not None:
        return its, Finding.INCONCLUSIVE, f"it waits for {found.waits_for}", None
    finding = _finding(found.low, found.high, experiment.margin)
    return its, finding, _because(finding, experiment.margin), None


def _planned(
    its: Compared, verdict: PlannedVerdict, experiment: Experiment
) -> tuple[Compared, Finding, str, tuple[int, int]]:
    """Read a planned test at its last look: between looks its figures stay as they were."""
    looks = (verdict.looks[-1].number if verdict.looks else 0, experiment.looks)
    if not verdict.looks:
        unseen = Compared(
            metric=its.metric,
            canary=None,
            stable=None,
            estimate=0.0,
            low=None,
            high=None,
            n_canary=its.n_canary,
            n_stable=its.n_stable,
            waits_for="the first planned look",
        )
        return unseen, Finding.INCONCLUSIVE, "it waits for the first planned look", looks
    last = verdict.looks[-1]
    seen = Compared(
        metric=its.metric,
        canary=its.canary,
        stable=its.stable,
        estimate=last.estimate,
        low=last.low,
        high=last.high,
        n_canary=last.n_treatment,
        n_stable=last.n_control,
        waits_for=None if verdict.ended else f"look {last.number + 1} of {experiment.looks}",
    )
    if verdict.direction:
        finding = Finding.STABLE_BETTER if verdict.direction > 0 else Finding.CANARY_BETTER
        return seen, finding, _because(finding, experiment.margin), looks
    if not verdict.ended:
        return seen, Finding.INCONCLUSIVE, f"it waits for {seen.waits_for}", looks
    if -experiment.margin < last.low and last.high < experiment.margin:
        return seen, Finding.NO_DIFFERENCE, _because(Finding.NO_DIFFERENCE, experiment.margin), looks
    return seen, Finding.INCONCLUSIVE, "the planned units are used up and nothing was found", looks


def _finding(low: float, high: float, margin: float) -> Finding:
    if high < 0:
        return Finding.CANARY_BETTER
    if low > 0:
        return Finding.STABLE_BETTER
    return Finding.NO_DIFFERENCE if -margin < low and high < margin else Finding.INCONCLUSIVE


def _because(finding: Finding, margin: float) -> str:
    return {
        Finding.CANARY_BETTER: "the whole interval lies below 0",
        Finding.STABLE_BETTER: "the whole interval lies above 0",
        Finding.NO_DIFFERENCE: f"the whole interval lies within {margin:g} of 0",
        Finding.INCONCLUSIVE: f"the interval holds 0 and more than {margin:g}",
    }[finding]


def compared(name: str, strata: Sequence[Stratum], found: Difference) -> Compared:
    """Put a metric's means in both arms beside their difference."""
    return Compared(
        metric=name,
        canary=_mean([one.treatment for one in strata]),
        stable=_mean([one.control for one in strata]),
        estimate=found.estimate,
        low=_bound(found.low),
        high=_bound(found.high),
        n_canary=found.n_treatment,
        n_stable=found.n_control,
        waits_for=found.waits_for,
    )


def _mean(parts: Sequence[Moments]) -> float | None:
    n = sum(part.n for part in parts)
    return math.fsum(part.total for part in parts) / n if n else None


def _bound(value: float) -> float | None:
    return value if math.isfinite(value) else None


def exposure_document(exposure: Exposure) -> dict[str, Any]:
    """Write a check of exposures."""
    return {
        "ok": not exposure.broken,
        "counts": dict(exposure.counts),
        "expected": {arm: round(n, 1) for arm, n in exposure.expected.items()},
        "e_value": f"{exposure.e_value:.12g}",  # text: JSON has no infinity
    }


def compared_document(one: Compared) -> dict[str, Any]:
    """Write one metric in both arms."""
    return {
        "metric": one.metric,
        "canary": one.canary,
        "stable": one.stable,
        "estimate": one.estimate,
        "low": one.low,
        "high": one.high,
        "n_canary": one.n_canary,
        "n_stable": one.n_stable,
        "waits_for": one.waits_for,
    }
