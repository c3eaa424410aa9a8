"""What a rollout is to do: its strategy, steps, guards and the harm that must be found.

The form (JSON or YAML; fractions are numbers or decimal strings, shares have at most six decimals):
{"strategy": "canary|blue_green|ab_test",
 "steps": [{"share", "audience", "min_time_s", "min_units", "max_time_s", "advance": "no_harm|proof",
            "gate"}],
 "guards": [{"metric", "margin", "weight"}], "detect": {"metric", "from", "to"}, "alpha", "window_s",
 "block_s", "expected_units_per_s", "unit", "slo": [{"metric", "max", "then": "pause|roll_back"}],
 "start_at", "accept_undetectable", "warm_s", "pin_s", "experiment": {…},
 "shadow": {"share", "min_time_s", "min_units", "max_time_s", "gate"}}
`shadow` is read as a first step with share 0, in which that share of the calls is mirrored.
`audience` is described in audience.py, blue-green's short form and `experiment` in strategy.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from assent.delivery.domain.audience import Audience, audience_document
from assent.delivery.domain.form import exact


class Strategy(StrEnum):
    """How a version reaches users: share by share, by one switch, or beside the stable one to compare."""

    CANARY = "canary"
    BLUE_GREEN = "blue_green"
    AB_TEST = "ab_test"


class Metric(StrEnum):
    """What a guard watches: the badness of a unit, in [0,1], 1 is bad."""

    ERROR = "error"
    REFUSAL = "refusal"
    THUMBS_DOWN = "thumbs_down"
    GUARDRAIL = "guardrail"
    JUDGE = "judge"
    SLOW = "slow"


class Amount(StrEnum):
    """What an A/B test compares beside badness: a mean per unit; less is better."""

    LATENCY = "latency_s"
    TOKENS_IN = "tokens_in"
    TOKENS_OUT = "tokens_out"
    COST = "cost"


class Then(StrEnum):
    """What follows when a service level objective is broken."""

    PAUSE = "pause"
    ROLL_BACK = "roll_back"


class Mode(StrEnum):
    """When an A/B test may be read: at any time, or at so many planned looks."""

    ALWAYS_VALID = "always_valid"
    PLANNED = "planned"


class Advance(StrEnum):
    """What lets a step pass: no harm found where it would have been, or proof that there is none."""

    NO_HARM = "no_harm"
    PROOF = "proof"


class Unit(StrEnum):
    """What sticks to a variant."""

    CONVERSATION = "conversation"
    USER = "user"
    ORGANISATION = "organisation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One share of the traffic, and what must be seen before the next. Share 0: the audience alone.

    shadow: the share of the calls that are mirrored to the new version, whose answers nobody gets.
    """

    share: float
    audience: Audience
    min_time_s: int
    min_units: int
    max_time_s: int
    advance: Advance
    gate: bool
    shadow: float = 0.0

    @property
    def compares(self) -> bool:
        """Tell whether chance decides between two versions, so that they can be compared."""
        return 0 < self.share < 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A metric that may take the canary back. `margin`: the difference that counts; weights sum to 1."""

    metric: Metric
    margin: float
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Detect:
    """The harm that the rollout must be able to find: a rate that rises from `usual` to `harmful`."""

    metric: Metric
    usual: float
    harmful: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """The most of a metric that the arms together may show.

    Beyond it the ramp freezes; with `roll_back`, a version that has all the traffic is taken back.
    """

    metric: Metric
    most: float
    then: Then


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What an A/B test compares, and when it may be read.

    primary: decides; the others are shown beside it. margin: the smallest difference in it that matters.
    units: of both arms together, at the last of `looks` planned looks; None where it may be read at any time.
    """

    primary: Metric
    metrics: tuple[Metric, ...]
    amounts: tuple[Amount, ...]
    margin: float
    mode: Mode
    looks: int
    units: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A rollout's plan, complete and consistent. `warm_s`: how long the version before stays warm.

    pin_s: how long conversations that began before the traffic moved stay on their version.
    """

    strategy: Strategy
    steps: tuple[Step, ...]
    guards: tuple[Guard, ...]
    detect: Detect | None
    alpha: float
    window_s: int
    block_s: int
    expected_units_per_s: float | None
    unit: Unit
    slo: tuple[Objective, ...]
    start_at: datetime | None
    accept_undetectable: str | None
    warm_s: int
    pin_s: int
    experiment: Experiment | None

    @property
    def first_share(self) -> float:
        """Give the share of the first step."""
        return self.steps[0].share

    @property
    def entry_share(self) -> float:
        """Give the first share that chance decides on: a preview to an audience is no step of the traffic."""
        return next(step.share for step in self.steps if step.share > 0)

    @property
    def is_judged(self) -> bool:
        """Tell whether only a judge of live calls can find the declared harm."""
        return self.detect is not None and self.detect.metric is Metric.JUDGE

    def weight(self, metric: Metric) -> float:
        """Give the weight of the guard on `metric`."""
        return next(guard.weight for guard in self.guards if guard.metric is metric)


def plan_document(plan: Plan) -> dict[str, Any]:
    """Write the canonical form, fractions as decimal strings; its digest is what is approved.

    What a canary's plan does not use is left out, so that plans keep their digests as the form grows.
    """
    document: dict[str, Any] = {
        "steps": [_step_document(step) for step in plan.steps if not step.shadow],
        "guards": [{"metric": g.metric.value, "margin": g.margin, "weight": g.weight} for g in plan.guards],
        "detect": plan.detect
        and {"metric": plan.detect.metric.value, "from": plan.detect.usual, "to": plan.detect.harmful},
        "alpha": plan.alpha,
        "window_s": plan.window_s,
        "block_s": plan.block_s,
        "expected_units_per_s": plan.expected_units_per_s,
        "unit": plan.unit.value,
        "slo": [_objective_document(objective) for objective in plan.slo],
        "start_at": plan.start_at and plan.start_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "accept_undetectable": plan.accept_undetectable,
    }
    if plan.strategy is not Strategy.CANARY:
        document["strategy"] = plan.strategy.value
    if plan.steps[0].shadow:
        document["shadow"] = _shadow_document(plan.steps[0])
    if plan.warm_s:
        document["warm_s"] = plan.warm_s
    if plan.pin_s:
        document["pin_s"] = plan.pin_s
    if plan.experiment is not None:
        document["experiment"] = _experiment_document(plan.experiment)
    written: dict[str, Any] = exact(document)
    return written


def _step_document(step: Step) -> dict[str, Any]:
    document: dict[str, Any] = {
        "share": step.share,
        "min_time_s": step.min_time_s,
        "min_units": step.min_units,
        "max_time_s": step.max_time_s,
        "advance": step.advance.value,
        "gate": step.gate,
    }
    return {**document, "audience": audience_document(step.audience)} if step.audience else document


def _shadow_document(step: Step) -> dict[str, Any]:
    document = _step_document(step)
    return {**{name: value for name, value in document.items() if name != "advance"}, "share": step.shadow}


def _objective_document(objective: Objective) -> dict[str, Any]:
    document: dict[str, Any] = {"metric": objective.metric.value, "max": objective.most}
    return document if objective.then is Then.PAUSE else {**document, "then": objective.then.value}


def _experiment_document(experiment: Experiment) -> dict[str, Any]:
    document: dict[str, Any] = {
        "primary": experiment.primary.value,
        "metrics": [*(m.value for m in experiment.metrics), *(a.value for a in experiment.amounts)],
        "margin": experiment.margin,
        "mode": experiment.mode.value,
    }
    if experiment.mode is Mode.PLANNED:
        document |= {"looks": experiment.looks, "units": experiment.units}
    return document
