"""Evaluation's use cases: register what is asked, run it, publish what came of it, prove it again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from assent.evaluation import store, subjects
from assent.evaluation.domain.cases import CaseRecord, Side
from assent.evaluation.domain.dataset import Dataset, Row, parse_dataset
from assent.evaluation.domain.events import (
    DatasetRegistered,
    RunCancelled,
    RunClosed,
    RunSubmitted,
    SuiteRegistered,
)
from assent.evaluation.domain.gate import Gate
from assent.evaluation.domain.numbers import next_number, parse_number, split_ref
from assent.evaluation.domain.result import figure, summarise, to_document
from assent.evaluation.domain.suite import Suite, from_document, gate_document, parse_suite, suite_digest
from assent.evaluation.journal import read_records
from assent.evaluation.scorers import compile_suite
from assent.evaluation.store import DatasetVersion, Run, RunProgress, SuiteVersion
from assent.kernel.canonical import canonical, is_digest
from assent.kernel.errors import Conflict, Invalid, NotFound
from assent.kernel.ids import new_id
from assent.kernel.tx import Reader, Tx

JOB = "evaluation.run"
MAX_JOURNALS = 20

Version = TypeVar("Version", DatasetVersion, SuiteVersion)


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A dataset (`content`: rows) or suite (`content`: its document); without a number it gets the next."""

    project: str
    name: str
    content: Any
    number: str | None = None


@dataclass(frozen=True, slots=True)
class NewRun:
    """What to run. `suite` and `subject` are `name@number`; `fresh` asks every case again.

    `environment` says whose live version a gate with `baseline: live` compares with.
    """

    project: str
    suite: str
    subject: str
    environment: str = "production"
    fresh: bool = False


def register_dataset(tx: Tx, new: NewVersion) -> tuple[DatasetVersion, bool]:
    """Register rows; the same rows under the same name give the version that exists.

    Gives the version and whether it is new. Raises: Invalid, Conflict.
    """
    parsed = parse_dataset(new.content)
    twin = store.twin_of_dataset(tx, new.project, new.name, parsed.digest)
    if twin is not None:
        return _same(twin, new), False
    latest = store.find_dataset(tx, new.project, new.name, None)
    number = _free_number(new, latest, store.find_dataset(tx, new.project, new.name, new.number))
    body = tx.blobs.put(canonical([row.to_document() for row in parsed.rows]))
    tx.record(
        DatasetRegistered(
            id=new_id("ds"),
            project=new.project,
            name=new.name,
            number=number,
            position=_position(number),
            digest=parsed.digest,
            body=body,
            n_rows=len(parsed.rows),
        )
    )
    return get_dataset(tx, new.project, new.name, number), True


def register_suite(tx: Tx, new: NewVersion) -> tuple[SuiteVersion, bool]:
    """Register a suite; its `dataset` may be `name`, `name@number` or a digest.

    Gives the version and whether it is new. Raises: Invalid with every mistake, Conflict.
    """
    content = new.content
    if isinstance(content, Mapping) and isinstance(content.get("dataset"), str):
        content = {**content, "dataset": _dataset_digest(tx, new.project, content["dataset"])}
    suite = parse_suite(content, project=new.project, name=new.name)
    compile_suite(suite)
    digest = suite_digest(suite)
    twin = store.suite_by_digest(tx, new.project, digest)
    if twin is not None:
        return _same(twin, new), False
    latest = store.find_suite(tx, new.project, new.name, None)
    number = _free_number(new, latest, store.find_suite(tx, new.project, new.name, new.number))
    tx.record(
        SuiteRegistered(
            id=new_id("su"),
            project=new.project,
            name=new.name,
            number=number,
            position=_position(number),
            digest=digest,
            body=tx.blobs.put(canonical(suite.document)),
            kind=suite.kind,
            dataset=suite.dataset,
            gate=_gate_in_words(suite.gate),
        )
    )
    return get_suite(tx, new.project, new.name, number), True


def _gate_in_words(gate: Gate) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else (figure(value) or "")
        for name, value in gate_document(gate).items()
    }


def _dataset_digest(reader: Reader, project: str, ref: str) -> str:
    if is_digest(ref):
        if store.dataset_by_digest(reader, project, ref) is None:
            raise NotFound(f"No dataset of this project has the digest {ref}.", remedy="Register it first.")
        return ref
    return get_dataset(reader, project, *split_ref(ref)).digest


def _same(twin: Version, new: NewVersion) -> Version:
    if new.number is not None and new.number != twin.number:
        raise Conflict(
            f"{new.name} has this content already, as {twin.number}.", remedy=f"Use {twin.ref}, or change it."
        )
    return twin


def _free_number(
    new: NewVersion,
    latest: DatasetVersion | SuiteVersion | None,
    taken: DatasetVersion | SuiteVersion | None,
) -> str:
    if new.number is None:
        return next_number(None if latest is None else latest.number)
    parse_number(new.number)
    if taken is not None:
        raise Conflict(
            f"{taken.ref} exists with other content, and versions never change.",
            remedy=f"Register it as {next_number(latest.number if latest else None)}.",
        )
    return new.number


def _position(number: str) -> int:
    """Give one integer that sorts as the number does; each part is below 10^6 here."""
    major, minor, patch = parse_number(number)
    if max(major, minor, patch) >= 1_000_000:  # noqa: PLR2004 -- 10^18 fits a 64-bit column
        raise Invalid(f"{number} has a part above 999999.")
    return (major * 1_000_000 + minor) * 1_000_000 + patch


def get_dataset(reader: Reader, project: str, name: str, number: str | None = None) -> DatasetVersion:
    """Get a version, or the latest. Raises: NotFound."""
    found = store.find_dataset(reader, project, name, number)
    if found is None:
        raise NotFound(f"There is no dataset {name}{f'@{number}' if number else ''} in {project}.")
    return found


def get_suite(reader: Reader, project: str, name: str, number: str | None = None) -> SuiteVersion:
    """Get a version, or the latest. Raises: NotFound."""
    found = store.find_suite(reader, project, name, number)
    if found is None:
        raise NotFound(f"There is no suite {name}{f'@{number}' if number else ''} in {project}.")
    return found


def list_datasets(
    reader: Reader, project: str, name: str | None = None, *, before: str | None = None, limit: int = 50
) -> Sequence[DatasetVersion]:
    """List versions, newest first."""
    found = store.list_versions(reader, project, "datasets", name, (before, limit))
    return [version for version in found if isinstance(version, DatasetVersion)]


def list_suites(
    reader: Reader, project: str, name: str | None = None, *, before: str | None = None, limit: int = 50
) -> Sequence[SuiteVersion]:
    """List versions, newest first."""
    found = store.list_versions(reader, project, "suites", name, (before, limit))
    return [version for version in found if isinstance(version, SuiteVersion)]


def rows_of(reader: Reader, version: DatasetVersion) -> tuple[Row, ...]:
    """Read a dataset's rows. Raises: NotFound (erased), Invalid (changed on disk)."""
    return _parsed(version.digest, reader.blobs.get(version.body)).rows


@lru_cache(maxsize=8)
def _parsed(digest: str, content: bytes) -> Dataset:
    dataset = parse_dataset(msgspec.json.decode(content))
    if dataset.digest != digest:
        raise Invalid(f"The rows stored for {digest} have the digest {dataset.digest}.")
    return dataset


def suite_of(reader: Reader, version: SuiteVersion) -> Suite:
    """Read a suite's document."""
    return from_document(msgspec.json.decode(reader.blobs.get(version.body)))


def submit(tx: Tx, new: NewRun) -> Run:
    """Ask for a run of a suite on a version; a job carries it out.

    Raises: NotFound, Invalid, Conflict (nothing is live to compare with).
    """
    version = get_suite(tx, new.project, *split_ref(new.suite))
    subject = subjects.get(tx, new.project, new.subject)
    gate = suite_of(tx, version).gate
    baseline = subjects.baseline(tx, subject, gate.baseline, new.environment)
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
        )
    )
    store.write_progress(tx, RunProgress(run_id, "waiting", 0, 0, {}, "", tx.now()))
    tx.enqueue(JOB, run_id=run_id)
    return get_run(tx, run_id)


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
    targets: Mapping[Side, subjects.Target]
    earlier: Mapping[str, tuple[str, CaseRecord]]


def plan(reader: Reader, run: Run) -> Plan:
    """Gather a run's suite, rows, targets, and earlier answers that may be used again."""
    suite, rows = contents_of(reader, run)
    sides: dict[Side, str] = {"candidate": run.subject}
    if run.baseline is not None:
        sides["baseline"] = run.baseline
    targets = {side: subjects.target(reader, run.project, digest) for side, digest in sides.items()}
    earlier: dict[str, tuple[str, CaseRecord]] = {}
    if not run.fresh and suite.reuse_days > 0:
        for digest in sides.values():
            for run_id, journal in store.journals_of(reader, run.project, digest, MAX_JOURNALS):
                for record in records_of(reader, journal):
                    if record.answer is not None:
                        earlier.setdefault(record.answer_key, (run_id, record))
    return Plan(run, suite, rows, targets, earlier)


def contents_of(reader: Reader, run: Run) -> tuple[Suite, tuple[Row, ...]]:
    """Read the suite and the rows of a run."""
    version = store.suite_by_digest(reader, run.project, run.suite)
    if version is None:
        raise NotFound(f"The suite {run.suite_ref} is not registered in {run.project}.")
    dataset = store.dataset_by_digest(reader, run.project, version.dataset)
    if dataset is None:
        raise NotFound(f"The dataset {version.dataset} of {run.suite_ref} is not registered.")
    return suite_of(reader, version), rows_of(reader, dataset)


def records_of(reader: Reader, journal: str) -> Sequence[CaseRecord]:
    """Read the records of a closed run's journal."""
    return _records(journal, reader.blobs.get(journal))


@lru_cache(maxsize=8)
def _records(_digest: str, content: bytes) -> tuple[CaseRecord, ...]:
    return tuple(read_records(content)[1])


def close(tx: Tx, run_id: str, journal: bytes) -> Run:
    """Publish what a run's journal says: one event, and the evidence `suite.verdict` of its subject.

    A run that has ended already stays as it is.
    """
    run = store.lock_run(tx, run_id)
    if run is None or run.state != "submitted":
        return get_run(tx, run_id)
    suite, rows = contents_of(tx, run)
    records = read_records(journal)[1]
    result = summarise(suite, rows, records, paired=run.baseline is not None)
    document = to_document(result)
    figures = {
        name: None if document[name] is None else str(document[name])
        for name in ("estimate", "low", "high", "n", "method", "coverage", "p_value", "more_samples")
    }
    figures = {"metric": suite.gate.metric, "rule": suite.gate.rule.value, **figures}
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
    subjects.testify(tx, run, suite, {"verdict": verdict, **figures})
    counts = dict(document["outcomes"]["candidate"])
    store.write_progress(tx, RunProgress(run_id, "done", len(records), len(records), counts, "", tx.now()))
    return get_run(tx, run_id)


def result_of(reader: Reader, run: Run) -> dict[str, Any] | None:
    """Read the published result of a closed run."""
    if run.result is None:
        return None
    result: dict[str, Any] = msgspec.json.decode(reader.blobs.get(run.result))
    return result
