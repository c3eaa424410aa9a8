"""Compute every published number of a run again, from the rows of its journal."""

from collections.abc import Iterator
from dataclasses import dataclass

from assent.evaluation import service
from assent.evaluation.domain import usage
from assent.evaluation.domain.cases import CaseRecord, answer_key
from assent.evaluation.domain.dataset import Row
from assent.evaluation.domain.suite import Suite
from assent.evaluation.journal import read_records
from assent.evaluation.scorers import compile_suite
from assent.evaluation.service import Run
from assent.kernel.canonical import digest
from assent.kernel.errors import Conflict
from assent.kernel.tx import Reader


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was computed again: what was published and what came out."""

    id: str
    ok: bool
    published: str
    computed: str


def verify(reader: Reader, run_id: str) -> list[Check]:
    """Recompute a closed run. Raises: NotFound, Conflict (not closed), Invalid (a body was damaged)."""
    run = service.get_run(reader, run_id)
    if run.state != "closed" or run.journal is None:
        raise Conflict(f"The run {run_id} is {run.state}; only a closed run has published figures.")
    suite, rows = service.contents_of(reader, run)
    header, records = read_records(reader.blobs.get(run.journal))
    published = service.result_of(reader, run) or {}
    at, prices = run.ended_at or reader.now(), usage.prices_of(published.get("usage", ()))
    result, document = service.judging.result(reader, run, records, at, published.get("stopped"), prices)
    checks = [
        Check("journal", header.get("run") == run.id, run.id, str(header.get("run"))),
        _same("digest", run.digest, result.digest),
        _same("verdict", run.verdict, document["verdict"]),
        *(
            _same(f"figure {name}", value, None if document[name] is None else str(document[name]))
            for name, value in (run.figures or {}).items()
            if name in document
        ),
        *(_same(f"result {name}", published.get(name), document[name]) for name in document),
    ]
    wrong = list(_wrong_records(run, suite, rows, records))
    checks.append(Check("records", not wrong, f"{len(records)} records", "; ".join(wrong[:5]) or "all agree"))
    return checks


def _same(name: str, published: object, computed: object) -> Check:
    return Check(name, published == computed, str(published)[:300], str(computed)[:300])


def _wrong_records(run: Run, suite: Suite, rows: tuple[Row, ...], records: list[CaseRecord]) -> Iterator[str]:
    """Name records that are not of this run, stand twice, or whose answer scores otherwise now."""
    bench = compile_suite(suite)
    by_key = {row.key: row for row in rows}
    solver = digest(dict(suite.solver))
    sides = {"candidate": run.subject, "baseline": run.baseline or ""}
    subjects = {side: service.asked_of(digest, run.through) for side, digest in sides.items()}
    seen: set[tuple[str, str]] = set()
    for number, record in enumerate(records, start=1):
        row = by_key.get(record.sample)
        key = answer_key(subjects[record.side], solver, record.sample, record.repeat)
        if row is None or key != record.answer_key or record.repeat >= suite.repeats:
            yield f"record {number} is of another run"
        elif (record.side, key) in seen:
            yield f"record {number} stands twice"
        elif record.answer is not None and not _scores_again(
            bench.score(row, record.answer, key, record.replies), record
        ):
            yield f"record {number} scores otherwise"
        seen.add((record.side, key))


def _scores_again(now: tuple[object, tuple[object, ...]], record: CaseRecord) -> bool:
    """Compare; a scorer that ran out of time then, or does now, is no disagreement."""
    timed_out = any("took longer" in getattr(score, "note", "") for score in (*now[1], *record.scores))
    return timed_out or now == (record.outcome, record.scores)
