"""What is simulated, and what each judge makes of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from assent.monitoring.domain.intervals import wilson
from assent.monitoring.domain.verdict import threshold
from benchmarks.sim.others import fixed_threshold, mann_whitney, peeking_z
from benchmarks.sim.process import Arm, Product, Runs
from benchmarks.sim.traffic import (
    Counts,
    Traffic,
    even,
    outage,
    ramp,
    single_calls,
    sticky_users,
)

ALPHA = 0.05
LOG_LIMIT = math.log(threshold(ALPHA))
CHUNK = 500
JUDGES = ("assent", "over calls", "peeking z", "Mann-Whitney", "fixed 0", "fixed 4")


@dataclass(frozen=True)
class Cell:
    """One setting; `harmless` says whether a rollback is false."""

    name: str
    per_minute: int
    base: float
    draw: Callable[[np.random.Generator, int], Traffic]
    harmless: bool = True


def cells() -> list[Cell]:
    """List every setting of the table."""
    found = []
    for base in (0.005, 0.01):
        for rate in (20, 200, 2000):
            shapes = {
                "no difference": even(base),
                "ramp 1 to 50 %, drift": ramp(base),
                "shared outage": outage(base),
            }
            found += [
                Cell(name, rate, base, partial(single_calls, per_minute=rate, shape=shape))
                for name, shape in shapes.items()
            ]
            found += [
                Cell(
                    f"sticky, 30 calls in {spread} min",
                    rate,
                    base,
                    partial(sticky_users, per_minute=rate, rate=base, spread=spread),
                )
                for spread in (1, 30, 480)
            ]
    for rate in (20, 200, 2000):
        for harm in (0.02, 0.05):
            shape = even(0.01, harm)
            draw = partial(single_calls, per_minute=rate, shape=shape)
            found.append(Cell(f"harm 1 to {harm:.0%}", rate, 0.01, draw, harmless=False))
    return found


@dataclass
class Tally:
    """Runs rolled back, by judge, and how far the product's own code is from the vectors."""

    n: int = 0
    rolled_back: dict[str, int] = field(default_factory=lambda: dict.fromkeys(JUDGES, 0))
    n_product: int = 0
    gap: float = 0.0

    def shares(self) -> dict[str, tuple[float, float, float]]:
        """Give share, low and high (Wilson, 95 %) by judge."""
        found = {}
        for judge, k in self.rolled_back.items():
            interval = wilson(k, self.n, 0.05)
            found[judge] = (k / self.n, interval.low, interval.high)
        return found


def simulate(cell: Cell, seed: tuple[int, int], n_runs: int, n_product: int) -> Tally:
    """Draw the runs of a cell chunk by chunk and put them before every judge."""
    tally = Tally()
    for chunk in range(math.ceil(n_runs / CHUNK)):
        size = min(CHUNK, n_runs - chunk * CHUNK)
        rng = np.random.default_rng(np.random.SeedSequence(seed[0], spawn_key=(seed[1], chunk)))
        traffic = cell.draw(rng, size)
        followed = n_product if chunk == 0 else 0
        ever, gap = _watch(traffic, size, followed)
        verdicts = {
            "assent": ever,
            "over calls": ever if traffic.units_are_calls else _over_calls(traffic, size),
            "peeking z": peeking_z(traffic),
            "Mann-Whitney": mann_whitney(traffic),
            "fixed 0": fixed_threshold(traffic, 2 * cell.base, 0),
            "fixed 4": fixed_threshold(traffic, 2 * cell.base, 4),
        }
        for judge, rolled_back in verdicts.items():
            tally.rolled_back[judge] += int(rolled_back.sum())
        tally.n += size
        tally.n_product += followed
        tally.gap = max(tally.gap, gap)
    return tally


def _watch(traffic: Traffic, n_runs: int, n_product: int) -> tuple[np.ndarray, float]:
    """Look after every block; give which runs were ever rolled back, and the largest gap in log E."""
    runs = Runs(n_runs)
    ever = np.zeros(n_runs, bool)
    products = [Product(run) for run in range(min(n_product, n_runs))]
    gap = 0.0
    for canary, stable in traffic.blocks():
        runs.advance(canary, stable)
        ever |= runs.reached(LOG_LIMIT)
        for product in products:
            gap = max(gap, abs(product.advance(canary, stable) - float(runs.log_e(product.run))))
    return ever, gap


def _over_calls(traffic: Traffic, n_runs: int) -> np.ndarray:
    """Judge by the same process with every call as a unit: what one score a unit is there to avoid."""
    runs = Runs(n_runs)
    ever = np.zeros(n_runs, bool)
    for minute in range(traffic.canary.n.shape[1]):
        runs.advance(_as_arm(traffic.canary, minute), _as_arm(traffic.stable, minute))
        ever |= runs.reached(LOG_LIMIT)
    return ever


def _as_arm(counts: Counts, minute: int) -> Arm:
    return Arm(counts.n[:, minute], counts.bad[:, minute])


@dataclass(frozen=True)
class Delay:
    """How many canary units pass until a harm is found."""

    usual: float
    harmful: float
    per_minute: int
    bound: float  # of any test that compares the same two arms
    one_arm_bound: float  # of any test that knows the stable rate
    mean: float
    p95: float
    found: float

    @property
    def ratio(self) -> float:
        """Give the mean delay over the bound of the same comparison."""
        return self.mean / self.bound


DELAYS = (
    (0.01, 0.0125, 2000),
    (0.01, 0.015, 2000),
    (0.01, 0.02, 200),
    (0.01, 0.05, 20),
    (0.005, 0.01, 200),
    (0.005, 0.025, 20),
)


def divergence(p: float, q: float) -> float:
    """Give KL(Bernoulli(p) ‖ Bernoulli(q)) in nats."""
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


def delay(usual: float, harmful: float, per_minute: int, seed: tuple[int, int], n_runs: int) -> Delay:
    """Simulate units of one call, 19 stable ones to one of the canary, until every run has found the harm."""
    rng = np.random.default_rng(np.random.SeedSequence(seed[0], spawn_key=(seed[1], 0)))
    pooled = (harmful + 19 * usual) / 20
    bound = math.log(1 / ALPHA) / (divergence(harmful, pooled) + 19 * divergence(usual, pooled))
    runs = Runs(n_runs)
    units, found = np.zeros(n_runs), np.zeros(n_runs, bool)
    blocks = math.ceil(20 * bound / (0.05 * per_minute))
    for _ in range(blocks):
        n_c, n_s = rng.poisson(0.05 * per_minute, n_runs), rng.poisson(0.95 * per_minute, n_runs)
        runs.advance(Arm(n_c, rng.binomial(n_c, harmful)), Arm(n_s, rng.binomial(n_s, usual)))
        units += np.where(found, 0, n_c)
        found |= runs.reached(LOG_LIMIT)
        if found.all():
            break
    return Delay(
        usual,
        harmful,
        per_minute,
        bound,
        math.log(1 / ALPHA) / divergence(harmful, usual),
        float(units.mean()),
        float(np.quantile(units, 0.95)),
        float(found.mean()),
    )
