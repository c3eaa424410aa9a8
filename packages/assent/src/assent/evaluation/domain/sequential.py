"""Deciding early: an interval that holds at every look, so a run may stop as soon as its gate is decided.

Rows are asked in the order of their keys, which are hashes and know nothing of the content: the rows looked
at first are a random sample. Looks are at fixed numbers of scored rows of that order, whichever answer came
first, so the journal alone says at which look a run was decided.
Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas 2021, arXiv 2103.06476, theorem 2.2 and appendix B.2.
"""

import math

import numpy as np

from assent.evaluation.domain.gate import Gate, Judgement, Sample, Verdict, more_samples, verdict_of
from assent.evaluation.domain.proportions import Interval

FIRST_LOOK = 100
"""The sequence is asymptotic: before so many scored rows nothing is decided."""
EVERY = 10
METHOD = "confidence sequence"


def half_width(deviation: float, n: int, tail: float, n_planned: int) -> float:
    """Give half the width after `n` rows; tightest at half the planned rows. `tail`: error on each side."""
    alpha = 2 * tail
    squared = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / (n_planned / 2)
    grown = n * squared + 1
    return deviation * math.sqrt(2 * grown / (n * n * squared) * math.log(math.sqrt(grown) / alpha))


def judge_early(gate: Gate, sample: Sample, n_planned: int) -> Judgement:
    """Give the first look that decides, or what the newest look says; `sample` is in the order of keys."""
    scores = sample.candidate if sample.baseline is None else sample.candidate - sample.baseline
    n = len(scores)
    looks = list(range(FIRST_LOOK, n + 1, EVERY))
    if n >= n_planned and n >= FIRST_LOOK and looks[-1:] != [n]:
        looks.append(n)  # all is asked: there will be no later look
    if not looks:
        estimate = float(np.mean(scores)) if n else None
        reason = f"{n} cases have a score; the first look is at {FIRST_LOOK}"
        return Judgement(Verdict.INCONCLUSIVE, estimate, None, n, METHOD, (reason,), FIRST_LOOK - n)
    means = np.cumsum(scores) / np.arange(1, n + 1)
    squares = np.cumsum(scores**2)
    interval = None
    for look in looks:
        centre = float(means[look - 1])
        variance = max(0.0, float(squares[look - 1]) - look * centre * centre) / (look - 1)
        if variance < 1e-12:  # noqa: PLR2004 -- rounding dust: zero spread proves no certainty
            interval = None
            continue
        half = half_width(math.sqrt(variance), look, gate.alpha, n_planned)
        interval = Interval(centre - half, centre + half)
        verdict = verdict_of(gate, interval)
        if verdict is not Verdict.INCONCLUSIVE:
            return Judgement(verdict, centre, interval, look, METHOD)
    return _undecided(gate, centre, interval, looks[-1], n_planned)


def _undecided(gate: Gate, estimate: float, interval: Interval | None, n: int, n_planned: int) -> Judgement:
    if interval is None:
        reason = "all scores are equal, so their spread is not known"
        return Judgement(Verdict.INCONCLUSIVE, estimate, None, n, METHOD, (reason,))
    now = half_width(1.0, n, gate.alpha, n_planned)
    deviation = (interval.high - interval.low) / 2 / now

    def decides(size: int) -> bool:
        half = half_width(deviation, size, gate.alpha, n_planned)
        return verdict_of(gate, Interval(estimate - half, estimate + half)) is not Verdict.INCONCLUSIVE

    reason = "the interval holds the limit at every look so far"
    return Judgement(Verdict.INCONCLUSIVE, estimate, interval, n, METHOD, (reason,), more_samples(n, decides))
