"""The state of a rollout's guards after its closed blocks: a fold, so it can be computed again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, Decimal
from typing import Any

from assent.delivery.domain import Plan
from assent.monitoring.domain import eprocess, proof
from assent.monitoring.domain.eprocess import ARITHMETIC, Process, Weighing, weigh
from assent.monitoring.domain.events import GuardCounts
from assent.monitoring.domain.intervals import Interval, rate_interval
from assent.monitoring.domain.proof import Proof
from assent.monitoring.domain.scores import LEVELS

SLO_BLOCKS = 10
SLO_ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class GuardState:
    """One metric's evidence of harm, and where it guards, of staying within its margin."""

    process: Process
    proof: Proof


@dataclass(frozen=True, slots=True)
class Watched:
    """All metrics of a rollout; `recent` holds (units, badness in 1/256) of both arms, newest block last."""

    guards: Mapping[str, GuardState]
    n_canary: int = 0
    n_stable: int = 0
    recent: tuple[Mapping[str, tuple[int, int]], ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """What a plan asks of the statistics."""

    weights: Mapping[str, Decimal]
    margins: Mapping[str, Decimal]
    limits: Mapping[str, float] = field(default_factory=dict)  # service level objectives
    alpha: float = 0.05
    compared: tuple[str, ...] = ()  # what an A/B test compares

    @property
    def metrics(self) -> tuple[str, ...]:
        """List what is scored, by name."""
        return tuple(sorted({*self.weights, *self.limits, *self.compared}))


def terms_of(plan: Plan) -> Terms:
    """Read a plan. Weights whose sum is a rounding error above 1 are scaled down to it."""
    weights = {guard.metric.value: Decimal(str(guard.weight)) for guard in plan.guards}
    total = sum(weights.values())
    if total > 1:
        nine = Decimal("1e-9")
        weights = {
            name: ARITHMETIC.divide(weight, total).quantize(nine, ROUND_DOWN)
            for name, weight in weights.items()
        }
    return Terms(
        weights=weights,
        margins={guard.metric.value: Decimal(str(guard.margin)) for guard in plan.guards},
        limits={objective.metric.value: objective.most for objective in plan.slo},
        alpha=plan.alpha,
        compared=_compared(plan),
    )


def _compared(plan: Plan) -> tuple[str, ...]:
    test = plan.experiment
    return () if test is None else tuple(metric.value for metric in (test.primary, *test.metrics))


def begin(terms: Terms) -> Watched:
    """Give the state before the first block."""
    beyond = Decimal(1)  # a metric without a margin of its own proves nothing
    return Watched({m: GuardState(Process(), Proof(terms.margins.get(m, beyond))) for m in terms.metrics})


def take(watched: Watched, counts: Sequence[GuardCounts]) -> Watched:
    """Take one block in. A metric that the block lacks (it could not be computed) stays as it was."""
    guards = dict(watched.guards)
    n_canary = n_stable = 0
    recent: dict[str, tuple[int, int]] = {}
    for one in counts:
        block = one.block()
        # Whom no guardrail looked at has no score for guardrails: other metrics have more units.
        n_canary, n_stable = max(n_canary, block.canary.n), max(n_stable, block.stable.n)
        recent[one.metric] = (block.canary.n + block.stable.n, block.canary.badness + block.stable.badness)
        before = guards.get(one.metric)
        if before is not None:
            proven = before.proof
            if proven.margin < 1:
                proven = proof.advance(proven, block)
            else:  # keep the counts of the canary, which the process does not have
                proven = replace(
                    proven,
                    n_canary=proven.n_canary + block.canary.n,
                    canary_badness=proven.canary_badness + block.canary.badness,
                )
            guards[one.metric] = GuardState(eprocess.advance(before.process, block), proven)
    return Watched(
        guards,
        watched.n_canary + n_canary,
        watched.n_stable + n_stable,
        (*watched.recent, recent)[-SLO_BLOCKS:],
    )


def replay(terms: Terms, blocks: Iterable[Sequence[GuardCounts]]) -> Watched:
    """Compute the state from the first block on."""
    watched = begin(terms)
    for counts in blocks:
        watched = take(watched, counts)
    return watched


def weighing(watched: Watched, terms: Terms) -> Weighing | None:
    """Add the guards up; None where a plan has no guards."""
    if not terms.weights:
        return None
    return weigh({name: watched.guards[name].process for name in terms.weights}, terms.weights)


def broken_objectives(watched: Watched, terms: Terms) -> tuple[str, ...]:
    """List the objectives that both arms together break: the recent rate is above the limit for certain."""
    limits = sorted(terms.limits.items())
    return tuple(name for name, most in limits if recent_rate(watched, name).low > most)


def recent_rate(watched: Watched, metric: str) -> Interval:
    """Give the interval of a metric's rate in both arms together over the newest blocks."""
    pairs = [block[metric] for block in watched.recent if metric in block]
    n = sum(units for units, _ in pairs)
    badness = sum(bad for _, bad in pairs)
    return rate_interval(badness / LEVELS, n, SLO_ALPHA)


def dump(watched: Watched) -> dict[str, Any]:
    """Write the state as JSON; decimals as strings with all their digits."""
    return {
        "n_canary": watched.n_canary,
        "n_stable": watched.n_stable,
        "recent": [{name: list(pair) for name, pair in block.items()} for block in watched.recent],
        "guards": {
            name: {
                "factors": [str(factor) for factor in guard.process.factors],
                "n_stable": guard.process.n_stable,
                "stable_badness": guard.process.stable_badness,
                "n_canary": guard.proof.n_canary,
                "canary_badness": guard.proof.canary_badness,
                "proof": str(guard.proof.factor),
            }
            for name, guard in watched.guards.items()
        },
    }


def load(document: Mapping[str, Any], terms: Terms) -> Watched:
    """Read what `dump` wrote, under the terms that it was written under."""
    fresh = begin(terms)
    return Watched(
        {name: _guard(document["guards"][name], guard) for name, guard in fresh.guards.items()},
        document["n_canary"],
        document["n_stable"],
        tuple({name: (pair[0], pair[1]) for name, pair in block.items()} for block in document["recent"]),
    )


def _guard(kept: Mapping[str, Any], fresh: GuardState) -> GuardState:
    n_stable, stable_badness = (kept["n_stable"], kept["stable_badness"])
    proven = fresh.proof.margin < 1
    return GuardState(
        Process(tuple(Decimal(factor) for factor in kept["factors"]), n_stable, stable_badness),
        Proof(
            fresh.proof.margin,
            Decimal(kept["proof"]),
            kept["n_canary"],
            kept["canary_badness"],
            n_stable if proven else 0,
            stable_badness if proven else 0,
        ),
    )
