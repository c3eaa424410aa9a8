"""Results of DeepEval (`test_run_*.json`): test cases, each with the scores of its metrics.

{"testCases":[{"name","success","metricsData":[{"name","score","success","error"?}]}],
 "metricsScores":[{"metric","passes","fails","errors"}],"testPassed","testFailed"}.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from assent.evaluation.domain.cases import Outcome
from assent.evaluation.domain.imported import Imported, ImportedRow, Total
from assent.evaluation.imports.bounded import items, json_of, mapping, name_of, number
from assent.kernel.errors import Invalid

VERSION = 1
TASK = "deepeval"
TESTS = "pass"


def read(content: bytes, where: str) -> Imported:
    """Read a test run. Raises: Invalid."""
    whole = mapping(json_of(content, where), where)
    if not isinstance(whole.get("testCases"), list):
        raise Invalid(f"{where} holds no `testCases`: it was not written by DeepEval.")
    cases = [
        *whole["testCases"],
        *items(whole.get("conversationalTestCases") or [], "conversationalTestCases"),
    ]
    seen: Counter[str] = Counter()
    rows = [row for i, case in enumerate(cases) for row in _rows(mapping(case, f"test case {i}"), i, seen)]
    n_flaky = sum(1 for case in cases if case.get("flaky") is True)
    return Imported(
        format="deepeval",
        tool="deepeval",
        rows=tuple(rows),
        totals=tuple(_totals(whole)),
        notes=(f"{n_flaky} test cases are marked flaky",) if n_flaky else (),
    )


def _rows(case: Mapping[str, Any], position: int, seen: Counter[str]) -> list[ImportedRow]:
    name = name_of(case.get("name"), f"test_case_{position}")
    repeat, seen[name] = seen[name], seen[name] + 1
    metrics = [
        mapping(one, f"a metric of {name}")
        for one in items(case.get("metricsData") or [], f"metrics of {name}")
    ]
    rows = [_row(name, repeat, TESTS, case.get("success"), failed=any(_failed(m) for m in metrics))]
    for metric in metrics:
        title = name_of(metric.get("name"), "metric")[:180]
        failed = _failed(metric)
        rows.append(_row(name, repeat, title, metric.get("score"), failed=failed))
        rows.append(_row(name, repeat, f"{title} passed", metric.get("success"), failed=failed))
    return rows


def _failed(metric: Mapping[str, Any]) -> bool:
    return bool(metric.get("error"))


def _row(sample: str, repeat: int, metric: str, said: Any, *, failed: bool) -> ImportedRow:
    value = None if failed else number(said)
    outcome = Outcome.ERROR if failed else Outcome.UNSCORABLE if value is None else Outcome.SCORED
    return ImportedRow(TASK, sample, repeat, metric, outcome, value)


def _totals(whole: Mapping[str, Any]) -> list[Total]:
    stated: list[tuple[str, str, Any]] = []
    if not any(one.get("errors") for one in _scores(whole)):  # an errored test counts as failed there
        stated += [(TESTS, "right", whole.get("testPassed")), (TESTS, "wrong", whole.get("testFailed"))]
    for one in _scores(whole):
        metric = f"{name_of(one.get('metric'), 'metric')[:180]} passed"
        stated += [
            (metric, "right", one.get("passes")),
            (metric, "wrong", one.get("fails")),
            (metric, "error", one.get("errors")),
        ]
    return [
        Total(TASK, metric, what, value)
        for metric, what, said in stated
        if (value := number(said)) is not None
    ]


def _scores(whole: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [mapping(one, "metricsScores") for one in items(whole.get("metricsScores") or [], "metricsScores")]
