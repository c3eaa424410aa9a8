"""Submit runs, carry them on, publish what came of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from assent.evaluation import store, subjects
from assent.evaluation.domain import usage
from assent.evaluation.domain.cases import CaseRecord, Side
from assent.evaluation.domain.dataset import Row
from assent.evaluation.domain.events import (
    RunCancelled,
    RunClosed,
    RunSubmitted,
)
from assent.evaluation.domain.numbers import split_ref
from assent.evaluation.domain.suite import Suite
from assent.evaluation.domain.target import Target
from assent.evaluation.journal import read_records
from assent.evaluation.service import judging
from assent.evaluation.service.contents import contents_of, records_of
from assent.evaluation.service.versions import get_suite, suite_of
from assent.evaluation.store import Run, RunProgress
from assent.kernel.canonical import canonical
from assent.kernel.errors import Conflict, Invalid, NotFound, Reason, Refused
from assent.kernel.ids import new_id
from assent.kernel.tx import Reader, Tx
from assent.providers.service import Price

JOB = "evaluation.run"
MAX_JOURNALS = 20


@dataclass(frozen=True, slots=True)
class NewRun:
    """What to run. `suite` and `subject` are `name@number`; `fresh` asks every case again.

    `through` names the model version that answers where the subject is a prompt; `environment` says
    whose live version a gate with `baseline: live` compares with.
    """

    project: str
    suite: str
    subject: str
    environment: str = "production"
    fresh: bool = False
    through: str | None = None


def submit(tx: Tx, new: NewRun) -> Run:
    """Ask for a run of a suite on a version; a job carries it out.

    Raises: NotFound, Invalid, Conflict (nothing is live to compare with).
    """
    version = get_suite(tx, new.project, *split_ref(new.suite))
    subject = subjects.get(tx, new.project, new.subject)
    through = subjects.model_through(tx, new.project, subject, new.through)
    suite = suite_of(tx, version)
    gate = suite.gate
    judging.targets_of(tx, new.project, suite)
    baseline = subjects.baseline(tx, new.project, subject, gate.baseline, new.environment)
    asked = [subject] if baseline is None else [subject, baseline]
    _check_budget(suite, {one.ref: subjects.price(tx, new.project, one.digest, through) for one in asked})
    run_id = new_id("run")
    tx.record(
        RunSubmitted(
            id=run_id,
            project=new.project,
            suite=version.digest,
            suite_ref=version.ref,
            subject=subject.digest,
            subject_ref=subject.ref,
            environment=new.environment if gate.baseline == "live" else None,
            baseline=None if baseline is None else baseline.digest,
            baseline_ref=None if baseline is None else baseline.ref,
            fresh=new.fresh,
            through=through,
        )
    )
    store.write_progress(tx, RunProgress(run_id, "waiting", 0, 0, {}, "", tx.now()))
    tx.enqueue(JOB, run_id=run_id)
    return get_run(tx, run_id)


def _check_budget(suite: Suite, prices: Mapping[str, Price | None]) -> None:
    """Refuse a budget in money that nobody could keep: of a model without a price, or in another currency."""
    limits = suite.limits
    reasons = []
    for ref, price in prices.items() if limits.money else ():
        if price is None or price.currency != limits.currency:
            have = "unknown" if price is None else f"in {price.currency}"
            words = (
                f"The suite has a budget of {limits.money:g} {limits.currency}; the price of {ref} is {have}."
            )
            remedy = f"Say it: assent provider price MODEL --currency {limits.currency} --input … --output …"
            reasons.append(Reason(f"price of {ref}", words, remedy))
    if reasons:
        raise Refused(reasons[0].message, reasons=reasons, remedy=reasons[0].remedy)


def get_run(reader: Reader, run_id: str) -> Run:
    """Get a run. Raises: NotFound."""
    found = store.find_run(reader, run_id)
    if found is None:
        raise NotFound(f"There is no run {run_id}.")
    return found


def list_runs(
    reader: Reader, project: str, filters: Mapping[str, str], *, before: str | None = None, limit: int = 50
) -> Sequence[Run]:
    """List runs newest first; `filters`: subject, subject_ref, suite, suite_ref, state, verdict."""
    known = {"subject", "subject_ref", "suite", "suite_ref", "state", "verdict"}
    if unknown := filters.keys() - known:
        raise Invalid(f"Runs are not filtered by {', '.join(sorted(unknown))}.")
    return store.list_runs(reader, project, filters, (before, limit))


def progress_of(reader: Reader, run_id: str) -> RunProgress | None:
    """Find how far a run is."""
    return store.find_progress(reader, run_id)


def advance(tx: Tx, step: RunProgress) -> bool:
    """Note how far a run is; False where it was cancelled or closed meanwhile."""
    run = store.lock_run(tx, step.run)
    store.write_progress(tx, replace(step, at=tx.now()))
    return run is not None and run.state == "submitted"


def cancel(tx: Tx, run_id: str) -> Run:
    """Give a run up. Raises: NotFound, Conflict (it has ended)."""
    _open_run(tx, run_id)
    tx.record(RunCancelled(run=run_id))
    return get_run(tx, run_id)


def resume(tx: Tx, run_id: str) -> Run:
    """Let a run that stopped go on where it was. Raises: NotFound, Conflict (it has ended)."""
    run = _open_run(tx, run_id)
    step = store.find_progress(tx, run_id)
    if step is not None:
        store.write_progress(tx, replace(step, state="waiting", note="", at=tx.now()))
    tx.enqueue(JOB, run_id=run_id)
    return run


def _open_run(tx: Tx, run_id: str) -> Run:
    run = store.lock_run(tx, run_id)
    if run is None:
        raise NotFound(f"There is no run {run_id}.")
    if run.state != "submitted":
        raise Conflict(f"The run {run_id} is {run.state}.", remedy="Submit a new one.")
    return run


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a worker needs of a run."""

    run: Run
    suite: Suite
    rows: tuple[Row, ...]
    targets: Mapping[Side, Target]
    prices: Mapping[Side, Price | None]
    earlier: Mapping[str, tuple[str, CaseRecord]]
    judges: Mapping[str, Target]


def plan(reader: Reader, run: Run) -> Plan:
    """Gather a run's suite, rows, targets, and earlier answers that may be used again."""
    suite, rows = contents_of(reader, run)
    sides = _sides(run)
    targets = {
        side: subjects.target(reader, run.project, digest, run.through) for side, digest in sides.items()
    }
    earlier: dict[str, tuple[str, CaseRecord]] = {}
    if not run.fresh and suite.reuse_days > 0:
        for digest in sides.values():
            for run_id, journal in store.journals_of(reader, run.project, digest, MAX_JOURNALS):
                for record in records_of(reader, journal):
                    if record.answer is not None:
                        earlier.setdefault(record.answer_key, (run_id, record))
    judges = judging.targets_of(reader, run.project, suite)
    return Plan(run, suite, rows, targets, _prices(reader, run), earlier, judges)


def asked_of(subject: str, through: str | None) -> str:
    """Name what is asked: a version, or a prompt through the model version that answers."""
    return f"{subject} through {through}" if through else subject


def _sides(run: Run) -> dict[Side, str]:
    sides: dict[Side, str] = {"candidate": run.subject}
    if run.baseline is not None:
        sides["baseline"] = run.baseline
    return sides


def _prices(reader: Reader, run: Run) -> dict[Side, Price | None]:
    return {
        side: subjects.price(reader, run.project, digest, run.through) for side, digest in _sides(run).items()
    }


def close(tx: Tx, run_id: str, journal: bytes, stopped: str | None = None) -> Run:
    """Publish what a run's journal says: one event, and the evidence `suite.verdict` of its subject.

    `stopped` says which budget was used up. A run that has ended already stays as it is.
    """
    run = store.lock_run(tx, run_id)
    if run is None or run.state != "submitted":
        return get_run(tx, run_id)
    suite, _ = contents_of(tx, run)
    records = read_records(journal)[1]
    result, document = judging.result(tx, run, records, tx.now(), stopped, _prices(tx, run))
    figures = {
        name: None if document[name] is None else str(document[name])
        for name in ("estimate", "low", "high", "n", "method", "coverage", "p_value", "more_samples")
    }
    oldest = min((record.asked_at for record in records), default=None)
    figures |= {"stopped": stopped} if stopped else {}
    figures |= {"metric": suite.gate.metric, "rule": suite.gate.rule.value, "oldest_answer_at": oldest}
    verdict = document["verdict"]
    tx.record(
        RunClosed(
            run=run_id,
            verdict=verdict,
            digest=result.digest,
            journal=tx.blobs.put(journal),
            result=tx.blobs.put(canonical(document)),
            n_records=len(records),
            figures=figures,
        )
    )
    claim = {
        "suite": run.suite_ref,
        "suite_digest": run.suite,
        "kind": suite.kind,
        "dataset": suite.dataset,
        "run": run.id,
        "baseline": run.baseline,
        "environment": run.environment,
        "verdict": verdict,
        "metrics": _metrics(run.suite_ref.partition("@")[0], document),
        **figures,
    }
    subjects.testify(tx, run.project, run.subject, claim, kind=subjects.VERDICT)
    counts = dict(document["outcomes"]["candidate"])
    store.write_progress(tx, RunProgress(run_id, "done", len(records), len(records), counts, "", tx.now()))
    return get_run(tx, run_id)


def _metrics(suite: str, document: Mapping[str, Any]) -> dict[str, str]:
    """Give the candidate's figures by metric, alone and with the suite that measured it."""
    own = usage.metrics_of(document["usage"]) | {
        level["metric"]: level["value"]
        for level in document["levels"]
        if level["side"] == "candidate" and level["value"] is not None
    }
    return {**own, **{f"{suite}.{metric}": value for metric, value in own.items()}}


def result_of(reader: Reader, run: Run) -> dict[str, Any] | None:
    """Read the published result of a closed run."""
    if run.result is None:
        return None
    result: dict[str, Any] = msgspec.json.decode(reader.blobs.get(run.result))
    return result
