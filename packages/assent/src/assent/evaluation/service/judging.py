"""What judges of a suite may do: their upstreams, and how they stand when a run closes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from assent.evaluation import subjects
from assent.evaluation.domain import judged as domain
from assent.evaluation.domain import safety, usage
from assent.evaluation.domain.cases import CaseRecord, Side
from assent.evaluation.domain.gaps import gaps
from assent.evaluation.domain.judge import Judge, family_of
from assent.evaluation.domain.judged import Standing
from assent.evaluation.domain.passport import table_of
from assent.evaluation.domain.result import Result, summarise, to_document
from assent.evaluation.domain.suite import Suite
from assent.evaluation.domain.target import Target
from assent.evaluation.scorers import compile_suite, written
from assent.evaluation.service.contents import contents_of, records_of
from assent.evaluation.service.passports import standing_of
from assent.evaluation.store import Run
from assent.kernel.errors import Conflict, NotFound
from assent.kernel.tx import Reader
from assent.providers.service import Price


def judges_of(suite: Suite) -> dict[str, Judge]:
    """Give the judges of a suite by the metric that they make."""
    bench = compile_suite(suite)
    return {name: scorer.judge for name, scorer in bench.judges.items()}


def targets_of(reader: Reader, project: str, suite: Suite) -> dict[str, Target]:
    """Gather how the judges of a suite are asked, by their digests. Raises: NotFound, Invalid."""
    return {
        judge.digest: subjects.judge_target(reader, project, judge) for judge in judges_of(suite).values()
    }


def result(
    reader: Reader,
    run: Run,
    records: Sequence[CaseRecord],
    at: datetime,
    stopped: str | None,
    prices: Mapping[Side, Price | None],
) -> tuple[Result, dict[str, Any]]:
    """Compute all that a run publishes, its judges as they stand at a time; and its document."""
    suite, rows = contents_of(reader, run)
    found = summarise(suite, rows, records, paired=run.baseline is not None, stopped=stopped)
    standings = [_standing(reader, run, name, judge, at) for name, judge in judges_of(suite).items()]
    found, judged = domain.conclude(found, suite.gate.metric, standings, records)
    document = {**to_document(found), "usage": usage.to_documents(records, prices)}
    if judged:
        document["judges"] = [domain.to_document(one) for one in judged]
    if suite.groups is not None:
        metrics = [one.name for one in suite.scorers]
        document["gaps"] = [gaps(suite.groups, rows, records, one).to_document() for one in metrics]
    if found_in := safety.categories(suite, rows, records):
        document["categories"] = [one.to_document() for one in found_in]
    return found, document


def _standing(reader: Reader, run: Run, metric: str, judge: Judge, at: datetime) -> Standing:
    model = subjects.upstream_model(reader, run.project, run.through or run.subject)
    warnings = []
    if family_of(model) == family_of(judge.model):
        warnings.append(
            f"judge and subject are of one family ({family_of(model)}), and families favour their own"
        )
    remedy = (
        f"Have people label its answers, then: assent judge calibrate {metric} JUDGE "
        f"--subject {run.subject_ref} --labels LABELS"
    )
    state, passport = standing_of(reader, run.project, judge, run.subject_ref, at)
    if passport is None:
        return Standing(metric, judge, state, remedy, warnings=tuple(warnings))
    if passport.record.subject != run.subject:
        warnings.append(f"it was calibrated on {passport.record.subject_ref}, not on {run.subject_ref}")
    return Standing(
        metric=metric,
        judge=judge,
        state=state,
        remedy="" if state == domain.USABLE else remedy,
        passport=passport.record.id,
        calibrated_on=passport.record.subject_ref,
        table=table_of(passport.figures["table"]),
        warnings=tuple(warnings),
    )


def judgements(reader: Reader, run: Run, metric: str) -> list[dict[str, Any]]:
    """List what a judge replied about each of the candidate's answers, for people to label beside it.

    Each: id, question, answer, and `human` to fill in, with the replies as a calibration takes them.
    Raises: Conflict (the run is not closed), NotFound (no such judge in its suite).
    """
    if run.journal is None:
        raise Conflict(f"The run {run.id} is {run.state}; judgements are read once it is closed.")
    suite, rows = contents_of(reader, run)
    judge = judges_of(suite).get(metric)
    if judge is None:
        raise NotFound(f"{run.suite_ref} has no judge {metric}.")
    by_key = {row.key: row for row in rows}
    found = []
    for record in records_of(reader, run.journal):
        row = by_key.get(record.sample)
        said = [one for one in record.replies if one.judge == judge.digest and one.text is not None]
        if record.side != "candidate" or record.answer is None or row is None or not said:
            continue
        replies = [one.text for one in said if one.order == 0]
        swapped = [one.text for one in said if one.order == 1]
        found.append(
            {
                "id": f"{row.id}/{record.repeat}" if suite.repeats > 1 else row.id,
                "question": written(row.input),
                "answer": record.answer.text,
                **({"reference": row.target} if judge.reference or judge.pairwise else {}),
                "human": "",
                "reply": replies[0] if replies else "",
                **({"again": replies[1:]} if replies[1:] else {}),
                **({"swapped": swapped[0] if swapped else ""} if judge.pairwise else {}),
            }
        )
    return found
