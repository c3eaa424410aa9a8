"""What is known of a version in figures: what evaluation said of it, and what production shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assent.evaluation import service as evaluation
from assent.evaluation.service import Run
from assent.kernel.tx import Reader
from assent.monitoring.service import live
from assent.registry import service as registry

LAST_S = 30 * 86_400
MAX_USERS = 20
MAX_RUNS = 50


def of_version(reader: Reader, project: str, digest: str, last_s: int = LAST_S) -> dict[str, Any]:
    """Give the figures of a version and, for a prompt, of the newest model versions that pin it.

    `evaluation`: the newest closed run of each suite and subject; `production`: the last `last_s` seconds.
    """
    users = registry.search(reader, project, registry.Search({"prompt": digest}), limit=MAX_USERS)
    refs = {version.digest: version.ref for version in users}
    runs: list[Run] = []
    production = []
    for subject in [digest, *refs]:
        runs += evaluation.list_runs(reader, project, {"subject": subject, "state": "closed"}, limit=MAX_RUNS)
        production += [
            {**row, "ref": refs.get(subject)}
            for row in live.by_version(reader, project, last_s=last_s, version=subject)
        ]
    return {
        "digest": digest,
        "used_by": sorted(refs.values()),
        "evaluation": _newest(runs),
        "production": production,
        "last_s": last_s,
    }


def _newest(runs: Sequence[Run]) -> list[dict[str, Any]]:
    seen, found = set[tuple[str, str]](), []
    for run in sorted(runs, key=lambda run: run.id, reverse=True):
        if (run.suite, run.subject) in seen:
            continue
        seen.add((run.suite, run.subject))
        figures = run.figures or {}
        row = {"suite": run.suite_ref, "subject": run.subject_ref, "run": run.id, "verdict": run.verdict}
        row |= {name: figures.get(name) for name in ("metric", "estimate", "low", "high", "n")}
        found.append({**row, "at": run.ended_at})
    return found
