"""The product's e-process over many runs at once, in logarithms of floats instead of decimals.

`assent.monitoring.domain.eprocess` is the authority: a test holds both equal to 1e-9 on the same blocks, and
every simulation sends some of its runs through the product itself (`through_product`).
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from assent.monitoring.domain import eprocess
from assent.monitoring.domain.scores import LEVELS, Block, Histogram, tally

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
LIFTS = np.array([float(lift) for lift in eprocess.LIFTS])[:, None]
CEILING = float(eprocess.CEILING)
NONE = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Arm:
    """One arm in one block of every run.

    n: units, (runs,). whole: units that score 1, (runs,).
    run, level: the units that score between 0 and 1 (1/256 to 255/256), one entry each.
    """

    n: Ints
    whole: Ints
    run: Ints = field(default_factory=lambda: NONE)
    level: Ints = field(default_factory=lambda: NONE)

    def badness(self) -> Ints:
        """Give the sum of scores in 1/256, (runs,)."""
        between = np.bincount(self.run, weights=self.level, minlength=len(self.n)).astype(np.int64)
        return LEVELS * self.whole + between

    def histogram(self, run: int) -> Histogram:
        """Give one run's scores as the product keeps them."""
        levels = self.level[self.run == run].tolist()
        whole = int(self.whole[run])
        zero = int(self.n[run]) - whole - len(levels)
        return tally([(0, zero), (LEVELS, whole), *((level, 1) for level in levels)])


class Runs:
    """The state of many runs: logarithms of the factors, (lifts, runs), and past stable units, (runs,)."""

    def __init__(self, n_runs: int) -> None:
        """Begin all of them."""
        self.factors: Floats = np.zeros((len(LIFTS), n_runs))
        self.n_stable: Ints = np.zeros(n_runs, np.int64)
        self.stable_badness: Ints = np.zeros(n_runs, np.int64)

    def log_e(self, run: int | slice | Ints = slice(None)) -> Floats:
        """Give log E of these runs."""
        factors = self.factors[:, run]
        top = factors.max(axis=0)
        return np.asarray(top + np.log(np.exp(factors - top).mean(axis=0)))

    def reached(self, log_limit: float) -> npt.NDArray[np.bool_]:
        """Tell which runs have log E of at least this; the mean is never above the largest factor."""
        reached = self.factors.max(axis=0) >= log_limit
        reached[reached] = self.log_e(np.flatnonzero(reached)) >= log_limit
        return reached

    def advance(self, canary: Arm, stable: Arm) -> None:
        """Take one more block of every run in."""
        past = eprocess.PRIOR_BADNESS + self.stable_badness
        rate = past / (LEVELS * (eprocess.PRIOR_UNITS + self.n_stable))
        lifted = np.maximum(rate, np.minimum(LIFTS * rate, CEILING))
        null = (canary.n * lifted + stable.n * rate) / np.maximum(canary.n + stable.n, 1)
        compared = (canary.n > 0) & (stable.n > 0) & (lifted != rate)
        null = np.where(compared, null, rate)
        ratio = _log_ratio(canary, lifted, null) + _log_ratio(stable, rate, null)
        self.factors += np.where(compared, ratio, 0.0)
        self.n_stable = self.n_stable + stable.n
        self.stable_badness = self.stable_badness + stable.badness()


def _log_ratio(arm: Arm, rate: Floats, null: Floats) -> Floats:
    bad, good = rate / null, (1 - rate) / (1 - null)
    zero = arm.n - arm.whole - np.bincount(arm.run, minlength=len(arm.n))
    total = arm.whole * np.log(bad) + zero * np.log(good)
    if len(arm.run):
        y = arm.level / LEVELS
        mixed = np.log(y * bad[:, arm.run] + (1 - y) * good[:, arm.run])
        total += [np.bincount(arm.run, weights=of_lift, minlength=len(arm.n)) for of_lift in mixed]
    return np.asarray(total)


class Product:
    """One of the runs through the product's own code, block by block."""

    def __init__(self, run: int) -> None:
        """Follow run number `run`."""
        self.run = run
        self.process = eprocess.Process()

    def advance(self, canary: Arm, stable: Arm) -> float:
        """Take the same block in; give log E."""
        block = Block(canary.histogram(self.run), stable.histogram(self.run))
        self.process = eprocess.advance(self.process, block)
        return float(eprocess.ARITHMETIC.ln(self.process.e_value))
