"""Say what a run would take before anybody asks for it; nothing is recorded and no endpoint is called."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from assent.evaluation import store, subjects
from assent.evaluation.domain.cases import CaseRecord, Side, answer_key
from assent.evaluation.domain.dataset import Row
from assent.evaluation.domain.estimate import Asked, Past, estimate
from assent.evaluation.domain.numbers import split_ref
from assent.evaluation.domain.suite import JUDGE, Suite
from assent.evaluation.service.contents import records_of
from assent.evaluation.service.runs import MAX_JOURNALS, NewRun, asked_of
from assent.evaluation.service.versions import get_dataset_by_digest, get_suite, rows_of, suite_of
from assent.evaluation.subjects import Manner, Subject
from assent.kernel.canonical import digest
from assent.kernel.clock import from_text
from assent.kernel.errors import AssentError
from assent.kernel.tx import Reader

MAX_PAST = 2000
MAX_OTHERS = 3
"""Runs of other versions that are looked at where this one was never asked."""
_LIMITS = ("max_completion_tokens", "max_tokens")
"""Parameters of a version that bound an answer; the newer name first."""


def estimate_run(reader: Reader, new: NewRun) -> dict[str, Any]:
    """Estimate a run. Raises: NotFound, Invalid, Conflict (nothing is live to compare with)."""
    version = get_suite(reader, new.project, *split_ref(new.suite))
    suite = suite_of(reader, version)
    rows = rows_of(reader, get_dataset_by_digest(reader, new.project, suite.dataset))
    subject = subjects.get(reader, new.project, new.subject)
    through = subjects.model_through(reader, new.project, subject, new.through)
    baseline = subjects.baseline(reader, new.project, subject, suite.gate.baseline, new.environment)
    sides: dict[Side, Subject] = {"candidate": subject}
    if baseline is not None:
        sides["baseline"] = baseline
    asked = [_asked(reader, new, (suite, rows), (side, one, through)) for side, one in sides.items()]
    return {
        "suite": version.ref,
        "subject": subject.ref,
        "baseline": None if baseline is None else baseline.ref,
        "n_cases": len(rows) * suite.repeats * len(sides),
        **estimate(asked, suite.limits),
        "judges": [one.name for one in suite.scorers if one.kind == JUDGE],
    }


def _asked(
    reader: Reader,
    new: NewRun,
    contents: tuple[Suite, Sequence[Row]],
    which: tuple[Side, Subject, str | None],
) -> Asked:
    suite, rows = contents
    side, subject, through = which
    manner = subjects.manner(reader, new.project, subject.digest, through)
    sizes = {row.key: size for row in rows if (size := _size(manner, row)) is not None}
    earlier = _earlier(reader, new.project, subject.digest)
    oldest = reader.now() - timedelta(days=suite.reuse_days)
    usable = {
        record.answer_key
        for record in earlier
        if not new.fresh and suite.reuse_days > 0 and from_text(record.asked_at) >= oldest
    }
    solver, name = digest(dict(suite.solver)), asked_of(subject.digest, through)
    n_reused, waiting = 0, []
    for row in rows:
        for repeat in range(suite.repeats):
            if answer_key(name, solver, row.key, repeat) in usable:
                n_reused += 1
            elif row.key in sizes:
                waiting.append(sizes[row.key])
    return Asked(
        side,
        subject.ref,
        n_reused,
        waiting,
        _past(reader, new.project, suite, earlier, sizes),
        _most_out(manner.parameters),
        subjects.price(reader, new.project, subject.digest, through),
    )


def _size(manner: Manner, row: Row) -> int | None:
    """Give the bytes of a question's messages; None where the prompt cannot be filled in: it is not asked."""
    try:
        return len(msgspec.json.encode(list(manner.render(row))))
    except AssentError:
        return None


def _earlier(reader: Reader, project: str, subject: str) -> list[CaseRecord]:
    journals = store.journals_of(reader, project, subject, MAX_JOURNALS)
    return [record for _, journal in journals for record in records_of(reader, journal) if record.answer]


def _past(
    reader: Reader, project: str, suite: Suite, earlier: Sequence[CaseRecord], sizes: Mapping[str, int]
) -> list[Past]:
    """Take this version's own answers to these questions; else those of others to this dataset."""
    own = [record for record in earlier if record.sample in sizes]
    if not own:
        journals = store.journals_of_dataset(reader, project, suite.dataset, MAX_OTHERS)
        own = [record for journal in journals for record in records_of(reader, journal) if record.answer]
    return [_took(record, sizes.get(record.sample)) for record in own[:MAX_PAST]]


def _took(record: CaseRecord, n_bytes: int | None) -> Past:
    answer = record.answer
    n_in, n_out = (None, None) if answer is None else (answer.n_prompt_tokens, answer.n_completion_tokens)
    return Past(n_bytes, n_in, n_out, record.latency_ms)


def _most_out(parameters: Mapping[str, Any]) -> int | None:
    said = [parameters[name] for name in _LIMITS if isinstance(parameters.get(name), int)]
    return said[0] if said else None
