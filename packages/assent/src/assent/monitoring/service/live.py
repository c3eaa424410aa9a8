"""Live figures: what each version does to latency, errors, tokens and opinions."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from assent.delivery import service as delivery
from assent.delivery.domain import Judgement, Metric, Rollout
from assent.kernel.tx import Reader
from assent.monitoring.domain import state as states
from assent.monitoring.domain.events import counts_document
from assent.monitoring.domain.scores import Arm
from assent.monitoring.service import quality, report
from assent.monitoring.service.looking import SLOT_S, figure_document, look
from assent.monitoring.store import blocks, reading
from assent.monitoring.store.samples import Place

NEWEST_BLOCKS = 60


def by_version(reader: Reader, project: str, *, last_s: int, **where: str) -> list[dict[str, Any]]:
    """Give live figures per environment, route, variant and version over the last seconds.

    `where` narrows by environment, route, variant or version.
    """
    return [
        {**key._asdict(), **report.figures(tally)}
        for key, tally in report.tallies(reader, project, report.last(reader, last_s), where)
    ]


def over_time(reader: Reader, project: str, *, last_s: int, **where: str) -> list[dict[str, Any]]:
    """Give the sums of each version per slot of ten seconds, oldest first."""
    to_slot = int(reader.now().timestamp() // SLOT_S) + 1
    from_slot = int((reader.now() - timedelta(seconds=last_s)).timestamp() // SLOT_S)
    rows = reading.sums_by_slot(reader.conn, {"project": project, **where}, from_slot, to_slot)
    return [
        {
            "at_s": row.slot * SLOT_S,
            "version": row.version,
            "n_calls": int(row.n_calls),
            "n_errors": int(row.n_errors),
            "n_feedback": int(row.n_feedback),
            "badness": float(row.badness),
        }
        for row in rows
    ]


def observers(reader: Reader, project: str) -> dict[str, Any]:
    """Say who observes, what was lost on the way, and how much feedback fits no call."""
    rows = reading.lost(reader.conn, project)
    return {
        "instances": [
            {"instance": row.instance, "n_dropped": int(row.n_dropped), "seen_at_s": row.seen_at}
            for row in rows
        ],
        "n_dropped": sum(int(row.n_dropped) for row in rows),
        "n_unmatched_feedback": reading.n_unmatched_feedback(reader.conn),
    }


def rollout_figures(reader: Reader, project: str, rollout: str) -> dict[str, Any]:
    """Give what a rollout's guards say now: units, badness and interval per arm, E per guard, blocks.

    Raises: NotFound.
    """
    found = delivery.get(reader, rollout, project)
    terms = states.terms_of(found.plan)
    sight = look(reader, found)
    counts = reading.unit_counts(reader.conn, rollout)
    weighed = states.weighing(sight.watched, terms)
    newest = blocks.closed_blocks(reader.conn, rollout, NEWEST_BLOCKS)
    return {
        "rollout": rollout,
        "state": found.state.value,
        "verdict": sight.judgement.verdict.value,
        "total": str(weighed.total) if weighed else None,
        "threshold": sight.judgement.figures["threshold"],
        "alpha": terms.alpha,
        "unknown": list(sight.judgement.unknown),
        "alarms": _alarms(reader, found, sight.judgement),
        "slo_kept": sight.judgement.slo_kept,
        "units_to_detect": sight.judgement.figures["units_to_detect"],
        "interval_method": "beta confidence sequence, 95 %, valid at every look",
        "guards": [
            {**figure_document(guard), "margin": str(terms.margins[guard.metric])} for guard in sight.guards
        ],
        "arms": {arm.value: _arm(counts.get(arm.value), arm, sight.judgement) for arm in Arm},
        "slow_above_s": sight.watch.slow_above_s,
        "window_s": sight.watch.window_s,
        "block_s": sight.watch.block_s,
        "blocks": [
            {"block": b.block, "digest": b.digest, "guards": counts_document(b.guards)} for b in newest
        ],
    }


def _alarms(reader: Reader, rollout: Rollout, judgement: Judgement) -> list[str]:
    if not rollout.share:
        return []
    why = dict.fromkeys(judgement.unknown, "no scores arrive for it")
    if Metric.JUDGE in why:
        place = Place(rollout.project, rollout.environment, rollout.name)
        why[Metric.JUDGE] = quality.trouble(reader, place) or "it has graded no call of one of the versions"
    alarms = [f"{name} cannot be computed: {reason}" for name, reason in why.items()]
    broken = judgement.figures["broken_objectives"]
    return [*alarms, *(f"{name} is over its limit in both arms; the ramp is frozen" for name in broken)]


def _arm(row: sa.Row[Any] | None, arm: Arm, judgement: Any) -> dict[str, Any]:
    scored = judgement.n_canary_units if arm is Arm.CANARY else judgement.n_stable_units
    return {
        "n_units": int(row.n_units) if row is not None else 0,
        "n_scored_units": scored,
        "n_calls": int(row.n_calls) if row is not None else 0,
        "n_late": int(row.n_late) if row is not None else 0,
        "late_badness": float(row.late_badness) if row is not None else 0.0,
    }
