"""Rollouts: each action locks the route's row, asks the rules, and records what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from assent.approvals import service as approvals
from assent.delivery import store
from assent.delivery.domain import (
    EXPOSED,
    Because,
    Facts,
    Judgement,
    Move,
    Rollout,
    State,
    Verdict,
    Winner,
    moves,
    read_route,
)
from assent.delivery.service import effects
from assent.delivery.service.judging import keep_judgement, latest_judgement
from assent.delivery.service.sampled import judged_by
from assent.delivery.service.watch import announce
from assent.kernel.errors import NotFound, Reason, Refused, Stale
from assent.kernel.events import Event, Recorded
from assent.kernel.reasons import keep_reason
from assent.kernel.tx import Reader, Tx

GROWING = frozenset({Move.ADVANCE, Move.PROMOTE})
MoveOf = Callable[[Rollout, Facts, datetime], Event]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What somebody wants with a rollout. `generation`: what they saw of it, if they say so."""

    rollout: str
    project: str | None = None
    reason: str | None = None
    generation: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    """What a look at a rollout led to; `event` is None where nothing moved."""

    move: Move
    because: Because | None
    rollout: Rollout
    event: Recorded[Event] | None


def get(reader: Reader, rollout: str, project: str | None = None, *, lock: bool = False) -> Rollout:
    """Get a rollout, of a project if one is named. Raises: NotFound."""
    return store.rollout_of(get_row(reader, rollout, project, lock=lock))


def get_row(
    reader: Reader, rollout: str, project: str | None = None, *, lock: bool = False
) -> dict[str, Any]:
    """Get all that is stored of a rollout. Raises: NotFound."""
    row = store.find_rollout(reader.conn, rollout, lock=lock)
    if row is None or project not in {None, row["project"]}:
        raise NotFound(f"There is no rollout {rollout!r}.", remedy="`assent rollout list` shows them.")
    return row


def list_(
    reader: Reader, project: str, where: Mapping[str, Any], before: str | None = None, limit: int = 50
) -> tuple[list[Rollout], str | None]:
    """List a page of a project's rollouts, newest first, and where the next page begins.

    `where`: environment, name, subject, state (a value, or a list of them); None is any.
    """
    wanted = {"project": project, **{name: value for name, value in where.items() if value is not None}}
    rows = store.list_rollouts(reader.conn, wanted, before, limit + 1)
    found = [store.rollout_of(row) for row in rows[:limit]]
    return found, found[-1].id if len(rows) > limit else None


def list_running(reader: Reader) -> list[Rollout]:
    """List the rollouts of all projects that have a share of the traffic: those that are watched."""
    rows = store.list_rollouts(reader.conn, {"state": sorted(EXPOSED)})
    return [store.rollout_of(row) for row in rows]


def list_waiting(reader: Reader) -> list[Rollout]:
    """List the rollouts that wait for their time."""
    return [store.rollout_of(row) for row in store.list_rollouts(reader.conn, {"state": State.WAITING.value})]


def start(tx: Tx, ask: Ask) -> Rollout:
    """Start a rollout, or let it wait for its time: policy, votes and plan are checked now, all together.

    Raises: NotFound, Stale, Conflict, Refused with every reason.
    """
    rollout, facts = locked(tx, ask)
    moves.expect(rollout, "start", State.PLANNED, State.WAITING)
    waits = rollout.plan.start_at is not None and tx.now() < rollout.plan.start_at
    facts = _admitted(tx, rollout, facts, admit=not waits)
    event = moves.start(rollout, facts, tx.now())
    record(tx, rollout, event, keep_reason(tx, ask.reason))
    return get(tx, rollout.id)


def pause(tx: Tx, ask: Ask) -> Rollout:
    """Let the ramp stand still. Raises: NotFound, Stale, Conflict."""
    return _act(tx, ask, moves.pause)


def resume(tx: Tx, ask: Ask) -> Rollout:
    """Let the ramp go on. Raises: NotFound, Stale, Conflict, Refused."""
    return _act(tx, ask, moves.resume)


def promote(tx: Tx, ask: Ask) -> Rollout:
    """Go on to the next step, or, at the last, make the subject the stable version.

    Raises: NotFound, Stale, Conflict, Refused.
    """
    rollout, facts = locked(tx, ask)
    move = moves.promote if rollout.state in EXPOSED and rollout.is_last_step else moves.advance
    return _moved(tx, ask, rollout, move(rollout, _objected(tx, rollout, facts), tx.now()))


def abort(tx: Tx, ask: Ask) -> Rollout:
    """End it and give its traffic back. Raises: NotFound, Stale, Conflict."""
    return _act(tx, ask, moves.abort)


def roll_back(tx: Tx, ask: Ask) -> Rollout:
    """Apply the route from before the rollout again. Raises: NotFound, Stale, Conflict."""
    return _act(tx, ask, moves.roll_back)


def conclude(tx: Tx, ask: Ask, winner: Winner) -> Rollout:
    """End an A/B test with what a person reads from it. Raises: NotFound, Stale, Conflict, Refused."""
    rollout, facts = locked(tx, ask)
    return _moved(tx, ask, rollout, moves.conclude(rollout, facts, tx.now(), winner))


def step(tx: Tx, rollout_id: str, judgement: Judgement) -> Stepped:
    """Do what a judgement calls for: hold, advance, promote, pause or roll back. Raises: NotFound."""
    rollout, facts = locked(tx, Ask(rollout=rollout_id))
    keep_judgement(tx, rollout_id, judgement)
    move, because = moves.decide(rollout, judgement, tx.now())
    if move in GROWING:  # taking exposure back asks nobody
        facts = _objected(tx, rollout, facts)
    if move is Move.HOLD or facts.objections:
        return Stepped(move=Move.HOLD, because=None, rollout=rollout, event=None)
    facts = replace(facts, judgement=judgement, automatic=True, because=because or Because.PERSON)
    moved: MoveOf = getattr(moves, move.value)
    recorded = record(tx, rollout, moved(rollout, facts, tx.now()), None)
    return Stepped(move=move, because=because, rollout=get(tx, rollout_id), event=recorded)


def roll_back_for_kill(tx: Tx, rollout_id: str, reason: str | None) -> None:
    """Take a rollout back because its name is being switched off."""
    rollout, facts = locked(tx, Ask(rollout=rollout_id))
    event = moves.roll_back(rollout, replace(facts, because=Because.KILL), tx.now())
    record(tx, rollout, event, reason)


def verdict(reader: Reader, rollout: Rollout) -> tuple[str, Judgement, list[Reason]]:
    """Give the verdict on the step that runs, the judgement behind it, and what is missing.

    In a freeze window nothing passes, so that nobody who reads this goes on.
    """
    judgement = latest_judgement(reader, rollout.id)
    found, lacking = moves.verdict(rollout, judgement, reader.now())
    freezes = approvals.freeze_reasons(reader, rollout.request) if rollout.state in EXPOSED else []
    if freezes and found is Verdict.PASS:
        found = Verdict.INCONCLUSIVE
    return found.value, judgement, [*lacking, *freezes]


def _act(tx: Tx, ask: Ask, move: MoveOf) -> Rollout:
    rollout, facts = locked(tx, ask)
    return _moved(tx, ask, rollout, move(rollout, facts, tx.now()))


def _moved(tx: Tx, ask: Ask, rollout: Rollout, event: Event) -> Rollout:
    record(tx, rollout, event, keep_reason(tx, ask.reason))
    return get(tx, rollout.id)


def _objected(reader: Reader, rollout: Rollout, facts: Facts) -> Facts:
    """Object to growth that nobody agreed to, in a freeze, or while a review of a break-glass is overdue."""
    debts = approvals.debts(reader, rollout.project, rollout.name)
    freezes = approvals.freeze_reasons(reader, rollout.request)
    share = 1.0 if rollout.is_last_step else rollout.plan.steps[rollout.step + 1].share
    return replace(facts, objections=(*debts, *freezes, *_beyond(reader, rollout, share)))


def _beyond(reader: Reader, rollout: Rollout, share: float) -> list[Reason]:
    return approvals.share_reasons(reader, rollout.request, share)


def record(tx: Tx, rollout: Rollout, event: Event, reason: str | None) -> Recorded[Event]:
    """Record a move and what follows from it."""
    recorded = tx.record(event, reason=reason)
    effects.moved(tx, rollout, recorded)
    announce(tx.conn)
    return recorded


def locked(tx: Tx, ask: Ask) -> tuple[Rollout, Facts]:
    """Lock the route and read the rollout behind the lock. Raises: NotFound, Stale."""
    seen = get(tx, ask.rollout, ask.project)
    row = store.find_route(tx.conn, seen.project, seen.environment, seen.name, lock=True)
    rollout = get(tx, ask.rollout, lock=True)
    if ask.generation is not None and ask.generation != rollout.generation:
        raise Stale(
            f"The rollout changed: you saw generation {ask.generation}, it is at {rollout.generation}.",
            remedy="Look at it again, then repeat the action.",
        )
    route = None if row is None else read_route(row.document)
    return rollout, Facts(
        route=route,
        judgement=latest_judgement(tx, rollout.id),
        automatic=tx.actor.kind == "system",
        judged=judged_by(tx, (seen.project, seen.environment, seen.name), rollout.plan),
    )


def _admitted(tx: Tx, rollout: Rollout, facts: Facts, *, admit: bool) -> Facts:
    """Ask the policy: now for good, or, where the start is later, whether it would agree."""
    try:
        if not admit:
            approvals.check(tx, rollout.request)
            return facts
        decision = approvals.admit(tx, rollout.request)
    except Refused as error:
        return replace(facts, objections=(*error.reasons, *_beyond(tx, rollout, rollout.plan.first_share)))
    if beyond := _beyond(tx, rollout, rollout.plan.first_share):
        return replace(facts, objections=tuple(beyond))
    return replace(facts, decision=decision.event, decision_kind=decision.kind)
