"""Planned experiments: a known end and a few planned looks, for less than an always-valid interval costs.

At looks with information t_1 < ... < t_K = 1 the standardised differences Z_k behave as W(t_k) / sqrt(t_k), W
a Brownian motion. O'Brien and Fleming's bounds C / sqrt(t_k) are strict at first and near 1.96 at the end; C
is such that some |Z_k| reaches its bound with chance alpha while there is no difference. That chance comes
from the density of W by recursion over the looks, with Gauss-Legendre nodes between the bounds.
Source: O'Brien, Fleming (1979), "A multiple testing procedure for clinical trials", Biometrics 35; Armitage,
McPherson, Rowe (1969), "Repeated significance tests on accumulating data", JRSS A 132 (the recursion).

What happens between looks changes nothing: a look is the first block at which its share of the planned units
is counted, so the result follows from the blocks alone, however often it is asked for.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from assent.monitoring.domain.difference import Estimate, Stratum, estimate

MOST_LOOKS = 100
_NODES = 192
_TOLERANCE = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPlan:
    """What is decided before the first unit: `units` of both arms together at the end, `looks` evenly spread.

    `rate` says that values lie in [0,1]. Raises: ValueError.
    """

    units: int
    looks: int = 5
    alpha: float = 0.05
    rate: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be planned."""
        if not 1 <= self.looks <= min(MOST_LOOKS, self.units):
            raise ValueError(f"a plan has 1 to {MOST_LOOKS} looks and a unit for each")
        if not 0 < self.alpha < 1:
            raise ValueError("alpha lies between 0 and 1")


@dataclass(frozen=True, slots=True)
class PlannedLook:
    """One look. `low` and `high` hold at all looks together (repeated confidence interval)."""

    number: int
    n_control: int
    n_treatment: int
    estimate: float
    low: float
    high: float
    z: float
    bound: float


@dataclass(frozen=True, slots=True)
class PlannedVerdict:
    """The looks so far, up to the one that decides.

    `direction` is 1 where treatment is higher, -1 where it is lower, 0 without a decision. `ended` says that
    nothing that comes later counts: it is decided, or the last planned look was taken.
    """

    looks: tuple[PlannedLook, ...]
    direction: int
    ended: bool


def planned_verdict(blocks: Sequence[Stratum], plan: GroupPlan) -> PlannedVerdict:
    """Judge an experiment at its planned looks only.

    A look at which the arms are too small to be compared, or that falls on the same block as the next one,
    is left out; that only makes the test stricter.
    """
    bounds = obrien_fleming(plan.looks, plan.alpha)
    looks: list[PlannedLook] = []
    for number, end in _ends(blocks, plan):
        found = estimate(blocks[:end], rate=plan.rate)
        if not found.waits_for:
            look = _look(number, found, bounds[number - 1])
            looks.append(look)
            if abs(look.z) >= look.bound:
                return PlannedVerdict(tuple(looks), 1 if look.z > 0 else -1, ended=True)
        if number == plan.looks:
            return PlannedVerdict(tuple(looks), 0, ended=True)
    return PlannedVerdict(tuple(looks), 0, ended=False)


def _ends(blocks: Sequence[Stratum], plan: GroupPlan) -> list[tuple[int, int]]:
    """List the looks reached: (number, blocks until then)."""
    found: list[tuple[int, int]] = []
    units, taken = 0, 0
    for end, block in enumerate(blocks, start=1):
        units += block.control.n + block.treatment.n
        reached = min(plan.looks, units * plan.looks // plan.units)
        if reached > taken:
            found.append((reached, end))
            taken = reached
    return found


def _look(number: int, found: Estimate, bound: float) -> PlannedLook:
    half = bound * found.error
    return PlannedLook(
        number,
        found.n_control,
        found.n_treatment,
        found.value,
        found.value - half,
        found.value + half,
        found.value / found.error,
        bound,
    )


@lru_cache(maxsize=64)
def obrien_fleming(looks: int, alpha: float = 0.05) -> tuple[float, ...]:
    """Give the bounds of |Z| at evenly spread looks, two-sided; the last one is the tabled constant C."""
    times = [(k + 1) / looks for k in range(looks)]
    low, high = 0.0, 2 * NormalDist().inv_cdf(1 - alpha / (2 * looks)) + 1
    while high - low > _TOLERANCE:
        constant = (low + high) / 2
        if crossing_chance([constant / math.sqrt(t) for t in times]) > alpha:
            low = constant
        else:
            high = constant
    return tuple(high / math.sqrt(t) for t in times)


def crossing_chance(bounds: Sequence[float], drift: float = 0.0) -> float:
    """Give the chance that |Z| reaches its bound at one of evenly spread looks.

    `drift` is the expected Z at the last look: 0 for the level of a plan, else for its power. Bounds are > 0.
    """
    step = 1 / len(bounds)
    deviation = math.sqrt(step)
    edges = [bound * math.sqrt((k + 1) * step) for k, bound in enumerate(bounds)]
    nodes, weights = _nodes(edges[0])
    density = _normal((nodes - drift * step) / deviation) / deviation
    kernel, same = nodes, False  # the kernel of the last step serves while edges stay the same
    for before, edge in pairwise(edges):
        mass, was_same, same = density * weights, same, math.isclose(before, edge, rel_tol=1e-13)
        if not (same and was_same):
            old = nodes
            nodes, weights = (nodes, weights) if same else _nodes(edge)
            kernel = _normal((nodes[:, None] - old - drift * step) / deviation) / deviation
        density = kernel @ mass
    return min(1.0, max(0.0, 1 - float(density @ weights)))


def planned_units(effect: float, deviation: float, plan: GroupPlan, *, power: float, share: float) -> int:
    """Give the units of both arms with which a difference of `effect` is found with chance `power`.

    `deviation` is that of one value, `share` the treatment's part of the units; `plan.units` is not read.
    Raises: ValueError.
    """
    if effect == 0 or deviation <= 0 or not plan.alpha < power < 1 or not 0 < share < 1:
        raise ValueError("needs an effect, a deviation, a power between alpha and 1, and a share in (0,1)")
    bounds = obrien_fleming(plan.looks, plan.alpha)
    low, high = 0.0, 2 * (NormalDist().inv_cdf(power) + bounds[-1])
    while high - low > _TOLERANCE:
        drift = (low + high) / 2
        if crossing_chance(bounds, drift) < power:
            low = drift
        else:
            high = drift
    return math.ceil((high * deviation / effect) ** 2 / (share * (1 - share)))


def _nodes(edge: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    points, weights = _legendre()
    return points * edge, weights * edge


@lru_cache(maxsize=1)
def _legendre() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return np.polynomial.legendre.leggauss(_NODES)


def _normal(z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.exp(-z * z / 2) / math.sqrt(2 * math.pi))
