"""The gate: what was required beforehand, and the verdict on what was measured.

Non-inferiority passes iff the lower bound of (candidate - baseline) is above -margin, fails iff the upper
bound is below -margin, and is inconclusive in between; then it says how many more cases would decide.
Source: Miller 2024, arXiv 2411.00640, app. A; Tango 1998 for metrics that are right or wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from assent.evaluation.domain.paired import Floats, Mean, mean
from assent.evaluation.domain.proportions import Discordant, Interval, mcnemar, share_interval, tango
from assent.evaluation.domain.quantiles import student_quantile

MIN_CLUSTERS = 30
"""Below, a t interval over scores that are not binary is not trusted to decide."""
MAX_SAMPLES = 10_000_000
"""Where more would be needed than this, the answer is "no practical number"."""


class Verdict(StrEnum):
    """What a gate says; never more certain than the data."""

    PASS = "pass"  # noqa: S105 -- a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Rule(StrEnum):
    """What a gate asks."""

    NON_INFERIOR = "non_inferior"
    SUPERIOR = "superior"
    THRESHOLD = "threshold"
    MAX_GAP = "max_gap"


class Direction(StrEnum):
    """Which way is better."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class Gate:
    """A requirement, fixed before the run. `limit`: the margin (≥ 0), the threshold or the gap.

    `alpha` is one-sided.

    `early`: a run may stop as soon as the gate is decided, by an interval that holds at every look.
    """

    metric: str
    rule: Rule
    direction: Direction
    limit: float
    alpha: float
    baseline: str
    early: bool = False

    @property
    def compares(self) -> bool:
        """Whether a baseline is asked beside the candidate."""
        return self.rule in {Rule.NON_INFERIOR, Rule.SUPERIOR}

    @property
    def sign(self) -> int:
        """+1 where higher is better, -1 where lower is."""
        return 1 if self.direction is Direction.HIGHER else -1

    @property
    def bar(self) -> float:
        """What the oriented estimate must exceed."""
        if self.rule is Rule.THRESHOLD:
            return self.sign * self.limit
        return -self.limit if self.rule is Rule.NON_INFERIOR else 0.0


@dataclass(frozen=True, slots=True)
class Sample:
    """Scores of one metric, one per case, repeats averaged: with a baseline's beside it, pairs.

    `binary`: right or wrong, and so is each average, since all repeats of a case agree. Treating averages
    that are all 0 or 1 as single answers claims no more than they show: n averages that are all 1 have a
    probability of at most mean^n, and no spread in [0, 1] is larger than that of 0 and 1.
    """

    candidate: Floats
    baseline: Floats | None
    clusters: Sequence[str] | None
    binary: bool


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict with its figures: estimate (difference or mean) and interval with `alpha` in each tail."""

    verdict: Verdict
    estimate: float | None
    interval: Interval | None
    n: int
    method: str
    reasons: tuple[str, ...] = ()
    more_samples: int | None = None
    p_value: float | None = None


def judge(gate: Gate, sample: Sample) -> Judgement:
    """Decide the gate by the method that fits the metric."""
    if len(sample.candidate) == 0:
        return Judgement(Verdict.INCONCLUSIVE, None, None, 0, "none", ("no case has a score",))
    if gate.rule is Rule.THRESHOLD:
        return _judge_level(gate, sample)
    if sample.baseline is None:
        return Judgement(
            Verdict.INCONCLUSIVE,
            None,
            None,
            len(sample.candidate),
            "none",
            ("there is no baseline to compare with",),
        )
    if sample.binary and sample.clusters is None:
        return _judge_pairs(gate, sample.candidate, sample.baseline)
    return _judge_mean(gate, mean(sample.candidate - sample.baseline, sample.clusters))


def _judge_pairs(gate: Gate, candidate: Floats, baseline: Floats) -> Judgement:
    gained = int(np.sum(candidate > baseline))
    lost = int(np.sum(candidate < baseline))
    n = len(candidate)
    pairs = Discordant(gained, lost, n)

    def at(size: int) -> Interval:
        scale = size / n
        return tango(Discordant(gained * scale, lost * scale, size), gate.alpha)

    return _decide(gate, pairs.difference, n, at, ("tango", mcnemar(gained, lost)))


def _judge_level(gate: Gate, sample: Sample) -> Judgement:
    if not (sample.binary and sample.clusters is None):
        return _judge_mean(gate, mean(sample.candidate, sample.clusters))
    k, n = float(np.sum(sample.candidate)), len(sample.candidate)

    def at(size: int) -> Interval:
        return share_interval(k * size / n, size, gate.alpha)

    return _decide(gate, k / n, n, at, ("wilson", None))


def _judge_mean(gate: Gate, estimate: Mean) -> Judgement:
    n, n_clusters = estimate.n, estimate.n_clusters
    if n_clusters < MIN_CLUSTERS or not estimate.knows_its_error:
        reason = (
            f"{n_clusters} independent cases or clusters; a mean is judged from {MIN_CLUSTERS} on"
            if n_clusters < MIN_CLUSTERS
            else f"all {'differences' if gate.compares else 'scores'} are equal, so their spread is not known"
        )
        more = -(-(MIN_CLUSTERS - n_clusters) * n // n_clusters) if n_clusters < MIN_CLUSTERS else None
        interval = estimate.interval(gate.alpha)
        return Judgement(
            Verdict.INCONCLUSIVE, estimate.value, interval, n, "student", (reason,), more_samples=more
        )

    def at(size: int) -> Interval:
        scale = size / n
        df = max(1.0, n_clusters * scale - 1)
        half = -student_quantile(gate.alpha, df) * (estimate.se or 0.0) / scale**0.5
        return Interval(estimate.value - half, estimate.value + half)

    return _decide(gate, estimate.value, n, at, ("student", None))


def _decide(
    gate: Gate, estimate: float, n: int, at: Callable[[int], Interval], method: tuple[str, float | None]
) -> Judgement:
    interval = at(n)
    verdict = verdict_of(gate, interval)
    name, p_value = method
    if verdict is not Verdict.INCONCLUSIVE:
        return Judgement(verdict, estimate, interval, n, name, p_value=p_value)
    more = more_samples(n, lambda size: verdict_of(gate, at(size)) is not Verdict.INCONCLUSIVE)
    reason = "the interval holds the limit, so the data fit a pass as well as a fail"
    return Judgement(verdict, estimate, interval, n, name, (reason,), more, p_value)


def verdict_of(gate: Gate, interval: Interval) -> Verdict:
    """Say what an interval of the estimate makes of the gate."""
    oriented = interval if gate.sign > 0 else interval.mirrored()
    # A threshold reads "at least" (or "at most"); a margin must be excluded strictly.
    if oriented.low > gate.bar or (gate.rule is Rule.THRESHOLD and oriented.low == gate.bar):
        return Verdict.PASS
    return Verdict.FAIL if oriented.high < gate.bar else Verdict.INCONCLUSIVE


def more_samples(n: int, decides: Callable[[int], bool]) -> int | None:
    """Find how many more cases would decide if the estimate stayed as it is; None: no practical number."""
    low, high = n, n
    while not decides(high):
        if high >= MAX_SAMPLES:
            return None
        low, high = high, min(high * 2, MAX_SAMPLES)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high - n
