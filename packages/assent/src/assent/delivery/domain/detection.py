"""Whether a plan can find the harm that it declares, before anybody is exposed to it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from assent.delivery.domain.plan import Plan
from assent.delivery.domain.sampling import Wanted

DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReach:
    """What one compared step can see.

    `units`: canary units scored by the end of its longest time, all steps so far.
    `expected_s`: mean seconds from the step's start until the harm is found in that step's traffic alone.
    """

    step: int
    share: float
    units: int | None
    reaches: bool | None
    expected_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Detectability:
    """The bound, and which steps reach it. `ok` is None where the traffic is unknown."""

    units_needed: int | None
    units_per_s: float | None
    steps: tuple[StepReach, ...]
    ok: bool | None


def divergence(p: float, q: float) -> float:
    """Give KL(Bernoulli(p) ‖ Bernoulli(q)) in nats, both in (0,1)."""
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


def units_to_find(usual: float, harmful: float, *, alpha: float, weight: float = 1.0) -> int:
    """Give the canary units after which the harm is found on average, at best.

    Source: Wald's bound for a test of power one, E[units] ≥ log(1/(w·alpha)) / KL(p_c ‖ p_s).
    """
    return math.ceil(math.log(1 / (weight * alpha)) / divergence(harmful, usual))


def units_needed(plan: Plan) -> int | None:
    """Give the units that the plan's declared harm needs; None where nothing is compared."""
    if plan.detect is None or not plan.guards:
        return None
    weight = plan.weight(plan.detect.metric)
    return units_to_find(plan.detect.usual, plan.detect.harmful, alpha=plan.alpha, weight=weight)


def detectability(plan: Plan, judged: Wanted | None = None) -> Detectability:
    """Tell which steps can see the harm at the plan's expected traffic.

    `judged`: the sampling whose judge feeds the metric of the harm; its share of the units is seen, as far as
    the judgements of its days suffice. None: every unit is seen.
    """
    rate = plan.expected_units_per_s
    needed = units_needed(plan)
    reaches = _reaches(plan, needed, judged) if needed is not None else ()
    if not reaches:
        ok: bool | None = True
    elif rate is None:
        ok = None
    else:
        ok = all(reach.reaches for reach in reaches)
    return Detectability(units_needed=needed, units_per_s=rate, steps=reaches, ok=ok)


def _reaches(plan: Plan, needed: int, judged: Wanted | None) -> tuple[StepReach, ...]:
    reaches = []
    units, rate = 0.0, plan.expected_units_per_s
    if judged is not None and rate is not None:
        rate *= float(judged.share)
    for k, step in enumerate(plan.steps):
        if not step.compares:
            continue
        if rate is None:
            reaches.append(StepReach(step=k, share=step.share, units=None, reaches=None, expected_s=None))
            continue
        # A unit counts only once its score window has closed.
        of_both = rate * max(0, step.max_time_s - plan.window_s)
        if judged is not None:
            of_both = min(of_both, judged.per_day * max(1.0, step.max_time_s / DAY_S))
        units += of_both * step.share
        reaches.append(
            StepReach(
                step=k,
                share=step.share,
                units=int(units),
                reaches=units >= needed,
                expected_s=plan.window_s + needed / (rate * step.share),
            )
        )
    return tuple(reaches)
