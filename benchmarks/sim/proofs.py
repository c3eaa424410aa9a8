"""How often "not worse by more than a margin" is proven though the canary is worse by just that."""

import math
from dataclasses import dataclass

import numpy as np

from assent.monitoring.domain import eprocess
from assent.monitoring.domain.scores import LEVELS
from benchmarks.sim.process import Arm, Floats, Ints
from benchmarks.sim.traffic import MINUTES

BISECTIONS = 45
ALPHA = 0.05
SETTINGS = tuple((base, base, rate) for base in (0.005, 0.01) for rate in (20, 200, 2000))
"""Usual rate, margin as large, calls a minute; half of the units are the canary's."""


class Proofs:
    """The product's proof (`monitoring.domain.proof`) over many runs, in floats; units score 0 or 1."""

    def __init__(self, n_runs: int, margin: float) -> None:
        """Begin all of them."""
        self.margin = margin
        self.log_e: Floats = np.zeros(n_runs)
        self.past: Ints = np.zeros((4, n_runs), np.int64)  # canary's units and bad ones, stable's

    def advance(self, canary: Arm, stable: Arm) -> None:
        """Take one more block of every run in."""
        theta_c, theta_s = (
            (eprocess.PRIOR_BADNESS / LEVELS + bad) / (eprocess.PRIOR_UNITS + n)
            for n, bad in (self.past[:2], self.past[2:])
        )
        compared = (canary.n > 0) & (stable.n > 0) & (theta_c - theta_s < self.margin)
        x = self._nearest(canary.n, theta_c, stable.n, theta_s)
        ratio = _log_ratio(canary, theta_c, x + self.margin) + _log_ratio(stable, theta_s, x)
        self.log_e += np.where(compared, ratio, 0.0)
        self.past = self.past + np.stack([canary.n, canary.whole, stable.n, stable.whole])

    def _nearest(self, n_c: Ints, theta_c: Floats, n_s: Ints, theta_s: Floats) -> Floats:
        low, high = np.zeros(len(n_c)), np.full(len(n_c), 1 - self.margin)
        for _ in range(BISECTIONS):
            x = (low + high) / 2
            y = x + self.margin
            above = n_c * (y - theta_c) / (y * (1 - y)) + n_s * (x - theta_s) / (x * (1 - x)) > 0
            low, high = np.where(above, low, x), np.where(above, x, high)
        return (low + high) / 2


def _log_ratio(arm: Arm, rate: Floats, null: Floats) -> Floats:
    bad, good = np.log(rate / null), np.log((1 - rate) / (1 - null))
    return np.asarray(arm.whole * bad + (arm.n - arm.whole) * good)


@dataclass(frozen=True)
class Proven:
    """Runs in which the margin was proven within 24 hours: on its line, and where both are alike."""

    base: float
    margin: float
    per_minute: int
    runs: int
    falsely: int
    rightly: int


def prove(setting: tuple[float, float, int], seed: tuple[int, int], n_runs: int) -> Proven:
    """Look every minute for 24 hours at a canary on the margin's line, and at one like the stable version."""
    base, margin, per_minute = setting
    rng = np.random.default_rng(np.random.SeedSequence(seed[0], spawn_key=(seed[1], 0)))
    found = []
    for canary_rate in (base + margin, base):
        proofs, ever = Proofs(n_runs, margin), np.zeros(n_runs, bool)
        for _ in range(MINUTES):
            n_c, n_s = rng.poisson(per_minute / 2, (2, n_runs))
            proofs.advance(Arm(n_c, rng.binomial(n_c, canary_rate)), Arm(n_s, rng.binomial(n_s, base)))
            ever |= proofs.log_e >= -math.log(ALPHA)
        found.append(int(ever.sum()))
    return Proven(base, margin, per_minute, n_runs, *found)
