"""A rollout as it stands, and the facts that a move is judged by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from assent.delivery.domain.judgement import NO_JUDGEMENT, Judgement
from assent.delivery.domain.plan import Plan, Step
from assent.delivery.domain.route import Route
from assent.delivery.domain.sampling import Wanted
from assent.kernel.errors import Reason


class State(StrEnum):
    """Where a rollout stands."""

    PLANNED = "planned"
    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    PROMOTED = "promoted"
    ABORTED = "aborted"
    ROLLED_BACK = "rolled_back"
    CONCLUDED = "concluded"


EXPOSED = frozenset({State.RUNNING, State.PAUSED})
OPEN = frozenset({State.PLANNED, State.WAITING, *EXPOSED})


class Winner(StrEnum):
    """What a person concludes from an A/B test."""

    CANARY = "canary"
    STABLE = "stable"
    NONE = "none"


class Because(StrEnum):
    """Why a rollout stands still or went back."""

    PERSON = "person"
    GATE = "gate"
    READ = "read"
    INCONCLUSIVE = "inconclusive"
    SLO = "slo"
    GUARD = "guard"
    KILL = "kill"
    BREAK_GLASS = "break_glass"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A rollout as it stands.

    `step` is -1 before the start; `units_before`: canary units scored before this step.
    """

    id: str
    project: str
    environment: str
    name: str
    kind: str
    subject: str
    ref: str
    request: str
    plan: Plan
    salt: str
    state: State
    step: int = -1
    step_started_at: datetime | None = None
    units_before: int = 0
    stable: str | None = None
    receipt: dict[str, Any] | None = None
    because: str | None = None
    generation: int = 1

    @property
    def current(self) -> Step:
        """Give the step that runs."""
        return self.plan.steps[self.step]

    @property
    def is_last_step(self) -> bool:
        """Tell whether the step that runs has all the traffic."""
        return self.step == len(self.plan.steps) - 1

    @property
    def share(self) -> float:
        """Give the share of the traffic that the subject has through this rollout."""
        if self.state in EXPOSED:
            return self.current.share
        return 1.0 if self.state is State.PROMOTED else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What lower slices say at the moment of a move.

    objections: every condition that does not hold now (at the start), or debt that forbids growth.
    decision: the event that admits the subject.
    automatic: no person asks. judged: the sampling whose judge feeds the declared harm, where one does.
    """

    route: Route | None = None
    objections: tuple[Reason, ...] = ()
    decision: str = ""
    decision_kind: str = "approved"
    automatic: bool = False
    judgement: Judgement = NO_JUDGEMENT
    judged: Wanted | None = None
    because: Because = Because.PERSON
