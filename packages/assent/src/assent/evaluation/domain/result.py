"""From the records of a run to what is published: coverage, estimates, worst cases, verdict. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import numpy as np

from assent.evaluation.domain.cases import CaseRecord, Outcome, Side, run_digest
from assent.evaluation.domain.dataset import Row
from assent.evaluation.domain.figures import figure
from assent.evaluation.domain.gaps import judge_gaps, scores_by_group
from assent.evaluation.domain.gate import Judgement, Rule, Sample, Verdict, judge
from assent.evaluation.domain.paired import mean
from assent.evaluation.domain.proportions import Interval, share_interval
from assent.evaluation.domain.sequential import judge_early
from assent.evaluation.domain.several import is_binary
from assent.evaluation.domain.suite import REFUSED, Suite

_LEVEL_TAIL = 0.025


@dataclass(frozen=True, slots=True)
class Level:
    """The mean of one metric on one side, with its two-sided 95 % interval and its worst-case bounds.

    `coverage` is the share of planned answers that have a value; `worst` and `best` assume that all
    the others were 0 and 1.
    """

    metric: str
    side: Side
    value: float | None
    low: float | None
    high: float | None
    n: int
    coverage: float
    worst: float
    best: float


@dataclass(frozen=True, slots=True)
class Result:
    """What a run says. `gained` and `lost` are the samples that flipped, by sample key.

    `stopped`: which budget was used up before all was asked.
    """

    judgement: Judgement
    coverage: float
    levels: tuple[Level, ...]
    outcomes: Mapping[str, Mapping[str, int]]
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    digest: str
    stopped: str | None = None


def summarise(
    suite: Suite,
    rows: Sequence[Row],
    records: Iterable[CaseRecord],
    *,
    paired: bool,
    stopped: str | None = None,
) -> Result:
    """Compute everything that a run publishes from its records; one that a budget stopped is inconclusive."""
    kept = list(records)
    sides: tuple[Side, ...] = ("candidate", "baseline") if paired else ("candidate",)
    looked_at = _looked_at(suite, rows, kept, sides) if suite.gate.early else rows
    metrics = [*(s.name for s in suite.scorers), REFUSED]
    n_planned = len(rows) * suite.repeats
    tables = {side: _values(kept, side, suite.gate.metric) for side in sides}
    sample, keys, coverage = _sample(suite, looked_at, tables)
    gate = suite.gate
    if gate.rule is Rule.MAX_GAP:
        judgement = judge_gaps(gate, scores_by_group(suite.groups or "", rows, kept, gate.metric)[0])
    else:
        judgement = judge_early(gate, sample, len(rows)) if gate.early else judge(gate, sample)
    if coverage < suite.coverage:
        reason = f"coverage is {coverage:.1%}, below the suite's minimum of {suite.coverage:.1%}"
        judgement = _inconclusive(judgement, reason)
    if stopped is not None:
        judgement = _inconclusive(judgement, f"the run stopped: {stopped}")
    gained, lost = _flips(keys, sample)
    return Result(
        judgement=judgement,
        coverage=coverage,
        levels=tuple(_level(suite, kept, side, metric, n_planned) for metric in metrics for side in sides),
        outcomes={side: _outcomes(kept, side, n_planned) for side in sides},
        gained=gained,
        lost=lost,
        digest=run_digest(kept),
        stopped=stopped,
    )


def _values(records: Sequence[CaseRecord], side: Side, metric: str) -> dict[tuple[str, int], float]:
    return {
        (r.sample, r.repeat): value
        for r in records
        if r.side == side and (value := r.score(metric)) is not None
    }


def _sample(
    suite: Suite, rows: Sequence[Row], tables: Mapping[Side, Mapping[tuple[str, int], float]]
) -> tuple[Sample, list[str], float]:
    candidate, baseline = tables["candidate"], tables.get("baseline")
    n_found, keys, clusters = 0, [], []
    means: list[tuple[float, float]] = []
    for row in rows:
        found = [
            (candidate[at], 0.0 if baseline is None else baseline[at])
            for repeat in range(suite.repeats)
            if (at := (row.key, repeat)) in candidate and (baseline is None or at in baseline)
        ]
        n_found += len(found)
        if found:
            keys.append(row.key)
            clusters.append(_cluster(suite, row))
            means.append((sum(f[0] for f in found) / len(found), sum(f[1] for f in found) / len(found)))
    columns = np.array(means, dtype=np.float64).reshape(-1, 2)
    sample = Sample(
        candidate=columns[:, 0],
        baseline=None if baseline is None else columns[:, 1],
        clusters=clusters if suite.cluster is not None else None,
        binary=suite.is_binary(suite.gate.metric) and is_binary(columns),
    )
    return sample, keys, n_found / max(1, len(rows) * suite.repeats)


def asked_in_order(suite: Suite, rows: Sequence[Row]) -> Sequence[Row]:
    """Give the rows in the order of asking: as written, or by key where a run may stop early."""
    return sorted(rows, key=lambda row: row.key) if suite.gate.early else rows


def _looked_at(
    suite: Suite, rows: Sequence[Row], records: Sequence[CaseRecord], sides: tuple[Side, ...]
) -> list[Row]:
    """Give the first rows of the order, up to the first that is not answered on all sides yet.

    What answered quickly further on is left out: it is no random sample.
    """
    n_found = Counter(record.sample for record in records)
    n_needed = suite.repeats * len(sides)
    return list(takewhile(lambda row: n_found[row.key] == n_needed, asked_in_order(suite, rows)))


def decided_early(
    suite: Suite, rows: Sequence[Row], records: Iterable[CaseRecord], *, paired: bool
) -> Verdict | None:
    """Give the verdict of a gate that may be decided early, once it is."""
    kept = list(records)
    sides: tuple[Side, ...] = ("candidate", "baseline") if paired else ("candidate",)
    looked_at = _looked_at(suite, rows, kept, sides)
    tables = {side: _values(kept, side, suite.gate.metric) for side in sides}
    sample, _, coverage = _sample(suite, looked_at, tables)
    verdict = judge_early(suite.gate, sample, len(rows)).verdict
    return None if verdict is Verdict.INCONCLUSIVE or coverage < suite.coverage else verdict


def _cluster(suite: Suite, row: Row) -> str:
    """Name a row's cluster: its own field, or a field of its metadata; a row without one stands alone."""
    named = row.cluster if suite.cluster == "cluster" else row.metadata.get(suite.cluster or "")
    return f"row {row.key}" if named is None else f"cluster {named}"


def _inconclusive(judgement: Judgement, reason: str) -> Judgement:
    return replace(
        judgement,
        verdict=Verdict.INCONCLUSIVE,
        reasons=(reason, *judgement.reasons),
        more_samples=None,
    )


def _flips(keys: Sequence[str], sample: Sample) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if sample.baseline is None:
        return (), ()
    difference = sample.candidate - sample.baseline
    return (
        tuple(key for key, d in zip(keys, difference, strict=True) if d > 0),
        tuple(key for key, d in zip(keys, difference, strict=True) if d < 0),
    )


def _outcomes(records: Sequence[CaseRecord], side: Side, n_planned: int) -> dict[str, int]:
    counts = Counter(r.outcome.value for r in records if r.side == side)
    missing = n_planned - sum(counts.values())
    return {outcome.value: counts[outcome.value] for outcome in Outcome} | {"not_asked": missing}


def _level(suite: Suite, records: Sequence[CaseRecord], side: Side, metric: str, n_planned: int) -> Level:
    by_sample: dict[str, list[float]] = defaultdict(list)
    for (sample, _repeat), score in _values(records, side, metric).items():
        by_sample[sample].append(score)
    n_values = sum(len(values) for values in by_sample.values())
    total = sum(sum(values) for values in by_sample.values())
    missing = n_planned - n_values
    value: float | None = None
    interval: Interval | None = None
    if by_sample:
        means = np.array([sum(v) / len(v) for v in by_sample.values()])
        value = float(np.mean(means))
        if suite.is_binary(metric) and is_binary(means):
            interval = share_interval(float(np.sum(means)), len(means), _LEVEL_TAIL)
        else:
            interval = mean(means).interval(_LEVEL_TAIL)
    low = None if interval is None else max(0.0, interval.low)
    high = None if interval is None else min(1.0, interval.high)
    return Level(
        metric, side, value, low, high, len(by_sample), n_values / n_planned, total / n_planned,
        (total + missing) / n_planned,
    )  # fmt: skip


def to_document(result: Result) -> dict[str, Any]:
    """Write a result for the wire and for its body."""
    said = result.judgement
    return {
        "verdict": said.verdict.value,
        "estimate": figure(said.estimate),
        "low": figure(said.interval.low if said.interval else None),
        "high": figure(said.interval.high if said.interval else None),
        "n": said.n,
        "method": said.method,
        "p_value": figure(said.p_value),
        "reasons": list(said.reasons),
        "more_samples": said.more_samples,
        "coverage": figure(result.coverage),
        "levels": [
            {
                "metric": level.metric,
                "side": level.side,
                "n": level.n,
                **{
                    slot: figure(getattr(level, slot))
                    for slot in ("value", "low", "high", "coverage", "worst", "best")
                },
            }
            for level in result.levels
        ],
        "outcomes": {side: dict(counts) for side, counts in result.outcomes.items()},
        "gained": list(result.gained),
        "lost": list(result.lost),
        "digest": result.digest,
        "stopped": result.stopped,
    }
