"""Means of scores with their standard error, clustered where cases belong together; sample sizes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from assent.evaluation.domain.proportions import Interval
from assent.evaluation.domain.quantiles import normal_quantile, student_quantile

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with its standard error; `se` is None where it cannot be known (fewer than two clusters)."""

    value: float
    se: float | None
    n: int
    n_clusters: int

    @property
    def knows_its_error(self) -> bool:
        """Whether the error was estimated and is not zero: zero spread in a sample proves no certainty."""
        return self.se is not None and self.se > 0.0

    def interval(self, tail: float) -> Interval | None:
        """Give the t interval with (clusters - 1) degrees of freedom; None where the error is not known."""
        if self.se is None or self.se <= 0.0:
            return None
        half = -student_quantile(tail, self.n_clusters - 1) * self.se
        return Interval(self.value - half, self.value + half)


def mean(values: Floats, clusters: Sequence[str] | None = None) -> Mean:
    """Estimate the mean of `values` (n_cases,), each its own cluster unless `clusters` says otherwise.

    Source: Miller 2024, arXiv 2411.00640, appendix A (paired differences and clustered standard errors).
    """
    n = len(values)
    centre = float(np.mean(values))
    labels = np.arange(n) if clusters is None else np.unique(np.asarray(clusters), return_inverse=True)[1]
    sums = np.bincount(labels, weights=values - centre)
    n_clusters = len(sums)
    if n_clusters < 2:  # noqa: PLR2004 -- one cluster shows no spread between clusters
        return Mean(centre, None, n, n_clusters)
    se = math.sqrt(float(np.sum(sums**2)) * n_clusters / (n_clusters - 1)) / n
    if se < 1e-12 * max(1.0, abs(centre)):  # equal values leave rounding dust in place of a spread
        se = 0.0
    return Mean(centre, se, n, n_clusters)


@dataclass(frozen=True, slots=True)
class Noise:
    """What makes a difference of means uncertain.

    `between` is the variance of the true difference over cases (ω²); `candidate` and `baseline` are the
    variances of an answer's score around its case's mean (σ²), over as many repeats.
    """

    between: float
    candidate: float = 0.0
    baseline: float = 0.0
    repeats_candidate: int = 1
    repeats_baseline: int = 1

    @property
    def variance(self) -> float:
        """Variance of one case's difference."""
        return self.between + self.candidate / self.repeats_candidate + self.baseline / self.repeats_baseline


def _z_sum(alpha: float, power: float) -> float:
    return normal_quantile(1 - alpha) + normal_quantile(power)


def sample_size(noise: Noise, distance: float, *, alpha: float, power: float = 0.8) -> int:
    """Give the cases needed to tell `distance` with `power`; `alpha` is one-sided (.025 for two-sided .05).

    n = (z_{1-alpha} + z_{power})² · variance / distance². Source: Miller 2024, section 5.
    """
    return math.ceil(_z_sum(alpha, power) ** 2 * noise.variance / distance**2)


def detectable_difference(noise: Noise, n: int, *, alpha: float, power: float = 0.8) -> float:
    """Give the smallest difference that n cases tell with `power`."""
    return _z_sum(alpha, power) * math.sqrt(noise.variance / n)
