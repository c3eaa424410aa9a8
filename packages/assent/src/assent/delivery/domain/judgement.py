"""What monitoring says of a rollout, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """The three answers; inconclusive is the default and moves nothing."""

    PASS = "pass"  # noqa: S105 -- a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The guards' state over the whole rollout so far.

    verdict: fail = Σ w·E reached 1/alpha; pass = every guard's always-valid upper bound of canary minus
        stable lies below its margin; else inconclusive.
    guard: the one with the largest w·E. e_value: Σ w·E.
    n_canary_units, n_stable_units: units scored so far in the whole rollout.
    n_detecting: canary units scored by the metric of the declared harm, where only some are (a judge's).
    n_shadow: calls mirrored to the new version so far in a step that is a shadow.
    broken: the service level objectives that are broken; one freezes the ramp.
    unknown: guards whose metric could not be computed.
    figures: what an incident and a page show (intervals, rates, blocks' digest), JSON.
    """

    verdict: Verdict
    guard: str | None = None
    e_value: float = 1.0
    n_canary_units: int = 0
    n_stable_units: int = 0
    n_detecting: int | None = None
    n_shadow: int = 0
    broken: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def slo_kept(self) -> bool:
        """Tell whether every service level objective is kept."""
        return not self.broken


NO_JUDGEMENT = Judgement(verdict=Verdict.INCONCLUSIVE)


class Move(StrEnum):
    """What an automatic actor does with a running or paused rollout."""

    HOLD = "hold"
    ADVANCE = "advance"
    PROMOTE = "promote"
    PAUSE = "pause"
    ROLL_BACK = "roll_back"
