"""Results of promptfoo (`promptfoo eval -o results.json`): one row per prompt, provider and test.

`failureReason`: 0 none, 1 an assertion failed, 2 error; `error` holds the reason of a failed assertion too,
so only the number tells them apart. `stats` may not add up after a resume; `cached` answers are replays.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from assent.evaluation.domain.cases import Outcome
from assent.evaluation.domain.imported import Imported, ImportedRow, Total
from assent.evaluation.imports.bounded import items, json_of, mapping, name_of, number
from assent.kernel.canonical import digest
from assent.kernel.errors import Invalid

VERSION = 1
_ERROR = 2
_COUNTS = {"successes": "right", "failures": "wrong", "errors": "error"}
_PROMPT_COUNTS = {"testPassCount": "right", "testFailCount": "wrong", "testErrorCount": "error"}


def read(content: bytes, where: str) -> Imported:
    """Read a results file. Raises: Invalid."""
    whole = mapping(json_of(content, where), where)
    if not isinstance(whole.get("results"), dict) or "results" not in whole["results"]:
        raise Invalid(
            f"{where} holds no `results.results`: it was not written by promptfoo.",
            remedy="Export with `promptfoo eval -o results.json`.",
        )
    results = whole["results"]
    raw = [
        mapping(one, f"results[{i}]") for i, one in enumerate(items(results["results"], "results.results"))
    ]
    seen: Counter[tuple[str, str, str]] = Counter()
    rows = [row for i, one in enumerate(raw) for row in _rows(one, f"results[{i}]", seen)]
    n_cached = sum(_is_cached(one) for one in raw)
    metadata = whole.get("metadata")
    version = metadata.get("promptfooVersion") if isinstance(metadata, dict) else None
    timestamp = results.get("timestamp")
    return Imported(
        format="promptfoo",
        tool=f"promptfoo {name_of(version, 'unknown')}",
        rows=tuple(rows),
        totals=(*_stats(results, rows), *_prompts(results, raw)),
        notes=(f"{n_cached} answers came out of a cache and were not asked anew",) if n_cached else (),
        measured_at=timestamp if isinstance(timestamp, str) else None,
    )


def _is_cached(one: Mapping[str, Any]) -> bool:
    response = one.get("response")
    return one.get("cached") is True or (isinstance(response, dict) and response.get("cached") is True)


def _task(one: Mapping[str, Any]) -> str:
    """Name what was asked: the provider, and the prompt's place where there are several."""
    provider = one.get("provider")
    name = provider.get("id") if isinstance(provider, dict) else provider
    return f"{name_of(name, 'provider')[:150]} prompt {name_of(one.get('promptIdx'), '0')[:20]}"


def _rows(one: Mapping[str, Any], place: str, seen: Counter[tuple[str, str, str]]) -> list[ImportedRow]:
    success, reason = one.get("success"), one.get("failureReason", 0)
    if not isinstance(success, bool) or reason not in (0, 1, _ERROR):
        raise Invalid(f"{place} has no success or failureReason that can be read.")
    task = _task(one)
    # The test's place is its sample; where a file gives none, what was asked is.
    sample = name_of(one.get("testIdx"), digest(one.get("vars") or {}))
    found = []
    values = {"pass": float(success), "score": number(one.get("score"))}
    named = one.get("namedScores")
    values |= {
        f"score.{name_of(name, 'named')[:150]}": number(value)
        for name, value in (named.items() if isinstance(named, dict) else ())
    }
    for metric, value in values.items():
        outcome = Outcome.UNSCORABLE if value is None else Outcome.SCORED
        if reason == _ERROR:
            outcome, value = Outcome.ERROR, None  # noqa: PLW2901 -- an error is no answer, whatever its score
        repeat = seen[task, sample, metric]
        seen[task, sample, metric] += 1
        found.append(ImportedRow(task, sample, repeat, metric, outcome, value))
    return found


def _stats(results: Mapping[str, Any], rows: list[ImportedRow]) -> list[Total]:
    """Take over the whole file's counts: they speak of one task only where there is but one."""
    tasks = {row.task for row in rows}
    stats = mapping(results.get("stats") or {}, "results.stats")
    counts = {what: number(stats.get(name)) for name, what in _COUNTS.items()}
    if len(tasks) == 1:
        task = next(iter(tasks))
        return [Total(task, "pass", what, value) for what, value in counts.items() if value is not None]
    return [Total("*", "pass", what, value) for what, value in counts.items() if value is not None]


def _prompts(results: Mapping[str, Any], raw: list[Mapping[str, Any]]) -> list[Total]:
    totals = []
    tasks = {one.get("promptIdx", 0): _task(one) for one in raw}
    for position, prompt in enumerate(items(results.get("prompts") or [], "results.prompts")):
        metrics = prompt.get("metrics") if isinstance(prompt, dict) else None
        if position in tasks and isinstance(metrics, dict):
            totals += [
                Total(tasks[position], "pass", what, value)
                for name, what in _PROMPT_COUNTS.items()
                if (value := number(metrics.get(name))) is not None
            ]
    return totals
