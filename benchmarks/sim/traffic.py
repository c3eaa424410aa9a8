"""Traffic of made-up rollouts: calls and units of two arms, minute by minute, in many runs.

Both versions fail with the same chance unless a cell says otherwise. Arrivals are Poisson.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from assent.monitoring.domain.scores import LEVELS
from benchmarks.sim.process import Arm, Floats, Ints

MINUTES = 24 * 60
WINDOW = 10
"""Minutes of a unit's score window, as in the product's default plan."""
CALLS = 30
SAMENESS = 0.2
"""Intra-class correlation of a sticky user's calls."""


@dataclass(frozen=True)
class Counts:
    """Calls of one arm: how many and how many bad ones, (runs, minutes)."""

    n: Ints
    bad: Ints


@dataclass(frozen=True)
class Traffic:
    """What many runs saw. `baseline` is a third arm as large as the canary, with the stable version.

    `blocks` gives the units whose window closes in each minute; the window shifts all of them alike.
    """

    canary: Counts
    stable: Counts
    baseline: Counts
    blocks: Callable[[], Iterator[tuple[Arm, Arm]]]
    units_are_calls: bool


@dataclass(frozen=True)
class Shape:
    """How a rollout goes over its minutes: share of the canary, chance of failing in each arm, (minutes,)."""

    share: Floats
    stable_rate: Floats
    canary_rate: Floats


def even(rate: float, harm: float | None = None, share: float = 0.05) -> Shape:
    """Hold all as it is; `harm` is the canary's rate where it differs."""
    flat = np.full(MINUTES, rate)
    return Shape(np.full(MINUTES, share), flat, flat if harm is None else np.full(MINUTES, harm))


def ramp(rate: float) -> Shape:
    """Grow the share 1, 2, 5, 10, 25, 50 % while both arms drift from `rate` to three times that."""
    share = np.repeat([0.01, 0.02, 0.05, 0.1, 0.25, 0.5], MINUTES // 6)
    drift = rate * np.linspace(1, 3, MINUTES)
    return Shape(share, drift, drift)


def outage(rate: float) -> Shape:
    """Let half of all calls of both arms fail for a quarter of an hour, after six hours."""
    rates = np.full(MINUTES, rate)
    rates[360:375] = 0.5
    return Shape(np.full(MINUTES, 0.05), rates, rates)


def single_calls(rng: np.random.Generator, n_runs: int, per_minute: float, shape: Shape) -> Traffic:
    """Draw units that make one call each."""

    def arm(share: Floats, rate: Floats) -> Counts:
        n = rng.poisson(per_minute * share, (n_runs, len(share)))
        return Counts(n, rng.binomial(n, rate))

    canary = arm(shape.share, shape.canary_rate)
    stable = arm(1 - shape.share, shape.stable_rate)
    baseline = arm(shape.share, shape.stable_rate)

    def blocks() -> Iterator[tuple[Arm, Arm]]:
        for minute in range(len(shape.share)):
            yield (
                Arm(canary.n[:, minute], canary.bad[:, minute]),
                Arm(stable.n[:, minute], stable.bad[:, minute]),
            )

    return Traffic(canary, stable, baseline, blocks, units_are_calls=True)


@dataclass(frozen=True)
class _Users:
    """Sticky users of one arm: first seen in which run and minute; those with a bad call in detail."""

    n: Ints  # (runs, minutes)
    run: Ints
    minute: Ints
    level: Ints  # the unit's score in 1/256, possibly 0
    calls: Counts


def sticky_users(
    rng: np.random.Generator, n_runs: int, per_minute: float, rate: float, spread: int
) -> Traffic:
    """Draw users with `CALLS` calls each over `spread` minutes; each user has a failure rate of its own."""
    canary, stable, baseline = (
        _users(rng, (n_runs, MINUTES), per_minute * share / CALLS, rate, spread)
        for share in (0.05, 0.95, 0.05)
    )

    def blocks() -> Iterator[tuple[Arm, Arm]]:
        yield from zip(_arms(canary), _arms(stable), strict=True)

    return Traffic(canary.calls, stable.calls, baseline.calls, blocks, units_are_calls=False)


def _users(
    rng: np.random.Generator, size: tuple[int, int], arrivals: float, rate: float, spread: int
) -> _Users:
    n = rng.poisson(arrivals, size)
    chances = bad_calls(rate)
    with_bad = rng.binomial(n, 1 - chances[0])
    run, minute = (np.repeat(index.ravel(), with_bad.ravel()) for index in np.indices(size))
    later = np.cumsum(chances[1:] / (1 - chances[0]))
    n_bad = 1 + np.minimum(np.searchsorted(later, rng.random(len(run))), CALLS - 1)
    in_window = 1 + rng.binomial(CALLS - 1, min(1.0, WINDOW / spread), len(run))
    bad_in_window = rng.hypergeometric(n_bad, CALLS - n_bad, in_window)
    level = (bad_in_window / in_window * LEVELS + 0.5).astype(np.int64)
    bad = _scatter(rng, size, (run, minute), bad_in_window, (0, min(WINDOW, spread)))
    bad += _scatter(rng, size, (run, minute), n_bad - bad_in_window, (WINDOW, max(WINDOW, spread)))
    order = np.argsort(minute, kind="stable")
    calls = Counts(np.maximum(_calls(n, spread), bad), bad)
    return _Users(n, run[order], minute[order], level[order], calls)


def bad_calls(rate: float) -> Floats:
    """Give the chances of 0..CALLS bad calls of one user: a Beta mixture of binomials."""
    a, b = rate * (1 / SAMENESS - 1), (1 - rate) * (1 / SAMENESS - 1)
    chances = [1.0]
    for k in range(CALLS):  # ratio of successive terms
        chances.append(chances[-1] * (CALLS - k) / (k + 1) * (a + k) / (b + CALLS - k - 1))
    return np.asarray(chances) / sum(chances)


def _scatter(
    rng: np.random.Generator,
    size: tuple[int, int],
    user: tuple[Ints, Ints],
    n: Ints,
    between: tuple[int, int],
) -> Ints:
    """Count bad calls by minute: `n` of each user, evenly between two minutes after its first call."""
    run, minute = (np.repeat(index, n) for index in user)
    at = minute + rng.uniform(*between, len(minute)).astype(np.int64)
    kept = at < size[1]
    counts = np.bincount(run[kept] * size[1] + at[kept], minlength=size[0] * size[1])
    return np.asarray(counts.reshape(size))


def _calls(n: Ints, spread: int) -> Ints:
    """Give all calls by minute: each user's are spread evenly."""
    total = np.cumsum(n, axis=1)
    gone = np.zeros_like(total)
    gone[:, spread:] = total[:, :-spread]
    return np.rint((total - gone) * CALLS / spread).astype(np.int64)


def _arms(users: _Users) -> Iterator[Arm]:
    n_runs, minutes = users.n.shape
    ends = np.searchsorted(users.minute, np.arange(minutes + 1))
    for minute in range(minutes):
        here = slice(ends[minute], ends[minute + 1])
        run, level = users.run[here], users.level[here]
        between = (level > 0) & (level < LEVELS)
        whole = np.bincount(run[level == LEVELS], minlength=n_runs)
        yield Arm(users.n[:, minute], whole, run[between], level[between])
