"""Read a rollout plan, noting every fault in it; plan.py describes the form."""

from __future__ import annotations

from typing import Any

from assent.delivery.domain.audience import read_audience
from assent.delivery.domain.form import Section
from assent.delivery.domain.plan import (
    Advance,
    Detect,
    Guard,
    Metric,
    Objective,
    Plan,
    Step,
    Strategy,
    Then,
    Unit,
    plan_document,
)
from assent.delivery.domain.strategy import (
    SHARE_DECIMALS,
    check_strategy,
    read_experiment,
    read_preview,
    read_shadow,
)
from assent.kernel.canonical import canonical
from assent.kernel.errors import Invalid

DAY_S = 86_400
MAX_STEPS = 100
MAX_PLAN_BYTES = 40_000
USUAL_WINDOW_S = {Strategy.CANARY: 600, Strategy.BLUE_GREEN: 60, Strategy.AB_TEST: 600}
"""After a switch what is wrong must show soon; a canary's users are few and may take their time."""
USUAL_WARM_S = {Strategy.CANARY: 0, Strategy.BLUE_GREEN: DAY_S, Strategy.AB_TEST: 0}


def parse_plan(document: Any) -> Plan:
    """Read a plan. Raises: Invalid with one reason for each fault, its id the path of the field."""
    top = Section.of(document, "plan")
    strategy = top.choice("strategy", Strategy, Strategy.CANARY)
    plan = Plan(
        strategy=strategy,
        steps=(*read_shadow(top), *_steps(top, strategy)),
        guards=_guards(top),
        detect=_detect(top),
        alpha=top.number("alpha", 0.05, above=0, most=0.5),
        window_s=top.whole("window_s", USUAL_WINDOW_S[strategy], least=1, most=DAY_S),
        block_s=top.whole("block_s", 60, least=1, most=DAY_S),
        expected_units_per_s=top.maybe_number("expected_units_per_s", above=0, most=1e6),
        unit=top.choice("unit", Unit, Unit.USER),
        slo=_slo(top),
        start_at=top.moment("start_at"),
        accept_undetectable=top.text("accept_undetectable"),
        warm_s=top.whole("warm_s", USUAL_WARM_S[strategy], least=0, most=365 * DAY_S),
        pin_s=top.whole("pin_s", 0, least=0, most=7 * DAY_S),
        experiment=read_experiment(top) if strategy is Strategy.AB_TEST else None,
    )
    top.close()
    _check_detect(top, plan)
    _check_pins(top, plan)
    check_strategy(top, plan)
    _check_size(top, plan)
    if top.faults:
        count = len(top.faults)
        raise Invalid(
            f"The rollout plan has {count} fault{'s' if count > 1 else ''}.",
            remedy="Correct what is listed; `assent rollout plan FILE` checks a plan without filing it.",
            reasons=top.faults,
        )
    return plan


def _check_pins(top: Section, plan: Plan) -> None:
    if plan.pin_s and plan.unit is not Unit.CONVERSATION:
        top.fault(
            "pin_s",
            f"Conversations end on their version where they stick; here it is the {plan.unit}.",
            "Give `unit: conversation`, or leave `pin_s` out.",
        )


def _check_size(top: Section, plan: Plan) -> None:
    """Note a plan that is too large for the leaf of the ledger that carries it."""
    size = 0 if top.faults else len(canonical(plan_document(plan)))
    if size > MAX_PLAN_BYTES:
        top.fault(
            "steps",
            f"The plan has {size:,} bytes; a leaf of the ledger carries {MAX_PLAN_BYTES:,} of them.",
            "List fewer people in `audience`, or ask for an attribute that they share.",
        )


def _steps(top: Section, strategy: Strategy) -> tuple[Step, ...]:
    if strategy is Strategy.BLUE_GREEN and not top.has("steps"):
        top.raw("steps")
        return read_preview(top)
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
    if steps[-1].share != 1 and strategy is not Strategy.AB_TEST:
        sections[-1].fault(
            "share", f"The last step has share {steps[-1].share:g}.", "End the plan with a step of share 1."
        )
    return steps


def _step(section: Section) -> Step:
    audience = read_audience(section)
    share = section.number("share", None, least=0, most=1, decimals=SHARE_DECIMALS)
    min_time_s = section.whole("min_time_s", None, least=0, most=365 * DAY_S)
    step = Step(
        share=share,
        audience=audience,
        min_time_s=min_time_s,
        min_units=section.whole("min_units", 0, least=0, most=10**9),
        max_time_s=section.whole("max_time_s", max(DAY_S, min_time_s), least=1, most=365 * DAY_S),
        advance=section.choice("advance", Advance, Advance.NO_HARM),
        gate=section.flag("gate"),
    )
    section.close()
    if share == 0 and not audience and not section.faulty("audience"):
        section.fault(
            "share",
            "A step with share 0 and no audience shows the version to nobody.",
            "Give a share above 0, or `audience`.",
        )
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
    compares = any(step.compares for step in plan.steps)
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
                then=section.choice("then", Then, Then.PAUSE),
            )
        )
        section.close()
    return tuple(objectives)
