"""What happens in delivery. Routes and plans are carried as their documents; fractions as decimal strings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from assent.kernel.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionAdopted(Event):
    """A version that was live before Assent was there is taken over; this is the decision that admits it."""

    TYPE: ClassVar[str] = "delivery.version.adopted"
    project: str
    environment: str
    name: str
    kind: str
    subject: str
    ref: str
    route: dict[str, Any]
    route_generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPlanned(Event):
    """A rollout was filed with its plan; its request asks for approval."""

    TYPE: ClassVar[str] = "delivery.rollout.planned"
    project: str
    environment: str
    rollout: str
    name: str
    kind: str
    subject: str
    ref: str
    request: str
    plan: dict[str, Any]
    plan_digest: str
    salt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutEvent(Event):
    """What all later events of a rollout carry; `generation` is the rollout's after it."""

    project: str
    environment: str
    rollout: str
    name: str
    subject: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutQueued(RolloutEvent):
    """It may start, but not before its time."""

    TYPE: ClassVar[str] = "delivery.rollout.queued"
    start_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutStarted(RolloutEvent):
    """The first share of the traffic goes to the subject. `receipt`: the route to go back to."""

    TYPE: ClassVar[str] = "delivery.rollout.started"
    stable: str
    decision: str
    decision_kind: str
    share: str
    receipt: dict[str, Any]
    route: dict[str, Any]
    route_generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutAdmitted(RolloutEvent):
    """What began by break-glass has fulfilled its policy: this decision admits it from now on."""

    TYPE: ClassVar[str] = "delivery.rollout.admitted"
    decision: str
    decision_kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutAdvanced(RolloutEvent):
    """The next step begins. `n_canary_units`: units scored before it. `automatic`: nobody had to ask."""

    TYPE: ClassVar[str] = "delivery.rollout.advanced"
    step: int
    share: str
    n_canary_units: int
    automatic: bool
    figures: dict[str, Any]
    route: dict[str, Any]
    route_generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPaused(RolloutEvent):
    """The ramp stands still; the share stays. `because`: person, gate, read, inconclusive or slo."""

    TYPE: ClassVar[str] = "delivery.rollout.paused"
    because: str
    automatic: bool
    figures: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutResumed(RolloutEvent):
    """The ramp goes on; the step's time begins anew."""

    TYPE: ClassVar[str] = "delivery.rollout.resumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPromoted(RolloutEvent):
    """The subject is the stable version now. `warm_until`: how long the one before is kept warm."""

    TYPE: ClassVar[str] = "delivery.rollout.promoted"
    stable: str
    n_canary_units: int
    automatic: bool
    figures: dict[str, Any]
    route: dict[str, Any]
    route_generation: int
    warm_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutAborted(RolloutEvent):
    """A person ended it. `route` is None where it had not started."""

    TYPE: ClassVar[str] = "delivery.rollout.aborted"
    step: int
    route: dict[str, Any] | None
    route_generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRolledBack(RolloutEvent):
    """The receipt was applied again. `guard` and figures say why, where a guard did it."""

    TYPE: ClassVar[str] = "delivery.rollout.rolled_back"
    stable: str
    step: int
    automatic: bool
    because: str
    guard: str | None
    e_value: str
    n_canary_units: int
    figures: dict[str, Any]
    route: dict[str, Any]
    route_generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutConcluded(RolloutEvent):
    """A person read an A/B test: `winner` is canary, stable or none. The stable version serves all again."""

    TYPE: ClassVar[str] = "delivery.rollout.concluded"
    winner: str
    n_canary_units: int
    figures: dict[str, Any]
    route: dict[str, Any]
    route_generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteEvent(Event):
    """What the events carry that rewrite a route outside a rollout; its generation is the route's."""

    project: str
    environment: str
    name: str
    route: dict[str, Any]
    route_generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteCooled(RouteEvent):
    """The version before a blue-green switch is kept warm no more."""

    TYPE: ClassVar[str] = "delivery.route.cooled"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDrilled(RouteEvent):
    """A drill wrote the route again as it stood; how long the replicas took is told by a later event."""

    TYPE: ClassVar[str] = "delivery.route.drilled"
    drill: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillMeasured(Event):
    """How long after the drill's commit each replica served it, in milliseconds by the server's clock.

    `slowest_ms` is None where no replica served it in time; `silent` names those that did not.
    """

    TYPE: ClassVar[str] = "delivery.drill.measured"
    project: str
    environment: str
    name: str
    drill: str
    slowest_ms: int | None
    replicas: tuple[tuple[str, int], ...]
    silent: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteKilled(RouteEvent):
    """A name answers nobody any more, until it is restored."""

    TYPE: ClassVar[str] = "delivery.route.killed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRestored(RouteEvent):
    """A killed name answers again, with the stable version."""

    TYPE: ClassVar[str] = "delivery.route.restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingSet(Event):
    """A share of a name's units is sampled: a judge grades their answers on live calls, so many a day.

    Contents are sealed to `key` (public, X25519) and erased after `keep_days`. Without `enabled` nothing is.
    """

    TYPE: ClassVar[str] = "delivery.sampling.set"
    project: str
    environment: str
    name: str
    judge: str
    share: str
    per_day: int
    keep_days: int
    enabled: bool
    salt: str
    key: str
