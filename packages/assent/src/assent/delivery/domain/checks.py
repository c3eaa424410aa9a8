"""What a move is checked against; each function lists every reason there is."""

from __future__ import annotations

import math
from datetime import datetime

from assent.delivery.domain.detection import Detectability, detectability, units_needed
from assent.delivery.domain.judgement import Judgement, Verdict
from assent.delivery.domain.plan import Advance, Plan, Then
from assent.delivery.domain.route import Route
from assent.delivery.domain.state import Facts, Rollout, Winner
from assent.kernel.errors import Reason


def shortfalls(rollout: Rollout, judgement: Judgement, now: datetime) -> list[Reason]:
    """List what the step still lacks before the next; where nothing is compared, only time counts.

    A shadow has had enough when its time is over and it has seen its units, which are mirrored calls.
    """
    step = rollout.current
    reasons = time_reasons(rollout, now)
    if step.shadow and judgement.n_shadow < step.min_units:
        text = "Too few calls were mirrored to the new version."
        reasons.append(Reason("min_units", text, "Wait for traffic.", judgement.n_shadow, step.min_units))
    if not step.compares:
        return reasons
    units = judgement.n_canary_units - rollout.units_before
    if units < step.min_units:
        reasons.append(
            Reason(
                "min_units",
                "The canary has had too few units in this step.",
                "Wait for traffic.",
                units,
                step.min_units,
            )
        )
    if judgement.unknown:
        names = ", ".join(judgement.unknown)
        reasons.append(
            Reason("unknown", f"Not computed: {names}.", "See why no scores arrive for these metrics.")
        )
    needed = units_needed(rollout.plan)
    if step.advance is Advance.PROOF:
        if judgement.verdict is not Verdict.PASS:
            reasons.append(
                Reason(
                    "proof",
                    "A guard's bound is not below its margin yet.",
                    "Wait, or let a person decide.",
                    judgement.verdict.value,
                    "pass",
                )
            )
    elif needed is not None and (found := _n_detecting(judgement)) < needed:
        reasons.append(
            Reason(
                "detectable",
                "The declared harm would not have been found yet.",
                "Wait for traffic.",
                found,
                needed,
            )
        )
    return reasons


def _n_detecting(judgement: Judgement) -> int:
    n = judgement.n_detecting
    return judgement.n_canary_units if n is None else n


def time_reasons(rollout: Rollout, now: datetime) -> list[Reason]:
    """Say whether the step is too young."""
    elapsed, least = elapsed_s(rollout, now), rollout.current.min_time_s
    if elapsed >= least:
        return []
    wait = f"Wait {math.ceil(least - elapsed):,} s."
    return [
        Reason("min_time", "The step's shortest time is not over.", wait, f"{int(elapsed)} s", f"{least} s")
    ]


def elapsed_s(rollout: Rollout, now: datetime) -> float:
    """Give the seconds since the step began."""
    return (now - rollout.step_started_at).total_seconds() if rollout.step_started_at else 0.0


def harm_reasons(judgement: Judgement) -> list[Reason]:
    """Say what speaks against more exposure whoever asks."""
    reasons = []
    if judgement.verdict is Verdict.FAIL:
        reasons.append(
            Reason(
                "guard",
                f"The guard {judgement.guard} failed.",
                "Roll back.",
                f"{judgement.e_value:.6g}",
                "below 1/alpha",
            )
        )
    if not judgement.slo_kept:
        reasons.append(Reason("slo", "A service level objective is broken.", "Wait until it is kept again."))
    return reasons


def breaking_objectives(rollout: Rollout, judgement: Judgement) -> list[str]:
    """List the broken objectives that take back a version with all the traffic, as its plan says."""
    if rollout.step < 0 or rollout.current.share < 1:
        return []
    taking = {objective.metric.value for objective in rollout.plan.slo if objective.then is Then.ROLL_BACK}
    return sorted(taking & set(judgement.broken))


def conclusion_reasons(rollout: Rollout, facts: Facts, now: datetime, winner: Winner) -> list[Reason]:
    """Say what speaks against reading an A/B test so: haste, harm, or figures that say otherwise."""
    if winner is not Winner.CANARY:
        return []  # going back to what was approved before may be said at any time
    experiment = facts.judgement.figures.get("experiment", {})
    reasons = [*time_reasons(rollout, now), *harm_reasons(facts.judgement)]
    if experiment.get("exposure", {}).get("ok") is False:
        reasons.append(
            Reason(
                "exposure",
                "The arms got other shares of the units than planned, so they cannot be compared.",
                "Find out which units are lost; conclude with `none`.",
            )
        )
    primary: dict[str, int] = next(iter(experiment.get("metrics", ())), {})
    if not (primary.get("n_canary") and primary.get("n_stable")):
        text = "No units of both arms have been counted, so nothing says so."
        reasons.append(Reason("unread", text, "Wait for units; else conclude with `none`."))
    if experiment.get("verdict") == "stable_better":
        reasons.append(
            Reason("winner", "The figures say that the stable version is better.", "Conclude with `stable`.")
        )
    return reasons


def reading_reasons(rollout: Rollout, judgement: Judgement) -> list[Reason]:
    """Say what an A/B test waits for before it can be read."""
    if rollout.plan.experiment is None:
        return []
    experiment = judgement.figures.get("experiment", {})
    if experiment.get("verdict", "inconclusive") != "inconclusive":
        return []
    because = experiment.get("because", "no block has closed yet")
    return [Reason("experiment", f"The A/B test cannot be read yet: {because}.", "Wait for units.")]


def person_reasons(facts: Facts) -> list[Reason]:
    """Say that only a person may do this, where none asks."""
    if facts.automatic:
        return [Reason("person", "A paused rollout waits for a person.", "Resume it by hand.")]
    return []


def route_reasons(rollout: Rollout, route: Route | None) -> list[Reason]:
    """Say what of the route stands against a start."""
    if route is None:
        return [
            Reason(
                "rollback_target",
                f"{rollout.environment} serves no {rollout.name} yet; there is nothing to go back to.",
                f"Adopt what is live: assent env adopt {rollout.environment} {rollout.name}@VERSION.",
            )
        ]
    reasons = []
    if route.rollout is not None:
        reasons.append(
            Reason(
                "other_rollout",
                f"The rollout {route.rollout} uses the route.",
                "End it first.",
                route.rollout,
            )
        )
    if not route.enabled:
        reasons.append(Reason("killed", f"{rollout.name} is switched off.", "Restore it first."))
    if route.stable == rollout.subject:
        reasons.append(
            Reason("already_live", f"{rollout.ref} serves all traffic already.", "Nothing is to be done.")
        )
    return reasons


def detection_reasons(plan: Plan, facts: Facts) -> list[Reason]:
    """Say whether the plan is blind to the harm it declares, unless that was accepted in it."""
    if plan.accept_undetectable:
        return []
    if plan.is_judged and facts.judged is None:
        text = "No judge grades live calls of this name, so the declared harm could not be found."
        return [Reason("sampling", text, "Have one grade them: assent quality set")]
    found = detectability(plan, facts.judged)
    if found.ok:
        return []
    return undetectable(found)


def undetectable(found: Detectability) -> list[Reason]:
    """Say why a plan cannot find its harm, step by step."""
    if found.ok is None:
        return [
            Reason(
                "detectability",
                "The traffic is unknown, so nobody can say whether the harm would be found.",
                "Give expected_units_per_s.",
            )
        ]
    return [
        Reason(
            "detectability",
            f"Step {reach.step + 1} cannot find the declared harm within its longest time.",
            "Make max_time_s longer, the share larger, or the harm that must be found greater.",
            reach.units,
            found.units_needed,
        )
        for reach in found.steps
        if not reach.reaches
    ]
