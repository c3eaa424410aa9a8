"""An A/B test by slices of its units: where a difference might come from. A slice decides nothing.

A unit belongs to the slice of its first call, which its arm cannot have changed. The largest slices are
named, the rest is one; so no more intervals are drawn than dimensions * (NAMED + 1) * metrics, and each
takes that part of the plan's alpha: all of them hold together (Bonferroni over the most that there can be, so
that a slice that appears later widens none), at every look while the same slices have names. The check of
exposures is made in each slice too, at its part of the level: an application that loses units is found by
name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assent.delivery.domain import Experiment
from assent.monitoring.domain.difference import Stratum, difference
from assent.monitoring.domain.experiment import Compared, Terms, compared, named_metrics
from assent.monitoring.domain.exposure import EXPOSURE_ALPHA, Exposure, check_exposure
from assent.monitoring.domain.scores import Arm

DIMENSIONS = ("application", "language")
NAMED = 8
"""So many slices of a dimension are shown by name."""

Counts = Mapping[str, Mapping[str, int]]
"""Units exposed, by value and arm."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The units of some values of a dimension; "" is the value of those whose calls said none."""

    values: tuple[str, ...]
    is_rest: bool
    exposure: Exposure
    metrics: tuple[Compared, ...]


def n_comparisons(experiment: Experiment) -> int:
    """Give the most intervals that a test's slices can show."""
    return len(DIMENSIONS) * (NAMED + 1) * len(named_metrics(experiment))


def grouped(counts: Counts) -> list[tuple[str, ...]]:
    """Group the values of a dimension: the largest alone, then all others together; by units, then name."""
    order = sorted(counts, key=lambda value: (-sum(counts[value].values()), value))
    named, rest = order[:NAMED], order[NAMED:]
    return [(value,) for value in named] + ([tuple(rest)] if rest else [])


def read_slice(
    terms: Terms, values: tuple[str, ...], counts: Counts, strata: Mapping[str, Sequence[Stratum]]
) -> Slice:
    """Compare the arms within the units of some values; `strata` are theirs, by metric."""
    n = n_comparisons(terms.experiment)
    rates = {metric.value for metric in (terms.experiment.primary, *terms.experiment.metrics)}
    found = tuple(
        compared(name, its, difference(its, terms.alpha / n, rate=name in rates))
        for name in named_metrics(terms.experiment)
        for its in [strata.get(name, ())]
    )
    arms = {arm.value: sum(counts[value].get(arm.value, 0) for value in values) for arm in Arm}
    shares = {Arm.CANARY.value: terms.share, Arm.STABLE.value: 1 - terms.share}
    level = EXPOSURE_ALPHA / (len(DIMENSIONS) * (NAMED + 1))
    return Slice(values, len(values) > 1, check_exposure(arms, shares, level), found)
