"""The evaluation of what is live as a reference: the newest run of a suite that the version passed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from assent.evaluation import service as evaluation
from assent.evaluation.domain.cases import CaseRecord, Outcome
from assent.evaluation.service import Run
from assent.kernel.tx import Reader
from assent.monitoring.domain.drift import Counts
from assent.monitoring.domain.kinds import TOKENS_PER_S, Kind, finish_bucket
from assent.monitoring.domain.latency import buckets_of

SLOW_SHARE = 0.95


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a run saw of a version's answers: histograms by kind, refusals, and latencies in seconds."""

    run: Run
    histograms: Mapping[Kind, Counts]
    n_answers: int
    n_refused: int
    latencies_s: Sequence[float]

    @property
    def slow_above_s(self) -> float | None:
        """Give the latency that 5 % of the answers exceed; None where none was measured."""
        return float(np.quantile(self.latencies_s, SLOW_SHARE)) if self.latencies_s else None


def find(reader: Reader, project: str, version: str, suite: str) -> Baseline | None:
    """Find the newest run of a suite (its name) that a version passed, and read what it saw."""
    passed = evaluation.list_runs(reader, project, {"subject": version, "state": "closed", "verdict": "pass"})
    run = next((one for one in passed if one.suite_ref.partition("@")[0] == suite), None)
    if run is None or run.journal is None or not reader.blobs.exists(run.journal):
        return None
    return _read(run, [one for one in evaluation.records_of(reader, run.journal) if one.side == "candidate"])


def _read(run: Run, records: Sequence[CaseRecord]) -> Baseline:
    answered = [one for one in records if one.outcome is not Outcome.ERROR]
    finishes = Counter(
        finish_bucket((one.answer and one.answer.finish) or None, failed=one.outcome is Outcome.ERROR)
        for one in records
    )
    answers = [one.answer for one in answered if one.answer is not None]
    return Baseline(
        run=run,
        histograms={
            Kind.TOKENS_IN: _tokens([one.n_prompt_tokens for one in answers]),
            Kind.TOKENS_OUT: _tokens([one.n_completion_tokens for one in answers]),
            Kind.FINISH: finishes,
        },
        n_answers=len(answered),
        n_refused=sum(one.outcome is Outcome.REFUSED for one in answered),
        latencies_s=[one.latency_ms / 1000 for one in answered if one.latency_ms is not None],
    )


def _tokens(counts: Sequence[int | None]) -> Counts:
    known = [count / TOKENS_PER_S for count in counts if count is not None]
    return Counter(buckets_of(known).tolist())
