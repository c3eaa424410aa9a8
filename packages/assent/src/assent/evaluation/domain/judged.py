"""What judges make of a run: a judge decides a gate only by its passport, and its rate is corrected by it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from assent.evaluation.domain.cases import CaseRecord, Outcome, Reply
from assent.evaluation.domain.gate import Verdict
from assent.evaluation.domain.judge import Judge
from assent.evaluation.domain.passport import (
    Counts,
    Estimate,
    Share,
    agreement,
    order_bias,
    rogan_gladen,
    shared,
    written,
)
from assent.evaluation.domain.result import Result

USABLE = "usable"
UNCORRECTED = "uncorrected"


@dataclass(frozen=True, slots=True)
class Standing:
    """A judge of a suite as it stands at a time: `state` is usable, or why it may not decide.

    `table` is that of its passport, `calibrated_on` the version whose answers people labelled.
    """

    metric: str
    judge: Judge
    state: str
    remedy: str = ""
    passport: str | None = None
    calibrated_on: str | None = None
    table: Counts | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """What one judge did in a run: how often it was off-format, agreed with itself, followed the order.

    `judged` is the share of answers that it called positive; `corrected` that share freed of its errors.
    """

    standing: Standing
    n_replies: int
    n_unread: int
    n_missing: int
    self_agreement: Share | None
    order_bias: Share | None
    judged: float | None
    n: int
    corrected: Estimate | None


def look(standing: Standing, records: Sequence[CaseRecord]) -> Judged:
    """Gather what a judge said of the candidate."""
    judge = standing.judge
    mine = [[r for r in one.replies if r.judge == judge.digest] for one in records if one.side == "candidate"]
    replies = [reply for one in mine for reply in one]
    texts = [reply.text for reply in replies if reply.text is not None]
    values = _values(standing.metric, records) if judge.bounds is None and not judge.pairwise else []
    rate = sum(values) / len(values) if values else None
    corrected = None
    if rate is not None and standing.state == USABLE and standing.table is not None:
        corrected = rogan_gladen(rate, len(values), standing.table)
    return Judged(
        standing=standing,
        n_replies=len(texts),
        n_unread=sum(judge.parse(text) is None for text in texts),
        n_missing=len(replies) - len(texts),
        self_agreement=agreement([texts for one in mine for texts in _by_order(one).values()], judge),
        order_bias=order_bias(
            [
                (found[0][0], found[1][0])
                for one in mine
                if len(found := _by_order(one)) == len(("one", "other"))
            ],
            judge,
        ),
        judged=rate,
        n=len(values),
        corrected=corrected,
    )


def _by_order(replies: Sequence[Reply]) -> Mapping[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for reply in replies:
        if reply.text is not None:
            found[reply.order].append(reply.text)
    return found


def _values(metric: str, records: Sequence[CaseRecord]) -> list[float]:
    """Give the judged score of each sample, repeats averaged; refusals were not judged."""
    found: dict[str, list[float]] = defaultdict(list)
    for record in records:
        value = record.score(metric)
        if record.side == "candidate" and record.outcome is Outcome.SCORED and value is not None:
            found[record.sample].append(value)
    return [sum(values) / len(values) for values in found.values()]


def conclude(
    result: Result, metric: str, standings: Sequence[Standing], records: Sequence[CaseRecord]
) -> tuple[Result, tuple[Judged, ...]]:
    """Let a judge decide the gate on `metric` only where it may; say what each judge did."""
    judged = tuple(look(one, records) for one in standings)
    for one in standings:
        if one.metric == metric and one.state != USABLE:
            reason = f"the judge of {metric} may not decide: {one.state}. {one.remedy}"
            judgement = replace(
                result.judgement,
                verdict=Verdict.INCONCLUSIVE,
                reasons=(reason, *result.judgement.reasons),
                more_samples=None,
            )
            return replace(result, judgement=judgement), judged
    return result, judged


def to_document(one: Judged) -> dict[str, Any]:
    """Write what a judge did; figures are decimal text."""
    standing = one.standing
    return {
        "metric": standing.metric,
        "judge": standing.judge.digest,
        "model": standing.judge.model,
        "state": standing.state,
        "remedy": standing.remedy,
        "passport": standing.passport,
        "calibrated_on": standing.calibrated_on,
        "warnings": list(standing.warnings),
        "n_replies": one.n_replies,
        "off_format": one.n_unread,
        "unanswered": one.n_missing,
        "self_agreement": shared(one.self_agreement),
        "order_bias": shared(one.order_bias),
        "judged": None if one.judged is None else format(one.judged, ".9g"),
        "n": one.n,
        "corrected": UNCORRECTED if one.corrected is None else written(one.corrected),
    }
