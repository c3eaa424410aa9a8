"""What the watch over a live version compares with: its rollout, its evaluation, or a stated limit."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from assent.delivery import service as delivery
from assent.delivery.domain import Metric, State
from assent.delivery.service import Live
from assent.kernel.ids import new_id
from assent.kernel.tx import Reader
from assent.monitoring.domain import state as states
from assent.monitoring.domain.alerts import Condition
from assent.monitoring.domain.eprocess import equal_weights
from assent.monitoring.domain.regression import Reference, Terms, Watched, limit_of, reference
from assent.monitoring.domain.scores import LEVELS
from assent.monitoring.domain.watch_events import WatchedMetric, WatchStarted
from assent.monitoring.service import baseline
from assent.monitoring.service.looking import slow_above, state_after
from assent.monitoring.store import blocks

USUAL_WINDOW_S, USUAL_BLOCK_S = 600, 60
STATED = "stated"


@dataclass(frozen=True, slots=True)
class Base:
    """How units are scored, and what is known of each metric; `weights` are the plan's, if there is one."""

    window_s: int
    block_s: int
    slow_above_s: float | None
    references: Mapping[str, Reference]
    weights: Mapping[str, Decimal]


def terms_for(reader: Reader, alert: Any, condition: Condition, live: Live) -> WatchStarted | None:
    """Give the terms of a watch over a live version; None where nothing is known to compare with."""
    base = _base(reader, alert, condition, live)
    if base is None:
        return None
    asked = condition.metrics or tuple(base.weights) or tuple(base.references)
    known = [metric for metric in asked if metric in base.references]
    if not known:
        return None
    planned = not condition.metrics and set(known) == set(base.weights)
    weights = base.weights if planned else equal_weights(known)
    return WatchStarted(
        project=alert.project,
        watch=new_id("wch"),
        alert=alert.id,
        environment=alert.environment,
        route=live.route.key,
        version=live.route.stable,
        window_s=base.window_s,
        block_s=base.block_s,
        arl_days=condition.arl_days,
        hold_s=condition.window_s,
        slow_above_s=None if base.slow_above_s is None else f"{base.slow_above_s:.6g}",
        metrics=tuple(
            _metric(name, weights[name], base.references[name], condition.margin) for name in known
        ),
    )


def _base(reader: Reader, alert: Any, condition: Condition, live: Live) -> Base | None:
    if condition.above:
        return _stated(reader, alert, condition, live)
    if condition.suite is not None:
        return _evaluated(reader, alert.project, live.route.stable, condition.suite)
    return _rolled_out(reader, alert, live)


def _evaluated(reader: Reader, project: str, version: str, suite: str) -> Base | None:
    """Read the run that the version passed: its refusals, and the latency that 5 % of its answers exceed."""
    known = baseline.find(reader, project, version, suite)
    if known is None or not known.n_answers:
        return None
    run, slow = known.run.id, known.slow_above_s
    references = {Metric.REFUSAL.value: reference(run, known.n_refused, known.n_answers)}
    if slow is not None:
        n_slow = sum(one > slow for one in known.latencies_s)
        references[Metric.SLOW.value] = reference(run, n_slow, len(known.latencies_s))
    return Base(USUAL_WINDOW_S, USUAL_BLOCK_S, slow, references, {})


def _metric(name: str, weight: Decimal, known: Reference, margin: Decimal) -> WatchedMetric:
    return WatchedMetric(
        metric=name,
        weight=f"{weight:f}",
        limit=f"{limit_of(known.high, margin):f}",
        source=known.source,
        reference_n=known.n,
        reference_rate=f"{known.rate:.6f}",
        reference_interval=(f"{known.low:.6f}", f"{known.high:.6f}"),
    )


def _rolled_out(reader: Reader, alert: Any, live: Live) -> Base | None:
    """Read the figures with which the version passed its rollout; None where it came without one."""
    where = {"environment": alert.environment, "name": live.route.key, "subject": live.route.stable}
    found, _ = delivery.list_(reader, alert.project, {**where, "state": State.PROMOTED.value}, limit=1)
    scored = blocks.find_watch(reader.conn, found[0].id) if found else None
    if scored is None:
        return None
    rollout = found[0]
    terms = states.terms_of(rollout.plan)
    watched = state_after(reader, scored, terms)
    references = {
        name: reference(rollout.id, guard.proof.canary_badness / LEVELS, guard.proof.n_canary)
        for name, guard in watched.guards.items()
        if guard.proof.n_canary and not (name == Metric.SLOW and scored.slow_above_s is None)
    }
    return Base(int(scored.window_s), int(scored.block_s), scored.slow_above_s, references, terms.weights)


def _stated(reader: Reader, alert: Any, condition: Condition, live: Live) -> Base:
    asked = condition.metrics or (Metric.ERROR.value,)
    where = {"project": alert.project, "environment": alert.environment, "route": live.route.key}
    slow = slow_above(reader, {**where, "version": live.route.stable})
    limit = float(condition.above)
    stated = Reference(source=STATED, n=0, rate=limit, low=limit, high=limit)
    known = {name: stated for name in asked if not (name == Metric.SLOW and slow is None)}
    return Base(USUAL_WINDOW_S, USUAL_BLOCK_S, slow, known, {})


def terms_of(watch: Any) -> Terms:
    """Read the terms of a watch's row."""
    metrics = tuple(
        Watched(metric=one["metric"], weight=Decimal(one["weight"]), limit=Decimal(one["limit"]))
        for one in watch.metrics
    )
    return Terms(metrics=metrics, block_s=watch.block_s, arl_days=watch.arl_days)
