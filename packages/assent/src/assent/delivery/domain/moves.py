"""The moves of a rollout: each a pure function that gives the event, or says no with every reason.

planned ─start→ waiting ─start→ running ⇄ paused ─→ promoted | aborted | rolled back;
promoted ─roll_back→ rolled back; an A/B test ends concluded. Automatic actors shrink exposure, or grow
it to the next step of the approved plan; all else asks for a person.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from assent.delivery.domain import events
from assent.delivery.domain.checks import (
    breaking_objectives,
    conclusion_reasons,
    detection_reasons,
    elapsed_s,
    harm_reasons,
    person_reasons,
    reading_reasons,
    route_reasons,
    shortfalls,
    time_reasons,
)
from assent.delivery.domain.form import decimal_text, exact
from assent.delivery.domain.judgement import Judgement, Move, Verdict
from assent.delivery.domain.pinning import BUCKETS, pins_for, still
from assent.delivery.domain.route import (
    Route,
    compile_route,
    given_back_pins,
    grown_pins,
    read_route,
    settled,
)
from assent.delivery.domain.state import EXPOSED, OPEN, Because, Facts, Rollout, State, Winner
from assent.kernel.errors import Conflict, Reason, Refused


def start(rollout: Rollout, facts: Facts, now: datetime) -> events.RolloutStarted | events.RolloutQueued:
    """Begin the first step, or wait for the plan's time. Raises: Conflict, Refused with every reason."""
    expect(rollout, "start", State.PLANNED, State.WAITING)
    reasons = [
        *facts.objections,
        *route_reasons(rollout, facts.route),
        *detection_reasons(rollout.plan, facts),
    ]
    if reasons:
        raise Refused(f"The rollout of {rollout.ref} cannot start.", reasons=reasons)
    route = _routed(facts)
    if rollout.plan.start_at is not None and now < rollout.plan.start_at:
        if rollout.state is State.WAITING:
            raise Conflict(f"The rollout of {rollout.ref} waits for {rollout.plan.start_at.isoformat()}.")
        return events.RolloutQueued(**_common(rollout), start_at=rollout.plan.start_at)
    share = rollout.plan.first_share
    grown = replace(
        route,
        canary=rollout.subject,
        share=share,
        audience=rollout.plan.steps[0].audience,
        shadow=rollout.plan.steps[0].shadow,
        previous=None,
        pins=pins_for(rollout.plan, route.stable, (0, BUCKETS), rollout.salt, now),
        unit=rollout.plan.unit.value,
        salt=rollout.salt,
        rollout=rollout.id,
        generation=route.generation + 1,
    )
    return events.RolloutStarted(
        **_common(rollout),
        stable=route.stable,
        decision=facts.decision,
        decision_kind=facts.decision_kind,
        share=decimal_text(share),
        receipt=compile_route(route),
        route=compile_route(grown),
        route_generation=grown.generation,
    )


def advance(rollout: Rollout, facts: Facts, now: datetime) -> events.RolloutAdvanced:
    """Go to the next step of the plan. Raises: Conflict, Refused with every reason."""
    expect(rollout, "advance", *EXPOSED)
    _expect_ramp(rollout)
    if rollout.is_last_step:
        raise Conflict(f"The rollout of {rollout.ref} is at its last step.", remedy="Promote it.")
    _may_grow(rollout, facts, now)
    step = rollout.step + 1
    following = rollout.plan.steps[step]
    before = _routed(facts)
    route = replace(
        before,
        share=following.share,
        audience=following.audience,
        shadow=following.shadow,
        pins=grown_pins(rollout.plan, before, following.share, now),
        generation=before.generation + 1,
    )
    return events.RolloutAdvanced(
        **_common(rollout),
        step=step,
        share=decimal_text(following.share),
        n_canary_units=facts.judgement.n_canary_units,
        automatic=facts.automatic,
        figures=_figures(facts.judgement),
        route=compile_route(route),
        route_generation=route.generation,
    )


def promote(rollout: Rollout, facts: Facts, now: datetime) -> events.RolloutPromoted:
    """Make the subject the stable version, at the end of the last step. Raises: Conflict, Refused."""
    expect(rollout, "promote", *EXPOSED)
    _expect_ramp(rollout)
    if not rollout.is_last_step:
        raise Conflict(
            f"The rollout of {rollout.ref} is at step {rollout.step + 1} of {len(rollout.plan.steps)}.",
            remedy="Advance it step by step; the plan that was approved has them.",
        )
    _may_grow(rollout, facts, now)
    before = _routed(facts)
    route = settled(before, rollout.subject, keep=rollout.plan.warm_s > 0)
    route = replace(route, pins=still(before.pins, now))
    return events.RolloutPromoted(
        **_common(rollout),
        stable=rollout.stable or "",
        n_canary_units=facts.judgement.n_canary_units,
        automatic=facts.automatic,
        figures=_figures(facts.judgement),
        route=compile_route(route),
        route_generation=route.generation,
        warm_until=now + timedelta(seconds=rollout.plan.warm_s) if rollout.plan.warm_s else None,
    )


def pause(rollout: Rollout, facts: Facts, now: datetime) -> events.RolloutPaused:  # noqa: ARG001 -- all moves have one signature
    """Let the ramp stand still. Raises: Conflict."""
    expect(rollout, "pause", State.RUNNING)
    return events.RolloutPaused(
        **_common(rollout),
        because=facts.because.value,
        automatic=facts.automatic,
        figures=_figures(facts.judgement),
    )


def resume(rollout: Rollout, facts: Facts, now: datetime) -> events.RolloutResumed:  # noqa: ARG001 -- all moves have one signature
    """Let the ramp go on. Raises: Conflict, Refused."""
    expect(rollout, "resume", State.PAUSED)
    reasons = [*person_reasons(facts), *harm_reasons(facts.judgement)]
    if reasons:
        raise Refused(f"The rollout of {rollout.ref} cannot go on.", reasons=reasons)
    return events.RolloutResumed(**_common(rollout))


def abort(rollout: Rollout, facts: Facts, now: datetime) -> events.RolloutAborted:
    """End it and give the traffic back, if it had any. Raises: Conflict."""
    expect(rollout, "abort", *OPEN)
    if rollout.state not in EXPOSED:
        return events.RolloutAborted(**_common(rollout), step=rollout.step, route=None, route_generation=0)
    route = replace(_receipt(rollout, facts), pins=given_back_pins(rollout.plan, _routed(facts), now))
    return events.RolloutAborted(
        **_common(rollout), step=rollout.step, route=compile_route(route), route_generation=route.generation
    )


def conclude(rollout: Rollout, facts: Facts, now: datetime, winner: Winner) -> events.RolloutConcluded:
    """End an A/B test with what a person reads from it; the stable version serves all until the next release.

    Raises: Conflict, Refused with every reason.
    """
    expect(rollout, "be concluded", *EXPOSED)
    if rollout.plan.experiment is None:
        raise Conflict(f"The rollout of {rollout.ref} is no A/B test.", remedy="Promote, abort or roll back.")
    reasons = conclusion_reasons(rollout, facts, now, winner)
    if reasons:
        raise Refused(f"The A/B test of {rollout.ref} cannot be concluded so.", reasons=reasons)
    route = replace(_receipt(rollout, facts), pins=given_back_pins(rollout.plan, _routed(facts), now))
    return events.RolloutConcluded(
        **_common(rollout),
        winner=winner.value,
        n_canary_units=facts.judgement.n_canary_units,
        figures=_figures(facts.judgement),
        route=compile_route(route),
        route_generation=route.generation,
    )


def roll_back(rollout: Rollout, facts: Facts, now: datetime) -> events.RolloutRolledBack:  # noqa: ARG001 -- all moves have one signature
    """Apply the receipt again; after a promotion, while nothing came since. Raises: Conflict, Refused."""
    expect(rollout, "roll back", *EXPOSED, State.PROMOTED)
    route = _routed(facts)
    if rollout.state is State.PROMOTED and (route.stable != rollout.subject or route.rollout is not None):
        raise Conflict(
            f"{rollout.name} has moved on since {rollout.ref} was promoted.",
            remedy="Abort or roll back the rollout that came after it.",
        )
    _expect_cause(rollout, facts)
    back = _receipt(rollout, facts)
    judgement = facts.judgement
    return events.RolloutRolledBack(
        **_common(rollout),
        stable=back.stable,
        step=rollout.step,
        automatic=facts.automatic,
        because=facts.because.value,
        guard=judgement.guard if facts.because is Because.GUARD else None,
        e_value=f"{judgement.e_value:.12g}",
        n_canary_units=judgement.n_canary_units,
        figures=_figures(judgement),
        route=compile_route(back),
        route_generation=back.generation,
    )


def decide(rollout: Rollout, judgement: Judgement, now: datetime) -> tuple[Move, Because | None]:
    """Say what an automatic actor does now. Paused rollouts are still guarded."""
    if rollout.state not in EXPOSED:
        return Move.HOLD, None
    if judgement.verdict is Verdict.FAIL:
        return Move.ROLL_BACK, Because.GUARD
    if breaking_objectives(rollout, judgement):
        return Move.ROLL_BACK, Because.SLO
    if rollout.state is State.PAUSED:
        return Move.HOLD, None
    if not judgement.slo_kept:
        return Move.PAUSE, Because.SLO
    if rollout.plan.experiment is not None:
        is_over = elapsed_s(rollout, now) >= rollout.current.max_time_s
        return (Move.PAUSE, Because.READ) if is_over else (Move.HOLD, None)
    if not shortfalls(rollout, judgement, now):
        if rollout.current.gate:
            return Move.PAUSE, Because.GATE
        return (Move.PROMOTE if rollout.is_last_step else Move.ADVANCE), None
    if rollout.current.share < 1 and elapsed_s(rollout, now) >= rollout.current.max_time_s:
        return Move.PAUSE, Because.INCONCLUSIVE
    return Move.HOLD, None


def verdict(rollout: Rollout, judgement: Judgement, now: datetime) -> tuple[Verdict, list[Reason]]:
    """Judge the step that runs; what is missing stands beside it."""
    if rollout.state is State.PROMOTED:
        return Verdict.PASS, []
    if rollout.state is State.CONCLUDED:
        return Verdict.PASS, []
    if rollout.state is State.ROLLED_BACK or judgement.verdict is Verdict.FAIL:
        return Verdict.FAIL, harm_reasons(judgement)
    if rollout.state not in EXPOSED:
        return Verdict.INCONCLUSIVE, [Reason("state", f"The rollout is {rollout.state}.")]
    lacking = [
        *harm_reasons(judgement),
        *shortfalls(rollout, judgement, now),
        *reading_reasons(rollout, judgement),
    ]
    return (Verdict.INCONCLUSIVE if lacking else Verdict.PASS), lacking


def _may_grow(rollout: Rollout, facts: Facts, now: datetime) -> None:
    """Check that exposure may grow: a person may decide what is inconclusive, never over harm or haste."""
    reasons = [*facts.objections, *harm_reasons(facts.judgement)]
    if facts.automatic:
        reasons += shortfalls(rollout, facts.judgement, now)
        if rollout.state is State.PAUSED or rollout.current.gate:
            reasons.append(Reason("person", "The step waits for a person.", "Promote it by hand."))
    else:
        reasons += time_reasons(rollout, now)
    if reasons:
        raise Refused(f"The rollout of {rollout.ref} cannot grow.", reasons=reasons)


def expect(rollout: Rollout, verb: str, *states: State) -> None:
    """Check that the rollout is in one of the states. Raises: Conflict."""
    if rollout.state not in states:
        raise Conflict(
            f"The rollout of {rollout.ref} is {rollout.state.replace('_', ' ')}; it cannot {verb}.",
            remedy=f"Possible when it is: {', '.join(sorted(s.replace('_', ' ') for s in states))}.",
        )


def _expect_ramp(rollout: Rollout) -> None:
    if rollout.plan.experiment is not None:
        raise Conflict(
            f"The A/B test of {rollout.ref} has no further step.",
            remedy="Conclude it; a winner goes out by a release of its own.",
        )


def _expect_cause(rollout: Rollout, facts: Facts) -> None:
    """Check that nobody but a person takes a version back without a cause. Raises: Refused."""
    judgement = facts.judgement
    causes = {
        Because.GUARD: judgement.verdict is Verdict.FAIL,
        Because.SLO: bool(breaking_objectives(rollout, judgement)),
    }
    if facts.automatic and not causes.get(facts.because, True):
        raise Refused(
            f"No guard failed for {rollout.ref}.",
            reasons=[
                Reason(
                    "verdict",
                    "An automatic rollback needs a guard that failed.",
                    have=judgement.verdict.value,
                )
            ],
        )


def _routed(facts: Facts) -> Route:
    if facts.route is None:
        raise Conflict("The route is gone.")
    return facts.route


def _receipt(rollout: Rollout, facts: Facts) -> Route:
    """Give the route before the rollout, as a newer generation; a kill since then stays."""
    now = _routed(facts)
    if rollout.receipt is None:
        raise Conflict(f"The rollout of {rollout.ref} has no receipt to go back to.")
    return replace(
        read_route(rollout.receipt),
        previous=None,
        pins=(),
        enabled=now.enabled,
        cut=now.cut,
        rollout=None,
        generation=now.generation + 1,
    )


def _common(rollout: Rollout) -> dict[str, Any]:
    return {
        "project": rollout.project,
        "environment": rollout.environment,
        "rollout": rollout.id,
        "name": rollout.name,
        "subject": rollout.subject,
        "generation": rollout.generation + 1,
    }


def _figures(judgement: Judgement) -> dict[str, Any]:
    figures: dict[str, Any] = exact(dict(judgement.figures))
    return figures


def adopt(route: Route | None, event: events.VersionAdopted) -> events.VersionAdopted:
    """Take over what was live before. Raises: Conflict where the environment has a route for the name."""
    if route is not None:
        raise Conflict(
            f"{event.environment} has a route for {event.name} already.",
            remedy="Ask for a release: a version can be adopted only where nothing is routed yet.",
        )
    return event


def kill(route: Route, project: str, environment: str, *, cut: bool = False) -> events.RouteKilled:
    """Let the name answer nobody; `cut` ends calls under way too. Raises: Conflict when it does already."""
    if not route.enabled and (route.cut or not cut):
        raise Conflict(f"{route.key} is switched off already.")
    after = replace(route, enabled=False, cut=cut, pins=(), generation=route.generation + 1)
    return events.RouteKilled(**_rewritten(after, project, environment))


def restore(route: Route, project: str, environment: str) -> events.RouteRestored:
    """Let the name answer again. Raises: Conflict when it does."""
    if route.enabled:
        raise Conflict(f"{route.key} is not switched off.")
    after = replace(route, enabled=True, cut=False, generation=route.generation + 1)
    return events.RouteRestored(**_rewritten(after, project, environment))


def cool(route: Route, project: str, environment: str) -> events.RouteCooled:
    """Let go of the version that was kept warm. Raises: Conflict where there is none."""
    if route.previous is None:
        raise Conflict(f"{route.key} keeps no version warm.")
    after = replace(route, previous=None, generation=route.generation + 1)
    return events.RouteCooled(**_rewritten(after, project, environment))


def drill(route: Route, project: str, environment: str, drill_id: str) -> events.RouteDrilled:
    """Write the route again as it stands, so that the way to every replica can be timed."""
    after = replace(route, generation=route.generation + 1)
    return events.RouteDrilled(**_rewritten(after, project, environment), drill=drill_id)


def _rewritten(after: Route, project: str, environment: str) -> dict[str, Any]:
    return {
        "project": project,
        "environment": environment,
        "name": after.key,
        "route": compile_route(after),
        "route_generation": after.generation,
    }
