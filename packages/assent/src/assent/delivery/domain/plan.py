"""What a rollout is to do: steps, guards and the harm that must be found; read with every fault at once.

The form (JSON or YAML; fractions are numbers or decimal strings, shares have at most six decimals):
{"steps": [{"share", "min_time_s", "min_units", "max_time_s", "advance": "no_harm|proof", "gate"}],
 "guards": [{"metric", "margin", "weight"}], "detect": {"metric", "from", "to"}, "alpha", "window_s",
 "block_s", "expected_units_per_s", "unit", "slo": [{"metric", "max"}], "start_at", "accept_undetectable"}
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from assent.delivery.domain.form import Section, exact
from assent.kernel.errors import Invalid

DAY_S = 86_400
MAX_STEPS = 100


class Metric(StrEnum):
    """What a guard watches: the badness of a unit, in [0,1], 1 is bad."""

    ERROR = "error"
    REFUSAL = "refusal"
    THUMBS_DOWN = "thumbs_down"
    GUARDRAIL = "guardrail"
    JUDGE = "judge"
    SLOW = "slow"


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
    """One share of the traffic, and what must be seen before the next."""

    share: float
    min_time_s: int
    min_units: int
    max_time_s: int
    advance: Advance
    gate: bool


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
    """The most of a metric that either arm may show; beyond it the ramp freezes."""

    metric: Metric
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A rollout's plan, complete and consistent."""

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

    @property
    def first_share(self) -> float:
        """Give the share of the first step."""
        return self.steps[0].share

    def weight(self, metric: Metric) -> float:
        """Give the weight of the guard on `metric`."""
        return next(guard.weight for guard in self.guards if guard.metric is metric)


def parse_plan(document: Any) -> Plan:
    """Read a plan. Raises: Invalid with one reason for each fault, its id the path of the field."""
    top = Section.of(document, "plan")
    plan = Plan(
        steps=_steps(top),
        guards=_guards(top),
        detect=_detect(top),
        alpha=top.number("alpha", 0.05, above=0, most=0.5),
        window_s=top.whole("window_s", 600, least=1, most=DAY_S),
        block_s=top.whole("block_s", 60, least=1, most=DAY_S),
        expected_units_per_s=top.maybe_number("expected_units_per_s", above=0, most=1e6),
        unit=top.choice("unit", Unit, Unit.USER),
        slo=_slo(top),
        start_at=top.moment("start_at"),
        accept_undetectable=top.text("accept_undetectable"),
    )
    top.close()
    _check_detect(top, plan)
    if top.faults:
        count = len(top.faults)
        raise Invalid(
            f"The rollout plan has {count} fault{'s' if count > 1 else ''}.",
            remedy="Correct what is listed; `assent rollout plan FILE` checks a plan without filing it.",
            reasons=top.faults,
        )
    return plan


def _steps(top: Section) -> tuple[Step, ...]:
    sections = top.rows("steps")
    steps = tuple(_step(section) for section in sections)
    if not sections:
        top.fault(
            "steps",
            "A plan has at least one step.",
            "Give `steps: [{share: 0.05, min_time_s: 600}, …, {share: 1, …}]`.",
        )
        return steps
    if len(steps) > MAX_STEPS:
        top.fault(
            "steps", f"A plan has at most {MAX_STEPS} steps, this one {len(steps)}.", "Make the steps larger."
        )
    for before, after, section in zip(steps, steps[1:], sections[1:], strict=False):
        if after.share <= before.share:
            section.fault(
                "share",
                f"Step shares grow; {after.share:g} follows {before.share:g}.",
                "Order the steps by share.",
            )
    if steps[-1].share != 1:
        sections[-1].fault(
            "share", f"The last step has share {steps[-1].share:g}.", "End the plan with a step of share 1."
        )
    return steps


def _step(section: Section) -> Step:
    share = section.number("share", None, above=0, most=1, decimals=6)
    min_time_s = section.whole("min_time_s", None, least=0, most=365 * DAY_S)
    step = Step(
        share=share,
        min_time_s=min_time_s,
        min_units=section.whole("min_units", 0, least=0, most=10**9),
        max_time_s=section.whole("max_time_s", max(DAY_S, min_time_s), least=1, most=365 * DAY_S),
        advance=section.choice("advance", Advance, Advance.NO_HARM),
        gate=section.flag("gate"),
    )
    section.close()
    if step.max_time_s < step.min_time_s:
        section.fault(
            "max_time_s",
            f"The longest time, {step.max_time_s} s, is shorter than the shortest, {step.min_time_s} s.",
            "Make max_time_s at least min_time_s.",
        )
    return step


def _guards(top: Section) -> tuple[Guard, ...]:
    sections = top.rows("guards")
    weighed = [section.has("weight") for section in sections]
    guards = []
    for section in sections:
        guards.append(
            Guard(
                metric=section.choice("metric", Metric, None),
                margin=section.number("margin", 0.01, above=0, most=1),
                weight=section.number("weight", 1 / len(sections), above=0, most=1),
            )
        )
        section.close()
    for i, guard in enumerate(guards):
        if any(guard.metric is other.metric for other in guards[:i]):
            sections[i].fault(
                "metric", f"Two guards watch {guard.metric}.", "Keep one guard for each metric."
            )
    if any(weighed) and not all(weighed):
        top.fault(
            "guards", "Some guards have a weight and some have none.", "Give every guard a weight, or none."
        )
    elif all(weighed) and guards and abs(sum(g.weight for g in guards) - 1) > 1e-9:  # noqa: PLR2004 -- float rounding of a sum
        top.fault(
            "guards", f"The weights sum to {sum(g.weight for g in guards):g}.", "Make the weights sum to 1."
        )
    return tuple(guards)


def _detect(top: Section) -> Detect | None:
    section = top.section("detect")
    if section is None:
        return None
    detect = Detect(
        metric=section.choice("metric", Metric, None),
        usual=section.number("from", None, above=0, most=1),
        harmful=section.number("to", None, above=0, most=1),
    )
    section.close()
    if not section.faulty("from", "to") and not detect.usual < detect.harmful < 1:
        section.fault(
            "to",
            f"Harm is a rise to below 1; this reads {detect.usual:g} to {detect.harmful:g}.",
            "Give from < to < 1.",
        )
    return detect


def _check_detect(top: Section, plan: Plan) -> None:
    compares = any(step.share < 1 for step in plan.steps)
    if compares and not plan.guards:
        top.fault(
            "guards",
            "A plan that compares two versions needs a guard.",
            "Give `guards: [{metric: error, margin: 0.01}]`.",
        )
    if compares and plan.detect is None and not top.faulty("detect"):
        top.fault(
            "detect",
            "The plan does not say which harm it must be able to find.",
            "Give `detect: {metric: error, from: 0.01, to: 0.05}`.",
        )
    if (
        plan.detect is not None
        and plan.guards
        and all(plan.detect.metric is not g.metric for g in plan.guards)
    ):
        top.fault(
            "detect.metric", f"No guard watches {plan.detect.metric}.", "Name a metric that a guard watches."
        )


def _slo(top: Section) -> tuple[Objective, ...]:
    objectives = []
    for section in top.rows("slo"):
        objectives.append(
            Objective(
                metric=section.choice("metric", Metric, None),
                most=section.number("max", None, above=0, most=1),
            )
        )
        section.close()
    return tuple(objectives)


def plan_document(plan: Plan) -> dict[str, Any]:
    """Write the canonical form: every field, fractions as decimal strings; its digest is what is approved."""
    document = {
        "steps": [
            {
                "share": step.share,
                "min_time_s": step.min_time_s,
                "min_units": step.min_units,
                "max_time_s": step.max_time_s,
                "advance": step.advance.value,
                "gate": step.gate,
            }
            for step in plan.steps
        ],
        "guards": [{"metric": g.metric.value, "margin": g.margin, "weight": g.weight} for g in plan.guards],
        "detect": plan.detect
        and {"metric": plan.detect.metric.value, "from": plan.detect.usual, "to": plan.detect.harmful},
        "alpha": plan.alpha,
        "window_s": plan.window_s,
        "block_s": plan.block_s,
        "expected_units_per_s": plan.expected_units_per_s,
        "unit": plan.unit.value,
        "slo": [{"metric": o.metric.value, "max": o.most} for o in plan.slo],
        "start_at": plan.start_at and plan.start_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "accept_undetectable": plan.accept_undetectable,
    }
    written: dict[str, Any] = exact(document)
    return written
