"""Several claims at once: slices of a run by tag, and two runs beside each other."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assent.evaluation.domain.cases import CaseRecord, Side
from assent.evaluation.domain.dataset import Row
from assent.evaluation.domain.figures import figure
from assent.evaluation.domain.paired import Floats, mean
from assent.evaluation.domain.proportions import Discordant, Interval, mcnemar, share_interval, tango
from assent.evaluation.domain.quantiles import student_tail

_TAIL = 0.025
MAX_SLICES = 100
Scores = Mapping[str, float]
"""The score of each sample of one side, repeats averaged, by sample key."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """A mean, or a difference of means with its two-sided p-value, with the two-sided 95 % interval."""

    name: str
    value: float
    interval: Interval | None
    n: int
    p_value: float | None = None
    adjusted: float | None = None

    def to_document(self) -> dict[str, Any]:
        """Write it with decimal text."""
        return {
            "name": self.name,
            "value": figure(self.value),
            "low": figure(self.interval.low if self.interval else None),
            "high": figure(self.interval.high if self.interval else None),
            "n": self.n,
            "p_value": figure(self.p_value),
            "adjusted": figure(self.adjusted),
        }


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values of several claims so that none is made wrongly more often than alpha, in all.

    Source: Holm 1979, Scandinavian Journal of Statistics 6, pp. 65-70.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def scores_of(records: Iterable[CaseRecord], side: Side, metric: str) -> dict[str, float]:
    """Average the repeats of each sample that has a score."""
    found: dict[str, list[float]] = {}
    for record in records:
        value = record.score(metric) if record.side == side else None
        if value is not None:
            found.setdefault(record.sample, []).append(value)
    return {sample: sum(values) / len(values) for sample, values in found.items()}


def contrast(name: str, candidate: Scores, baseline: Scores | None) -> Contrast | None:
    """Estimate a mean, or the difference on the samples that both have; None where there is none."""
    if baseline is None:
        values = np.array(list(candidate.values()))
        return _level(name, values) if len(values) else None
    both = [sample for sample in candidate if sample in baseline]
    if not both:
        return None
    a, b = (np.array([side[sample] for sample in both]) for side in (candidate, baseline))
    if is_binary(a) and is_binary(b):
        gained, lost = int(np.sum(a > b)), int(np.sum(a < b))
        pairs = Discordant(gained, lost, len(both))
        return Contrast(name, pairs.difference, tango(pairs, _TAIL), len(both), p_value=mcnemar(gained, lost))
    estimate = mean(a - b)
    p_value = None
    if estimate.se:
        p_value = min(1.0, 2 * student_tail(abs(estimate.value) / estimate.se, estimate.n - 1))
    return Contrast(name, estimate.value, estimate.interval(_TAIL), estimate.n, p_value=p_value)


def _level(name: str, values: Floats) -> Contrast:
    if is_binary(values):
        interval = share_interval(float(np.sum(values)), len(values), _TAIL)
        return Contrast(name, float(np.mean(values)), interval, len(values))
    estimate = mean(values)
    return Contrast(name, estimate.value, estimate.interval(_TAIL), estimate.n)


def is_binary(values: Floats) -> bool:
    """Whether all are 0 or 1."""
    return bool(np.all((values == 0) | (values == 1)))


def slices(
    rows: Sequence[Row], records: Sequence[CaseRecord], metric: str, *, paired: bool
) -> list[Contrast]:
    """Estimate the metric for each tag of the rows, adjusted by Holm; with a baseline its difference."""
    candidate = scores_of(records, "candidate", metric)
    baseline = scores_of(records, "baseline", metric) if paired else None
    tags = sorted({tag for row in rows for tag in row.tags})[:MAX_SLICES]
    found = []
    for tag in tags:
        keys = [row.key for row in rows if tag in row.tags]
        mine = {key: candidate[key] for key in keys if key in candidate}
        theirs = None if baseline is None else {key: baseline[key] for key in keys if key in baseline}
        one = contrast(tag, mine, theirs)
        if one is not None:
            found.append(one)
    return with_holm(found)


def with_holm(found: Sequence[Contrast]) -> list[Contrast]:
    """Adjust the p-values of contrasts that are claimed together."""
    tested = [one for one in found if one.p_value is not None]
    adjusted = dict(
        zip((one.name for one in tested), holm([one.p_value or 0.0 for one in tested]), strict=True)
    )
    return [
        Contrast(one.name, one.value, one.interval, one.n, one.p_value, adjusted.get(one.name))
        for one in found
    ]
