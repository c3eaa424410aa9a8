"""Whether a live version has become worse than its reference: several detectors, one promise.

A fold over closed blocks, so it can be computed again to the bit. The weights of the metrics sum to at most
1, so the weighed sum of their detectors keeps the promise: while no metric's mean is above its limit, the
expected time to a detection is at least `arl_days`. After a detection all detectors begin anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, Decimal
from typing import Any

from assent.monitoring.domain.detector import Detector, Run, advance, stake_of
from assent.monitoring.domain.eprocess import ARITHMETIC, CEILING, check_weights
from assent.monitoring.domain.intervals import Interval, rate_interval
from assent.monitoring.domain.scores import LEVELS, Histogram

ALPHA = 0.05
SMALLEST_LIMIT, STEP = Decimal("0.0001"), Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a metric was when the version was accepted: badness per unit, and where that is known from."""

    source: str
    n: int
    rate: float
    low: float
    high: float


def reference(source: str, badness: float, n: int) -> Reference:
    """Make a reference of `n` units whose scores sum to `badness`; its interval holds at every look.

    Raises: ValueError without units.
    """
    if n <= 0:
        raise ValueError("a reference needs units")
    interval = rate_interval(badness, n, ALPHA)
    return Reference(source=source, n=n, rate=badness / n, low=interval.low, high=interval.high)


def limit_of(high: float, margin: Decimal) -> Decimal:
    """Give what a mean may be without being worse: the reference's upper end and the margin, rounded up."""
    limit = (Decimal(str(high)) + margin).quantize(STEP, ROUND_CEILING)
    return min(max(limit, SMALLEST_LIMIT), CEILING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A metric that is watched: the limit of its mean, and its part of the promise."""

    metric: str
    weight: Decimal
    limit: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is promised of whom. Raises: ValueError for weights that would break the promise."""

    metrics: tuple[Watched, ...]
    block_s: float
    arl_days: int

    def __post_init__(self) -> None:
        """Refuse what breaks the promise."""
        check_weights({one.metric: one.weight for one in self.metrics})


@dataclass(frozen=True, slots=True)
class Seen:
    """The state after some blocks; `totals` are units and badness in 1/256 since the watch began."""

    detectors: Mapping[str, Detector] = field(default_factory=dict)
    totals: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    detected: tuple[int, ...] = ()  # the block of the last detection, if there was one


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """The mean of a metric has risen: after which block that was certain, since which, and to how much.

    total: the weighed evidence in days, at least `arl_days`. The interval holds whichever block is named.
    """

    block: int
    metric: str
    total: Decimal
    since: int
    n: int
    rate: float
    interval: Interval


Scores = Mapping[str, Histogram]


def take(seen: Seen, terms: Terms, block: int, scores: Scores) -> tuple[Seen, Decimal, Detection | None]:
    """Take one block in; give the state, the weighed evidence in days, and what was detected.

    A metric that the block lacks (it could not be computed) stays as it was.
    """
    stake = stake_of(terms.block_s)
    detectors, totals = dict(seen.detectors), dict(seen.totals)
    for one in terms.metrics:
        new = scores.get(one.metric, Histogram())
        detectors[one.metric] = advance(detectors.get(one.metric, Detector()), new, one.limit, block, stake)
        n, badness = totals.get(one.metric, (0, 0))
        totals[one.metric] = (n + new.n, badness + new.badness)
    after = replace(seen, detectors=detectors, totals=totals)
    weighed = weigh(after, terms)
    total = sum_of(weighed)
    if total < terms.arl_days:
        return after, total, None
    found = _detection(after, terms, block, total, max(weighed, key=lambda name: weighed[name]))
    return replace(after, detectors={}, detected=(block,)), total, found


def weigh(seen: Seen, terms: Terms) -> dict[str, Decimal]:
    """Give each metric's part of the evidence: weight times days, in the order of the terms."""
    return {
        one.metric: ARITHMETIC.multiply(one.weight, seen.detectors.get(one.metric, Detector()).value)
        for one in terms.metrics
    }


def sum_of(weighed: Mapping[str, Decimal]) -> Decimal:
    """Add parts of the evidence up."""
    total = Decimal(0)
    for part in weighed.values():
        total = ARITHMETIC.add(total, part)
    return total


def _detection(seen: Seen, terms: Terms, block: int, total: Decimal, worst: str) -> Detection:
    run = seen.detectors[worst].best
    return Detection(
        block=block,
        metric=worst,
        total=total,
        since=run.since,
        n=run.n,
        rate=run.badness / LEVELS / run.n,
        interval=since_interval(run, len(terms.metrics)),
    )


def since_interval(run: Run, n_metrics: int) -> Interval:
    """Give the interval of the mean since a block that was chosen by looking at all of them.

    The j-th block's sequence has alpha/(metrics * j(j+1)); these sum to at most alpha, so all of them hold
    together, at every look.
    """
    alpha = ALPHA / (n_metrics * run.rank * (run.rank + 1))
    return rate_interval(run.badness / LEVELS, run.n, alpha)


def is_new(detection: Detection, before: Seen, block_s: float, hold_s: float) -> bool:
    """Tell whether a detection begins something, or shows that what was told goes on."""
    if not before.detected:
        return True
    return (detection.block - before.detected[0]) * block_s > hold_s


def replay(terms: Terms, blocks: Sequence[tuple[int, Scores]]) -> tuple[Seen, list[Detection]]:
    """Compute the state from the first block on, with every detection."""
    seen, found = Seen(), []
    for block, scores in blocks:
        seen, _, detection = take(seen, terms, block, scores)
        found += [detection] if detection else []
    return seen, found


def dump(seen: Seen) -> dict[str, Any]:
    """Write the state as JSON; decimals as strings with all their digits."""
    return {
        "detected": list(seen.detected),
        "totals": {name: list(pair) for name, pair in seen.totals.items()},
        "detectors": {
            name: {
                "n_blocks": one.n_blocks,
                "sums": [str(value) for value in one.sums],
                "runs": [[str(run.value), run.since, run.rank, run.n, run.badness] for run in one.runs],
            }
            for name, one in seen.detectors.items()
        },
    }


def load(document: Mapping[str, Any]) -> Seen:
    """Read what `dump` wrote."""
    return Seen(
        {name: _detector(kept) for name, kept in document["detectors"].items()},
        {name: (n, badness) for name, (n, badness) in document["totals"].items()},
        tuple(document["detected"]),
    )


def _detector(kept: Mapping[str, Any]) -> Detector:
    return Detector(
        tuple(Decimal(value) for value in kept["sums"]),
        tuple(Run(Decimal(value), *counts) for value, *counts in kept["runs"]),
        kept["n_blocks"],
    )
