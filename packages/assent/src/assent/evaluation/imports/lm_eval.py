"""Results of lm-evaluation-harness: `results*.json` and `samples_TASK*.jsonl`, together in a zip.

samples: one line per document and filter, {"doc_id","filter","metrics":["exact_match"],"exact_match":1.0,…};
results: {"results":{TASK:{"exact_match,none":0.8,"exact_match_stderr,none":0.09}},"n-samples":…}. Old files
name metrics without `,filter`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from assent.evaluation.domain.cases import Outcome
from assent.evaluation.domain.imported import Imported, ImportedRow, Total
from assent.evaluation.imports.bounded import items, json_lines, json_of, mapping, name_of, number
from assent.kernel.errors import Invalid

VERSION = 1
_SAMPLES = re.compile(r"(?:.*_)?samples_(?P<task>.+?)(?:_\d{4}-\d\d-\d\dT[\d.-]+)?\.jsonl\Z")
_NOT_METRICS = {"alias", "name", "samples", "sample_len", "sample_count"}
_NO_FILTER = "none"


def read(sources: Mapping[str, bytes]) -> Imported:
    """Read the files of one run. Raises: Invalid."""
    results = [name for name in sources if name.endswith(".json")]
    if len(results) > 1:
        raise Invalid(
            f"There are {len(results)} result files: {', '.join(sorted(results)[:5])}.",
            remedy="Give those of one run.",
        )
    stated = mapping(json_of(sources[results[0]], results[0], nan=True), results[0]) if results else {}
    if results and not isinstance(stated.get("results"), dict):
        raise Invalid(f"{results[0]} holds no `results`: it was not written by lm-evaluation-harness.")
    rows = [row for name in sorted(sources) if name.endswith(".jsonl") for row in _rows(sources[name], name)]
    if not rows:
        raise Invalid(
            "The file holds totals and no samples, so nothing can be computed again.",
            remedy="Run lm_eval with --log_samples and give the samples_*.jsonl beside the results.",
        )
    totals, unchecked = _totals(stated, rows)
    notes = () if results else ("there is no results file, so no total could be compared",)
    tasks = {row.task for row in rows}
    return Imported(
        format="lm-eval",
        tool=f"lm_eval {name_of(stated.get('lm_eval_version'), 'unknown')}",
        rows=tuple(rows),
        totals=totals,
        complete=True if results else None,
        n_expected={
            task: counts["effective"]
            for task, counts in mapping(stated.get("n-samples") or {}, "n-samples").items()
            if task in tasks and isinstance(counts, dict) and isinstance(counts.get("effective"), int)
        },
        notes=notes,
        unchecked=unchecked,
    )


def _rows(content: bytes, name: str) -> Iterator[ImportedRow]:
    found = _SAMPLES.match(name)
    task = found["task"] if found else name.removesuffix(".jsonl")
    for place, line in json_lines(content, name):
        if not isinstance(line.get("doc_id"), int | str):
            raise Invalid(f"{place} has no doc_id: it is no sample of lm-evaluation-harness.")
        for metric in _metrics(line, place):
            value = number(line.get(metric))
            yield ImportedRow(
                task=name_of(task, "task"),
                sample=name_of(line["doc_id"], "sample"),
                repeat=0,
                metric=f"{name_of(metric, 'metric')},{name_of(line.get('filter'), _NO_FILTER)}",
                outcome=Outcome.UNSCORABLE if value is None else Outcome.SCORED,
                value=value,
            )


def _metrics(line: Mapping[str, Any], place: str) -> list[str]:
    """Name the metrics of a line; old files list none, there every number of the line's end is one."""
    if "metrics" in line:
        return [str(metric) for metric in items(line["metrics"], f"{place} metrics")]
    after = list(line)[list(line).index("filtered_resps") + 1 :] if "filtered_resps" in line else []
    return [name for name in after if number(line[name]) is not None]


def _totals(stated: Mapping[str, Any], rows: list[ImportedRow]) -> tuple[tuple[Total, ...], tuple[str, ...]]:
    totals, unchecked = [], []
    known = {(row.task, row.metric) for row in rows}
    for task, figures in mapping(stated.get("results") or {}, "results").items():
        for key, value in mapping(figures, f"results of {task}").items():
            stem, _, filtered = key.partition(",")
            metric = f"{stem.removesuffix('_stderr')},{filtered or _NO_FILTER}"
            stated_value = number(value)
            if stem in _NOT_METRICS or stated_value is None:
                continue
            what = "stderr" if stem.endswith("_stderr") else "mean"
            if _aggregation(stated, task, stem.removesuffix("_stderr")) != "mean" or not any(
                task == one for one, _ in known
            ):
                unchecked.append(f"{task}.{key}")
            elif not (what == "stderr" and stated_value == 0):
                totals.append(Total(task, metric, what, stated_value))
    for task, counts in mapping(stated.get("n-samples") or {}, "n-samples").items():
        effective = number(counts.get("effective")) if isinstance(counts, dict) else None
        for _, metric in sorted(one for one in known if one[0] == task):
            if effective is not None:
                totals.append(Total(task, metric, "rows", effective))
    return tuple(totals), tuple(unchecked)


def _aggregation(stated: Mapping[str, Any], task: str, metric: str) -> str:
    """Say how a task sums a metric up; unnamed means the mean, but for those that never are one."""
    config = mapping(stated.get("configs") or {}, "configs").get(task)
    listed = config.get("metric_list") if isinstance(config, dict) else None
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict) and one.get("metric") == metric:
            return str(one.get("aggregation", "mean"))
    return (
        "other" if "perplexity" in metric or metric.endswith(("_per_byte", "_f1", "bleu", "mcc")) else "mean"
    )
