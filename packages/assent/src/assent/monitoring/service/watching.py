"""Watching rollouts: close what is due, hand the judgement to delivery, open incidents."""

from assent.delivery import service as delivery
from assent.delivery.domain import Because, Move, Rollout
from assent.delivery.domain.checks import breaking_objectives
from assent.delivery.domain.moves import decide
from assent.kernel.ids import new_id
from assent.kernel.tx import Reader, Tx
from assent.monitoring.domain import state as states
from assent.monitoring.domain.events import GuardFigures, IncidentOpened
from assent.monitoring.domain.verdict import threshold
from assent.monitoring.service.looking import Sight, new_watch
from assent.monitoring.store import blocks as store
from assent.monitoring.store.blocks import Watch


def watch_of(tx: Tx, rollout: str) -> Watch | None:
    """Give what a rollout is scored by, fixing it at the first call; None where no such rollout runs."""
    found = store.find_watch(tx.conn, rollout)
    if found is not None:
        return found
    running = next((one for one in delivery.list_running(tx) if one.id == rollout), None)
    if running is None:
        return None
    store.add_watch(tx.conn, new_watch(tx, running))
    return store.find_watch(tx.conn, rollout)


def needs_writing(reader: Reader, rollout: Rollout, sight: Sight) -> bool:
    """Tell whether a look led to anything: a closed block, a first look, mirrored calls, or a move."""
    move, _ = decide(rollout, sight.judgement, reader.now())
    if sight.is_new or sight.blocks or move is not Move.HOLD:
        return True
    n_shadow = sight.judgement.n_shadow
    return n_shadow > 0 and n_shadow != delivery.latest_judgement(reader, rollout.id).n_shadow


def apply(tx: Tx, rollout: Rollout, sight: Sight) -> Move | None:
    """Record what a look found, in one transaction; None when another worker was faster.

    Closed blocks become events, delivery takes the step that the judgement calls for, and where a guard
    failed the incident opens together with the rollback.
    """
    if sight.is_new:
        store.add_watch(tx.conn, sight.watch)
    if sight.blocks:
        through = sight.blocks[-1].block
        if not store.move_watch(tx.conn, sight.watch, through, states.dump(sight.watched)):
            return None
        for block in sight.blocks:
            tx.record(block)
    stepped = delivery.step(tx, rollout.id, sight.judgement)
    if stepped.move is Move.ROLL_BACK and stepped.because is Because.GUARD:
        tx.record(incident_of(rollout, sight))
    elif stepped.move is Move.ROLL_BACK:
        tx.record(objective_incident_of(rollout, sight))
    return stepped.move


def incident_of(rollout: Rollout, sight: Sight) -> IncidentOpened:
    """Write down which guard took a rollout back, in figures. Raises: ValueError for a plan without one."""
    weighed = states.weighing(sight.watched, sight.terms)
    if weighed is None:
        raise ValueError("a plan without guards cannot fail one")
    worst = next(guard for guard in sight.guards if guard.metric == weighed.worst)
    limit = threshold(sight.terms.alpha)
    return _incident(
        rollout,
        sight,
        guard=weighed.worst,
        total=str(weighed.total),
        threshold=f"{limit:f}",
        summary=_summary(worst, f"{weighed.total:.1f}", f"{float(limit):g}"),
    )


def objective_incident_of(rollout: Rollout, sight: Sight) -> IncidentOpened:
    """Write down which service level objective took a version with all the traffic back.

    The total is the certain rate (the lower bound over the newest blocks), the threshold the objective.
    """
    name = breaking_objectives(rollout, sight.judgement)[0]
    rate = states.recent_rate(sight.watched, name)
    limit = sight.terms.limits[name]
    return _incident(
        rollout,
        sight,
        guard=name,
        total=f"{rate.low:.6f}",
        threshold=f"{limit:g}",
        summary=f"{name}: {rate.low:.3f} to {rate.high:.3f} of the newest units, {limit:g} allowed",
    )


def _incident(rollout: Rollout, sight: Sight, **cause: str) -> IncidentOpened:
    return IncidentOpened(
        incident=new_id("inc"),
        project=rollout.project,
        environment=rollout.environment,
        rollout=rollout.id,
        route=rollout.name,
        subject=rollout.subject,
        last_block=max([sight.watch.closed_through, *(block.block for block in sight.blocks)]),
        guards=sight.guards,
        **cause,
    )


def _summary(worst: GuardFigures, total: str, limit: str) -> str:
    def arm(name: str, n: int, rate: str, interval: tuple[str, str]) -> str:
        low, high = (float(bound) for bound in interval)
        return f"{name} {float(rate):.3f} ({low:.3f} to {high:.3f}, {n} units)"

    canary = arm("canary", worst.n_canary, worst.canary_rate, worst.canary_interval)
    stable = arm("stable", worst.n_stable, worst.stable_rate, worst.stable_interval)
    return f"{worst.metric}: {canary}, {stable}; evidence {total} reached {limit}"
