"""Logs of Inspect AI (`.eval`): a zip of one JSON a sample; without a header where the run was killed.

`samples/ID_epoch_N.json`: {"id","epoch","scores":{SCORER:{"value":"C"|"I"|"P"|"N"|number|{…},"history":[…]}},
"error"?}; `header.json`: {"status","eval":{"task","dataset":{"samples"},"config":{"epochs"}},"results":{…}}.
Scores may be NaN, which means not scored; `history` holds what a score was before somebody edited it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from assent.evaluation.domain.cases import Outcome
from assent.evaluation.domain.imported import Imported, ImportedRow, Total
from assent.evaluation.imports.bounded import Archive, items, json_of, mapping, name_of, number
from assent.kernel.errors import Invalid

VERSION = 1
_LETTERS = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
_START = "_journal/start.json"
_HEADER = "header.json"


def read(content: bytes, where: str) -> Imported:
    """Read a log. Raises: Invalid, TooLarge."""
    archive = Archive(content, where)
    header = _head(archive, where)
    run = mapping(header.get("eval", {}), "eval of the header")
    task = name_of(run.get("task"), "task")
    rows: list[ImportedRow] = []
    failed: list[tuple[str, int, str | None]] = []
    n_samples = n_edited = 0
    for name in archive.names():
        if not (name.startswith("samples/") and name.endswith(".json")):
            continue
        n_samples += 1
        sample = mapping(json_of(archive.read(name), name, nan=True), name)
        found, edited = _rows(sample, task, name)
        rows += found
        n_edited += edited
        if not found:
            failed.append((_identity(sample, name), _epoch(sample, name), _cluster(sample)))
    scorers = sorted({row.metric for row in rows}) or ["score"]
    rows += [
        ImportedRow(task, sample, epoch, metric, Outcome.ERROR, None, cluster)
        for sample, epoch, cluster in failed
        for metric in scorers
    ]
    totals, unchecked = _totals(header, task, scorers, run)
    status = header.get("status")
    notes = [] if status == "success" else [f"the run ended as {status or 'killed, without a header'}"]
    notes += [f"{n_edited} scores were edited by hand after the run"] if n_edited else []
    expected = _whole(mapping(run.get("dataset", {}), "dataset").get("samples"))
    epochs = _whole(mapping(run.get("config", {}), "config").get("epochs")) or 1
    packages = mapping(run.get("packages", {}), "packages")
    return Imported(
        format="inspect",
        tool=f"inspect_ai {name_of(packages.get('inspect_ai'), 'unknown')}",
        rows=tuple(rows),
        totals=totals,
        complete=status == "success" and header.get("invalidated") is not True,
        n_expected={task: expected * epochs} if expected else {},
        notes=tuple(notes),
        unchecked=unchecked,
        measured_at=run.get("created") if isinstance(run.get("created"), str) else None,
    )


def _head(archive: Archive, where: str) -> Mapping[str, Any]:
    for name in (_HEADER, _START):
        if name in archive:
            return mapping(json_of(archive.read(name), name, nan=True), name)
    raise Invalid(
        f"{where} is no log of Inspect: it holds neither {_HEADER} nor {_START}.",
        remedy="Give the .eval file; one in JSON is converted by `inspect log convert --to eval`.",
    )


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _identity(sample: Mapping[str, Any], place: str) -> str:
    if not isinstance(sample.get("id"), str | int):
        raise Invalid(f"{place} has no id.")
    return name_of(sample["id"], "sample")


def _epoch(sample: Mapping[str, Any], place: str) -> int:
    epoch = sample.get("epoch", 1)
    if not isinstance(epoch, int) or not 1 <= epoch <= 10_000:  # noqa: PLR2004 -- no run repeats more often
        raise Invalid(f"{place} has no epoch that can be read.")
    return epoch - 1


def _cluster(sample: Mapping[str, Any]) -> str | None:
    metadata = sample.get("metadata")
    named = metadata.get("cluster") if isinstance(metadata, dict) else None
    return None if named is None else name_of(named, "none")


def _rows(sample: Mapping[str, Any], task: str, place: str) -> tuple[list[ImportedRow], int]:
    """Give a sample's rows and how many of its scores were edited."""
    rows, n_edited = [], 0
    if sample.get("error"):
        return [], 0
    for scorer, score in mapping(sample.get("scores") or {}, f"scores of {place}").items():
        said = mapping(score, f"score {scorer} of {place}")
        n_edited += bool(said.get("history"))
        for metric, value in _values(scorer, said.get("value")):
            rows.append(
                ImportedRow(
                    task=task,
                    sample=_identity(sample, place),
                    repeat=_epoch(sample, place),
                    metric=name_of(metric, "score"),
                    outcome=Outcome.UNSCORABLE if value is None else Outcome.SCORED,
                    value=value,
                    cluster=_cluster(sample),
                )
            )
    return rows, n_edited


def _values(scorer: str, value: Any) -> Iterator[tuple[str, float | None]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield f"{scorer}.{key}", _number(part)
    else:
        yield scorer, _number(value)


def _number(value: Any) -> float | None:
    return _LETTERS.get(value) if isinstance(value, str) else number(value)


def _totals(
    header: Mapping[str, Any], task: str, scorers: list[str], run: Mapping[str, Any]
) -> tuple[tuple[Total, ...], tuple[str, ...]]:
    """List what the header states, apart from what its rows cannot prove."""
    results = header.get("results")
    if not isinstance(results, dict):
        return (), ()
    totals: list[Total] = []
    unchecked: list[str] = []
    config = mapping(run.get("config", {}), "config")
    plain = config.get("epochs_reducer") in (None, "mean", ["mean"])
    n_samples = number(results.get("total_samples"))
    if n_samples is not None and header.get("status") == "success":
        totals.append(Total(task, scorers[0], "rows", n_samples))
    for score in items(results.get("scores", []), "results.scores"):
        said = mapping(score, "a score of the results")
        metric = name_of(said.get("name"), "score")
        n_scored = number(said.get("scored_samples"))
        if n_scored is not None and metric in scorers and config.get("epochs", 1) == 1:
            totals.append(Total(task, metric, "n", n_scored))
        for name, found in mapping(said.get("metrics", {}), "metrics").items():
            one = mapping(found, "a metric of the results")
            what = {"accuracy": "mean", "mean": "mean", "stderr": "stderr"}.get(name.rpartition("/")[2])
            value = number(one.get("value"))
            simple = plain and metric in scorers and not one.get("params") and not said.get("reducer")
            if what is None or value is None or not simple:
                unchecked.append(f"{metric}.{name}")
            elif not (what == "stderr" and value == 0):
                totals.append(Total(task, metric, what, value))
    return tuple(totals), tuple(unchecked)
