"""What calls add up to: sums and histograms that merge, and the figures with intervals that follow."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from assent.monitoring.domain.intervals import Interval, mean_interval, rate_interval
from assent.monitoring.domain.latency import quantile
from assent.monitoring.domain.quantiles import bucket_interval
from assent.providers.domain.prices import MILLION, Price, plain

ALPHA = 0.05
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
ENOUGH_FOR_MEANS = 100
"""Below so many calls the sequence of a mean, which holds in the limit, promises too much."""

Counts = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums by name and histograms by kind."""

    sums: Mapping[str, float] = field(default_factory=dict)
    histograms: Mapping[int, Counts] = field(default_factory=dict)

    def of(self, name: str) -> float:
        """Give a sum."""
        return self.sums.get(name, 0)


def merge(tallies: Iterable[Tally]) -> Tally:
    """Add tallies up; histograms merge bucket by bucket, so quantiles are those of all calls together."""
    sums: dict[str, float] = {}
    histograms: dict[int, dict[int, int]] = {}
    for one in tallies:
        for name, value in one.sums.items():
            sums[name] = sums.get(name, 0) + value
        for kind, counts in one.histograms.items():
            into = histograms.setdefault(kind, {})
            for bucket, n in counts.items():
                into[bucket] = into.get(bucket, 0) + n
    return Tally(sums, histograms)


def rate(badness: float, n: float) -> dict[str, Any]:
    """Give a rate with the interval that holds at every look."""
    n = int(n)
    interval = rate_interval(float(badness), n, ALPHA)
    return {"n": n, "rate": float(badness) / n if n else None, "interval": written(interval)}


def written(interval: Interval) -> dict[str, Any]:
    """Write an interval."""
    return {"low": interval.low, "high": interval.high, "method": interval.method}


def quantiles(counts: Counts) -> dict[str, float | None]:
    """Give p50, p95 and p99."""
    return {name: quantile(counts, share) for name, share in QUANTILES.items()}


def quantile_intervals(counts: Counts) -> dict[str, dict[str, Any]]:
    """Give the intervals of p50, p95 and p99; an open end is None."""
    return {name: _open(bucket_interval(counts, share, ALPHA)) for name, share in QUANTILES.items()}


def _open(interval: Interval) -> dict[str, Any]:
    return {**written(interval), "high": interval.high if math.isfinite(interval.high) else None}


def per_call(total: float, squares: float, n: float) -> dict[str, Any]:
    """Give a mean per call, with its interval where there are calls enough for one."""
    n = int(n)
    if not n:
        return {"n": 0, "mean": None, "low": None, "high": None, "method": "none"}
    mean = total / n
    if n < ENOUGH_FOR_MEANS:
        return {"n": n, "mean": mean, "low": None, "high": None, "method": f"none below {ENOUGH_FOR_MEANS}"}
    deviation = math.sqrt(max(0.0, squares / n - mean * mean))
    interval = mean_interval(mean, deviation, n, ALPHA)
    return {
        "n": n,
        "mean": mean,
        "low": max(0.0, interval.low),
        "high": interval.high,
        "method": interval.method,
    }


def cost(tally: Tally, price: Price | None) -> dict[str, Any] | None:
    """Give what the calls cost at a price; None where nobody said what tokens cost, which is not 0."""
    if price is None:
        return None
    total = price.cost(tally.of("tokens_in"), tally.of("tokens_out"))
    into, out = float(price.input / MILLION), float(price.output / MILLION)
    squares = (
        into * into * tally.of("in_in")
        + 2 * into * out * tally.of("in_out")
        + out * out * tally.of("out_out")
    )
    return {
        "currency": price.currency,
        "total": float(total),
        "per_call": per_call(float(total), squares, tally.of("n_counted")),
        "n_unknown": int(tally.of("n_calls") - tally.of("n_counted")),
        "price": {
            "model": price.model,
            "input": plain(price.input),
            "output": plain(price.output),
            "as_of": price.as_of.isoformat(),
            "source": price.source,
            "is_override": price.is_override,
        },
    }
