"""Break-glass: a rollout that starts before its policy is fulfilled, and what its end does to the route."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from assent.approvals import service as approvals
from assent.approvals.service import BreakGlass, Outcome
from assent.delivery import store
from assent.delivery.domain import EXPOSED, Because, Rollout, State, events, moves, read_route
from assent.delivery.service import rollouts
from assent.delivery.service.rollouts import Ask
from assent.kernel.errors import Conflict, Refused
from assent.kernel.reasons import keep_reason
from assent.kernel.tx import Reader, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyStart:
    """What goes out before its policy is fulfilled; `ask.reason` says why, `incident` where it is kept."""

    ask: Ask
    incident: str
    life: timedelta
    step_up_s: int


def start_by_break_glass(tx: Tx, wanted: EmergencyStart) -> Rollout:
    """Start a rollout before its policy is fulfilled; its request stays open to votes.

    Raises: NotFound, Stale, Conflict, Invalid, Refused with every reason.
    """
    rollout, facts = rollouts.locked(tx, wanted.ask)
    moves.expect(rollout, "start", State.PLANNED, State.WAITING)
    if rollout.plan.start_at is not None and tx.now() < rollout.plan.start_at:
        raise Conflict(
            f"The plan of {rollout.ref} begins at {rollout.plan.start_at.isoformat()}.",
            remedy="File it again with a plan that has no start_at.",
        )
    decision = approvals.open_break_glass(
        tx,
        approvals.Emergency(
            request=rollout.request,
            project=rollout.project,
            reason=wanted.ask.reason or "",
            incident=wanted.incident,
            life=wanted.life,
            step_up_s=wanted.step_up_s,
        ),
    )
    facts = replace(facts, decision=decision.event, decision_kind=decision.kind)
    rollouts.record(tx, rollout, moves.start(rollout, facts, tx.now()), keep_reason(tx, wanted.ask.reason))
    return rollouts.get(tx, rollout.id)


def settle_break_glass(tx: Tx, which: str) -> Outcome | None:
    """End a break-glass whose time is over, whose request was approved, or whose rollout is gone.

    Time that is over applies the receipt from before the rollout again. Gives the outcome, None while it
    goes on. Raises: NotFound.
    """
    held = approvals.get_break_glass(tx, which)
    rollout, facts = rollouts.locked(tx, Ask(rollout=_rollout_of(tx, held)))
    held = approvals.get_break_glass(tx, which, lock=True)
    if held.outcome is not None:
        return None
    outcome = _taken_back(tx, rollout) or _approved(tx, rollout) or held.due(tx.now())
    if outcome is None:
        return None
    if outcome in {Outcome.OVER, Outcome.UNSECONDED}:
        event = moves.roll_back(rollout, replace(facts, because=Because.BREAK_GLASS), tx.now())
        rollouts.record(tx, rollout, event, None)
    approvals.end_break_glass(tx, held, outcome)
    return outcome


def _rollout_of(reader: Reader, held: BreakGlass) -> str:
    row = store.list_rollouts(reader.conn, {"request": held.request}, limit=1)[0]
    return str(row["id"])


def _taken_back(reader: Reader, rollout: Rollout) -> Outcome | None:
    """Tell whether the version is out no more through this rollout."""
    if rollout.state in EXPOSED:
        return None
    row = store.find_route(reader.conn, rollout.project, rollout.environment, rollout.name)
    stable = None if row is None else read_route(row.document).stable
    out = rollout.state is State.PROMOTED and stable == rollout.subject
    return None if out else Outcome.TAKEN_BACK


def _approved(tx: Tx, rollout: Rollout) -> Outcome | None:
    """Admit the version by its request, if by now the policy is fulfilled."""
    try:
        decision = approvals.admit(tx, rollout.request)
    except Refused:
        return None
    event = events.RolloutAdmitted(
        project=rollout.project,
        environment=rollout.environment,
        rollout=rollout.id,
        name=rollout.name,
        subject=rollout.subject,
        generation=rollout.generation + 1,
        decision=decision.event,
        decision_kind=decision.kind,
    )
    rollouts.record(tx, rollout, event, None)
    return Outcome.APPROVED
