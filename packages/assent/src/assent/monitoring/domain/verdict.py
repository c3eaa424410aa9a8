"""Verdicts on a rollout: pass, fail or inconclusive, from its guards alone.

Time, units and gates of a step are delivery's business; whether the canary harms is ours.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from assent.delivery.domain.judgement import Verdict
from assent.monitoring.domain.eprocess import ARITHMETIC, LIFTS, Weighing


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is known at one look; units are scored units, those whose window has closed."""

    n_canary: int
    n_stable: int
    weighing: Weighing
    proofs: Mapping[str, Decimal] = field(default_factory=dict)  # E of "within its margin", by guard
    missing: Sequence[str] = ()  # guards whose metric could not be computed


def judge(look: Look, alpha: float) -> Verdict:
    """Judge: fail needs evidence of harm, pass a proof of each guard, anything else is inconclusive."""
    limit = threshold(alpha)
    if look.weighing.total >= limit:
        return Verdict.FAIL
    if look.missing or not look.n_canary or not look.n_stable or not look.proofs:
        return Verdict.INCONCLUSIVE
    proven = all(e_value >= limit for e_value in look.proofs.values())
    return Verdict.PASS if proven else Verdict.INCONCLUSIVE


def threshold(alpha: float) -> Decimal:
    """Give 1/alpha."""
    return ARITHMETIC.divide(Decimal(1), Decimal(str(alpha)))


def units_to_detect(rate_from: float, rate_to: float, alpha: float, stable_per_canary: float) -> float:
    """Give the canary units after which this e-process finds the harm on average; inf if never.

    Wald: log(number of lifts / alpha) over the best lift's expected growth per canary unit, which comes with
    `stable_per_canary` stable units. The lower bound of any test is log(1/alpha) / KL(to || from).
    """
    if not 0 < rate_from < rate_to < 1:
        return math.inf
    growth = max(_growth(rate_from, rate_to, float(lift), stable_per_canary) for lift in LIFTS)
    return math.log(len(LIFTS) / alpha) / growth if growth > 0 else math.inf


def _growth(stable: float, canary: float, lift: float, stable_per_canary: float) -> float:
    bet = max(stable, min(lift * stable, 0.99))
    null = (bet + stable_per_canary * stable) / (1 + stable_per_canary)

    def expected(truth: float, rate: float) -> float:
        return truth * math.log(rate / null) + (1 - truth) * math.log((1 - rate) / (1 - null))

    return expected(canary, bet) + stable_per_canary * expected(stable, stable)
