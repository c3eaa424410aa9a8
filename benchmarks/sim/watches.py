"""How rarely the watch over what is live alarms while nothing is worse, and how soon it does when it is.

The product's detector over many runs at once, in logarithms of floats; a test holds it to the product's.
"""

import math
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from assent.monitoring.domain.detector import DAY_S
from assent.monitoring.domain.regression import limit_of, reference
from benchmarks.sim.cells import divergence
from benchmarks.sim.process import CEILING, LIFTS, Floats, Ints

BLOCK_S = 60
BLOCKS_A_DAY = DAY_S // BLOCK_S
PROMISED_DAYS = 20
LONGEST_DAYS = 60
USUAL_DAYS = 365
QUIET_DAYS = 2


class Detectors:
    """The detectors of many runs: logarithms of the sums, (lifts, runs)."""

    def __init__(self, n_runs: int, limit: float, block_s: float = BLOCK_S) -> None:
        """Begin all of them."""
        bet = np.maximum(limit, np.minimum(LIFTS * limit, CEILING))
        self._bad, self._good = np.log(bet / limit), np.log((1 - bet) / (1 - limit))
        self._stake = math.log(block_s / DAY_S)
        self.sums: Floats = np.full((len(LIFTS), n_runs), -np.inf)

    def advance(self, n: Ints, bad: Ints) -> None:
        """Take one more block of every run in; units score 0 or 1."""
        ratio = bad * self._bad + (n - bad) * self._good
        self.sums = np.where(n > 0, np.logaddexp(self.sums, self._stake) + ratio, self.sums)

    def log_days(self) -> Floats:
        """Give the logarithm of the evidence in days."""
        top = self.sums.max(axis=0)
        safe = np.where(np.isfinite(top), top, 0.0)
        mean = np.exp(self.sums - safe).mean(axis=0)
        return np.asarray(np.where(mean > 0, safe + np.log(np.where(mean > 0, mean, 1.0)), -np.inf))


@dataclass(frozen=True)
class Quiet:
    """Days until the first alarm, `promised` on average at least; runs end after `LONGEST_DAYS`."""

    name: str
    per_minute: int
    base: float
    runs: int
    promised: int
    mean: float
    error: float  # standard error of the mean
    ended: float  # share of runs that had no alarm to the end


@dataclass(frozen=True)
class Found:
    """Units until a rise is found after quiet days.

    bound: Lorden's (1971) for a promise of as many units, which holds in the limit and for the worst past.
    """

    usual: float
    harmful: float
    per_minute: int
    limit: float
    bound: float
    mean: float
    p95: float
    found: float

    @property
    def ratio(self) -> float:
        """Give the mean delay over the bound."""
        return self.mean / self.bound


QUIET = tuple(
    (name, rate, base)
    for base in (0.005, 0.01)
    for name in ("at the limit", "as the reference")
    for rate in (20, 200, 2000)
)
RISES = ((0.01, 0.015, 2000), (0.01, 0.02, 200), (0.01, 0.05, 20), (0.005, 0.01, 200), (0.005, 0.025, 20))
REFERENCE_UNITS = 20_000


def limit_for(base: float) -> float:
    """Give the limit that a reference of `REFERENCE_UNITS` units leads to."""
    known = reference("simulated", base * REFERENCE_UNITS, REFERENCE_UNITS)
    return float(limit_of(known.high, Decimal(0)))


def quiet(setting: tuple[str, int, float], seed: tuple[int, int], n_runs: int) -> Quiet:
    """Look at every block until each run has alarmed, `LONGEST_DAYS` at most."""
    name, per_minute, base = setting
    rng = np.random.default_rng(np.random.SeedSequence(seed[0], spawn_key=(seed[1], 0)))
    limit = limit_for(base)
    rate = limit if name == "at the limit" else base
    detectors, days = Detectors(n_runs, limit), np.full(n_runs, float(LONGEST_DAYS))
    going = np.ones(n_runs, bool)
    for block in range(LONGEST_DAYS * BLOCKS_A_DAY):
        n = rng.poisson(per_minute, n_runs)
        detectors.advance(n, rng.binomial(n, rate))
        alarmed = going & (detectors.log_days() >= math.log(PROMISED_DAYS))
        days[alarmed] = (block + 1) / BLOCKS_A_DAY
        going &= ~alarmed
        if not going.any():
            break
    error = float(days.std() / math.sqrt(n_runs))
    return Quiet(
        name, per_minute, base, n_runs, PROMISED_DAYS, float(days.mean()), error, float(going.mean())
    )


def rise(usual: float, harmful: float, per_minute: int, seed: tuple[int, int], n_runs: int) -> Found:
    """Let the rate rise after quiet days; count units until it is found."""
    rng = np.random.default_rng(np.random.SeedSequence(seed[0], spawn_key=(seed[1], 0)))
    limit = limit_for(usual)
    detectors = Detectors(n_runs, limit)
    for _ in range(QUIET_DAYS * BLOCKS_A_DAY):
        n = rng.poisson(per_minute, n_runs)
        detectors.advance(n, rng.binomial(n, usual))
    bound = math.log(USUAL_DAYS * BLOCKS_A_DAY * per_minute) / divergence(harmful, limit)
    units, found = np.zeros(n_runs), np.zeros(n_runs, bool)
    for _ in range(math.ceil(20 * bound / per_minute)):
        n = rng.poisson(per_minute, n_runs)
        detectors.advance(n, rng.binomial(n, harmful))
        units += np.where(found, 0, n)
        found |= detectors.log_days() >= math.log(USUAL_DAYS)
        if found.all():
            break
    p95 = float(np.quantile(units, 0.95))
    return Found(usual, harmful, per_minute, limit, bound, float(units.mean()), p95, float(found.mean()))
