"""Looking at a rollout: which blocks are due, what they say, and what follows. Reads only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from assent.delivery import service as delivery
from assent.delivery.domain import EXPOSED, Judgement, Metric, Plan, Rollout, Verdict
from assent.kernel.canonical import digest
from assent.kernel.tx import Reader
from assent.monitoring.domain import state as states
from assent.monitoring.domain.events import BlockClosed, GuardCounts, GuardFigures, block_document
from assent.monitoring.domain.intervals import rate_interval
from assent.monitoring.domain.latency import quantile
from assent.monitoring.domain.scores import LEVELS, Arm, Histogram, block_index, quantise, tally
from assent.monitoring.domain.state import Terms, Watched
from assent.monitoring.domain.verdict import Look, judge, units_to_detect
from assent.monitoring.service import quality
from assent.monitoring.service.experiments import read_test, with_amounts
from assent.monitoring.service.shadowing import with_shadow
from assent.monitoring.store import blocks as store
from assent.monitoring.store import reading
from assent.monitoring.store.blocks import UnitTally, Watch
from assent.monitoring.store.samples import Place

GRACE_S = 2.0
"""How long after a block's end its observations may still be on their way (gateways send every second)."""

MAX_BLOCKS_PER_LOOK = 300
DISPLAY_ALPHA = 0.05
BASELINE_S = 3_600
SLOT_S = 10
SLOW_SHARE = 0.95
LARGEST = 1e300
_LOOKED_AT: Mapping[str, Callable[[UnitTally], int]] = {
    Metric.GUARDRAIL.value: lambda row: row.n_guarded,
    Metric.JUDGE.value: lambda row: row.n_judged,
}
"""Metrics of which only some units have a score: how many of a unit's calls were looked at."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One look: the blocks that are due, the state after them, and the judgement."""

    watch: Watch
    is_new: bool
    blocks: tuple[BlockClosed, ...]
    terms: Terms
    watched: Watched
    judgement: Judgement
    guards: tuple[GuardFigures, ...]


def look(reader: Reader, rollout: Rollout) -> Sight:
    """Look at a rollout."""
    found = store.find_watch(reader.conn, rollout.id)
    watch = found or new_watch(reader, rollout)
    terms = states.terms_of(rollout.plan)
    before = block_index(reader.now().timestamp() - GRACE_S, watch.block_s)
    # Once a rollout has ended its blocks are what they are: nobody would record another one.
    tallies = store.tallies(reader.conn, watch, before) if rollout.state in EXPOSED else []
    due = with_amounts(reader, rollout, _due(rollout, watch, terms, tallies))
    watched = state_after(reader, watch, terms)
    for block in due:
        watched = states.take(watched, block.guards)
    guards = guard_figures(watched, terms)
    missing = {*missing_metrics(watch, terms), *_unseen(watched, terms)}
    if Metric.JUDGE in terms.metrics and quality.trouble(reader, _place(rollout)) is not None:
        missing.add(Metric.JUDGE.value)
    judgement = _judgement(rollout.plan, terms, watched, guards, sorted(missing))
    judgement = with_shadow(reader, rollout, judgement)
    if rollout.plan.experiment is not None:
        figures = {**judgement.figures, "experiment": _experiment(reader, rollout, due)}
        judgement = replace(judgement, figures=figures)
    return Sight(watch, found is None, due, terms, watched, judgement, guards)


def _place(rollout: Rollout) -> Place:
    return Place(rollout.project, rollout.environment, rollout.name)


def _experiment(reader: Reader, rollout: Rollout, due: Sequence[BlockClosed]) -> Any:
    """Read an A/B test anew when a block closes; between blocks only units that wait for the first change."""
    kept = delivery.latest_judgement(reader, rollout.id).figures.get("experiment")
    is_new = kept is None or not any(one["n_canary"] + one["n_stable"] for one in kept["metrics"])
    return read_test(reader, rollout, due) if due or is_new else kept


def new_watch(reader: Reader, rollout: Rollout) -> Watch:
    """Fix what a rollout is scored by: window, blocks, and what "slow" means, from before its start."""
    plan = rollout.plan
    return Watch(rollout.id, plan.window_s, plan.block_s, _slow_above(reader, rollout), -1, None)


def _slow_above(reader: Reader, rollout: Rollout) -> float | None:
    """Give the p95 latency of the stable version in the hour before; None when it had no calls."""
    plan = rollout.plan
    watched = {g.metric for g in plan.guards} | {o.metric for o in plan.slo}
    if Metric.SLOW not in watched or rollout.stable is None:
        return None
    where = {
        "project": rollout.project,
        "environment": rollout.environment,
        "route": rollout.name,
        "version": rollout.stable,
    }
    return slow_above(reader, where)


def slow_above(reader: Reader, where: dict[str, str]) -> float | None:
    """Give the p95 latency of the hour before somewhere; None when there were no calls."""
    now_slot = int(reader.now().timestamp() // SLOT_S)
    slots = (now_slot - BASELINE_S // SLOT_S, now_slot + 1)
    ids = [row.id for row in reading.sums_by_series(reader.conn, where, *slots)]
    merged: dict[int, int] = {}
    for (_, kind), counts in reading.histograms(reader.conn, ids, *slots).items():
        if kind == 0:
            for bucket, n in counts.items():
                merged[bucket] = merged.get(bucket, 0) + n
    return quantile(merged, SLOW_SHARE)


def state_after(reader: Reader, watch: Watch, terms: Terms) -> Watched:
    """Give the state after the last closed block: kept, or computed again from the blocks."""
    if watch.state is not None:
        return states.load(watch.state, terms)
    return states.replay(terms, (block.guards for block in store.closed_blocks(reader.conn, watch.rollout)))


def missing_metrics(watch: Watch, terms: Terms) -> tuple[str, ...]:
    """List the metrics for which no scores can be made."""
    computable = {Metric.ERROR, Metric.REFUSAL, Metric.THUMBS_DOWN, Metric.GUARDRAIL, Metric.JUDGE}
    if watch.slow_above_s is not None:
        computable.add(Metric.SLOW)
    return tuple(name for name in terms.metrics if name not in computable)


def _unseen(watched: Watched, terms: Terms) -> list[str]:
    """List the metrics that no unit had a score of although units were scored: nobody looked.

    A judge must have looked at both arms: what it says of one alone compares nothing.
    """
    if not watched.n_canary + watched.n_stable:
        return []
    return [name for name in terms.metrics if name in _LOOKED_AT and not _n_seen(watched, name)]


def _n_seen(watched: Watched, metric: str) -> int:
    guard = watched.guards[metric]
    n_stable, n_canary = guard.process.n_stable, guard.proof.n_canary
    return min(n_stable, n_canary) if metric == Metric.JUDGE else n_stable + n_canary


def _due(
    rollout: Rollout, watch: Watch, terms: Terms, tallies: Sequence[UnitTally]
) -> tuple[BlockClosed, ...]:
    missing = missing_metrics(watch, terms)
    metrics = [name for name in terms.metrics if name not in missing] or [Metric.ERROR.value]
    closed: list[BlockClosed] = []
    for block, alike in groupby(tallies, key=lambda t: t.block):
        if len(closed) == MAX_BLOCKS_PER_LOOK:
            break
        rows = list(alike)
        guards = tuple(_counts(metric, rows) for metric in metrics)
        closed.append(
            BlockClosed(
                project=rollout.project,
                rollout=rollout.id,
                block=block,
                opened_at=datetime.fromtimestamp(block * watch.block_s, UTC),
                closed_at=datetime.fromtimestamp((block + 1) * watch.block_s, UTC),
                guards=guards,
                digest=digest(block_document(guards, ())),
            )
        )
    return tuple(closed)


def _counts(metric: str, rows: Sequence[UnitTally]) -> GuardCounts:
    arms = {arm: scores_of(metric, [row for row in rows if row.arm == arm]).counts for arm in Arm}
    return GuardCounts(metric=metric, canary=arms[Arm.CANARY], stable=arms[Arm.STABLE])


def scores_of(metric: str, rows: Sequence[UnitTally]) -> Histogram:
    """Give the scores of units; whom no guardrail (no judge) looked at has none for guardrails (judges)."""
    looked_at = _LOOKED_AT.get(metric)
    counted = rows if looked_at is None else [row for row in rows if looked_at(row)]
    return tally((_score(metric, row), row.n_units) for row in counted)


def _score(metric: str, row: UnitTally) -> int:
    """Give a unit's score: its mean over the calls (or opinions) in its window; none of them scores 0."""
    if metric == Metric.THUMBS_DOWN:
        return quantise(row.badness, row.n_feedback)
    if metric == Metric.GUARDRAIL:
        return quantise(row.n_hits, row.n_guarded)
    if metric == Metric.JUDGE:
        return quantise(row.judged_badness, row.n_judged)
    bad = {Metric.ERROR: row.n_errors, Metric.REFUSAL: row.n_refusals, Metric.SLOW: row.n_slow}
    return quantise(bad[Metric(metric)], row.n_calls)


def guard_figures(watched: Watched, terms: Terms) -> tuple[GuardFigures, ...]:
    """Give what is shown of each guard."""
    figures = []
    for name, weight in sorted(terms.weights.items()):
        guard = watched.guards[name]
        process, proven = guard.process, guard.proof
        canary = rate_interval(proven.canary_badness / LEVELS, proven.n_canary, DISPLAY_ALPHA)
        stable = rate_interval(process.stable_badness / LEVELS, process.n_stable, DISPLAY_ALPHA)
        figures.append(
            GuardFigures(
                metric=name,
                weight=str(weight),
                e_value=str(process.e_value),
                n_canary=proven.n_canary,
                n_stable=process.n_stable,
                canary_rate=_mean(proven.canary_badness, proven.n_canary),
                stable_rate=_mean(process.stable_badness, process.n_stable),
                canary_interval=(_share(canary.low), _share(canary.high)),
                stable_interval=(_share(stable.low), _share(stable.high)),
            )
        )
    return tuple(figures)


def _mean(badness: int, n: int) -> str:
    return _share(badness / LEVELS / n) if n else "0"


def _share(value: float) -> str:
    return f"{value:.6f}"


def _judgement(
    plan: Plan, terms: Terms, watched: Watched, guards: Sequence[GuardFigures], missing: Sequence[str]
) -> Judgement:
    weighed = states.weighing(watched, terms)
    broken = states.broken_objectives(watched, terms)
    verdict = Verdict.INCONCLUSIVE
    if weighed is not None:
        proofs = {name: watched.guards[name].proof.factor for name in terms.margins}
        seen = Look(
            n_canary=watched.n_canary,
            n_stable=watched.n_stable,
            weighing=weighed,
            proofs=proofs,
            missing=missing,
        )
        verdict = judge(seen, terms.alpha)
    return Judgement(
        verdict=verdict,
        guard=weighed.worst if weighed else None,
        e_value=min(float(weighed.total), LARGEST) if weighed else 1.0,
        n_canary_units=watched.n_canary,
        n_stable_units=watched.n_stable,
        n_detecting=_n_detecting(plan, watched),
        broken=broken,
        unknown=tuple(missing),
        figures={
            "guards": [figure_document(guard) for guard in guards],
            "threshold": f"{1 / terms.alpha:g}",
            "broken_objectives": list(broken),
            "units_to_detect": _to_detect(plan, watched),
        },
    )


def _n_detecting(plan: Plan, watched: Watched) -> int | None:
    """Give the canary units that the metric of the declared harm has scored, where those are not all."""
    if plan.detect is None or plan.detect.metric != Metric.JUDGE or Metric.JUDGE not in watched.guards:
        return None
    return watched.guards[Metric.JUDGE].proof.n_canary


def _to_detect(plan: Plan, watched: Watched) -> int | None:
    """Give the canary units in which the declared harm is found on average, at the present split."""
    if plan.detect is None or not watched.n_canary or not watched.n_stable or not plan.guards:
        return None
    share = plan.weight(plan.detect.metric) * plan.alpha
    ratio = watched.n_stable / watched.n_canary
    needed = units_to_detect(plan.detect.usual, plan.detect.harmful, share, ratio)
    return round(needed) if needed < LARGEST else None


def figure_document(guard: GuardFigures) -> Mapping[str, Any]:
    """Write a guard's figures as JSON."""
    return {
        "metric": guard.metric,
        "weight": guard.weight,
        "e_value": guard.e_value,
        "n_canary": guard.n_canary,
        "n_stable": guard.n_stable,
        "canary_rate": guard.canary_rate,
        "stable_rate": guard.stable_rate,
        "canary_interval": list(guard.canary_interval),
        "stable_interval": list(guard.stable_interval),
    }
