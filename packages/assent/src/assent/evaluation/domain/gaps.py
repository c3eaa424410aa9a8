"""Gaps between groups: what a metric is for each, and how far apart any two are on the same cases.

Cases of one cluster differ only by the group that they speak of (counterfactual swaps), so two groups are
compared cluster by cluster. The largest gap is held against a limit without correction for having looked
at several: every pair must lie within it (intersection-union). That some pair lies beyond is claimed by
bounds that hold for all pairs together (Bonferroni).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from assent.evaluation.domain.cases import CaseRecord
from assent.evaluation.domain.dataset import Row
from assent.evaluation.domain.gate import MIN_CLUSTERS, Gate, Judgement, Verdict
from assent.evaluation.domain.paired import Floats, mean
from assent.evaluation.domain.proportions import Discordant, Interval, tango
from assent.evaluation.domain.several import Contrast, contrast, is_binary, with_holm

METHOD = "max_gap"
MAX_GROUPS = 20
"""Of more groups the levels are given, and no pairs."""
Scores = Mapping[str, Mapping[str, float]]
"""The score of each group by cluster, cases and repeats averaged."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """A metric by group: levels, and the differences of all pairs, each with Holm's adjusted p-value."""

    metric: str
    levels: tuple[Contrast, ...]
    pairs: tuple[Contrast, ...]
    n_without: int

    @property
    def largest(self) -> Contrast | None:
        """Find the pair that is furthest apart, written so that its difference is not negative."""
        return max(self.pairs, key=lambda one: abs(one.value), default=None)

    def to_document(self) -> dict[str, Any]:
        """Write it for a result."""
        largest = self.largest
        return {
            "metric": self.metric,
            "groups": [one.to_document() for one in self.levels],
            "pairs": [one.to_document() for one in self.pairs],
            "largest": None if largest is None else largest.to_document(),
            "n_without": self.n_without,
        }


def scores_by_group(
    field: str, rows: Sequence[Row], records: Sequence[CaseRecord], metric: str
) -> tuple[Scores, int]:
    """Gather the candidate's scores by group and cluster; count the cases that name no group or cluster."""
    groups = {row.key: (group_of(row, field), row.cluster) for row in rows}
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        group, cluster = groups.get(record.sample, (None, None))
        value = record.score(metric) if record.side == "candidate" else None
        if group is not None and cluster is not None and value is not None:
            found[group][cluster].append(value)
    n_without = sum(group is None or cluster is None for group, cluster in groups.values())
    averaged = {
        group: {cluster: sum(values) / len(values) for cluster, values in clusters.items()}
        for group, clusters in sorted(found.items())
    }
    return averaged, n_without


def group_of(row: Row, field: str) -> str | None:
    """Name the group that a row speaks of: a field of its metadata."""
    found = row.metadata.get(field)
    return found if isinstance(found, str) and found else None


def gaps(field: str, rows: Sequence[Row], records: Sequence[CaseRecord], metric: str) -> Gaps:
    """Estimate a metric for each group and the gap of each pair, two-sided 95 % intervals."""
    scores, n_without = scores_by_group(field, rows, records, metric)
    levels = [contrast(group, values, None) for group, values in scores.items()]
    pairs = []
    for one, other in combinations(scores, 2) if len(scores) <= MAX_GROUPS else ():
        found = contrast(f"{one} minus {other}", scores[one], scores[other])
        if found is not None and found.value < 0:
            found = contrast(f"{other} minus {one}", scores[other], scores[one])
        pairs.append(found)
    return Gaps(
        metric,
        tuple(one for one in levels if one is not None),
        tuple(with_holm([one for one in pairs if one is not None])),
        n_without,
    )


def judge_gaps(gate: Gate, scores: Scores) -> Judgement:
    """Decide whether no two groups are further apart than the gate's limit.

    Pass: every pair's difference lies within the limit, `alpha` in each tail. Fail: some pair's lies beyond
    it, by bounds that hold for all pairs at once. `estimate` and interval are those of the largest gap.
    """
    if not 2 <= len(scores) <= MAX_GROUPS:  # noqa: PLR2004 -- a gap takes two
        return _open(0, f"{len(scores)} groups have scores; 2 to {MAX_GROUPS} are compared")
    differences = {pair: _differences(scores[pair[0]], scores[pair[1]]) for pair in combinations(scores, 2)}
    if empty := [pair for pair, d in differences.items() if len(d) == 0]:
        return _open(0, f"no cluster has scores of both {' and '.join(empty[0])}")
    widest = max(differences, key=lambda pair: abs(float(np.mean(differences[pair]))))
    apart = differences[widest] * (1.0 if float(np.mean(differences[widest])) >= 0 else -1.0)
    n, gap, named = len(apart), float(np.mean(apart)), " and ".join(widest)
    shown, bounds = _bounds(apart, gate.alpha), [_bounds(d, gate.alpha) for d in differences.values()]
    if shown is None or None in bounds:
        return _open(n, f"fewer than {MIN_CLUSTERS} clusters, or scores without spread, decide nothing", gap)
    if all(one is not None and -gate.limit < one.low and one.high < gate.limit for one in bounds):
        return Judgement(Verdict.PASS, gap, shown, n, METHOD)
    strict = [_bounds(d, gate.alpha / (2 * len(differences))) for d in differences.values()]
    if any(one is not None and (one.low > gate.limit or one.high < -gate.limit) for one in strict):
        return Judgement(Verdict.FAIL, gap, shown, n, METHOD, (f"{named} are furthest apart",))
    reason = f"{named} are furthest apart, and the bounds leave both a pass and a fail open"
    return Judgement(Verdict.INCONCLUSIVE, gap, shown, n, METHOD, (reason,))


def _differences(one: Mapping[str, float], other: Mapping[str, float]) -> Floats:
    shared = sorted(one.keys() & other.keys())
    return np.array([one[cluster] - other[cluster] for cluster in shared], dtype=np.float64)


def _open(n: int, reason: str, estimate: float | None = None) -> Judgement:
    return Judgement(Verdict.INCONCLUSIVE, estimate, None, n, METHOD, (reason,))


def _bounds(differences: Floats, tail: float) -> Interval | None:
    """Bound a mean difference; None where that cannot be done."""
    if is_binary(np.abs(differences)):
        gained, lost = int(np.sum(differences > 0)), int(np.sum(differences < 0))
        return tango(Discordant(gained, lost, len(differences)), tail)
    estimate = mean(differences)
    return estimate.interval(tail) if estimate.n >= MIN_CLUSTERS else None
