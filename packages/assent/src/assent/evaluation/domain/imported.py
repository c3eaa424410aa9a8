"""Results that other tools measured: one row per (task, sample, repeat, metric), figures computed from them.

What is missing is unknown, never 0: a row without a value lowers the coverage and enters no mean.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from assent.evaluation.domain.cases import Outcome
from assent.evaluation.domain.figures import figure
from assent.evaluation.domain.paired import mean
from assent.evaluation.domain.proportions import share_interval
from assent.kernel.errors import Invalid, Reason, Refused, TooLarge

MAX_ROWS = 500_000
MAX_FIGURES = 200
MAX_NAME = 200
_TAIL = 0.025
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """What one metric says of one sample; `value` is None where the outcome is unscorable or error."""

    task: str
    sample: str
    repeat: int
    metric: str
    outcome: Outcome
    value: float | None
    cluster: str | None = None

    def place(self) -> tuple[str, str, int, str]:
        """Give what no other row may share."""
        return self.task, self.sample, self.repeat, self.metric


@dataclass(frozen=True, slots=True)
class Total:
    """A figure that the file itself states: `what` is mean, stderr, n, rows, right, wrong or an outcome.

    The task `*` is the whole file. `counted` is what the rows give where only the importer can tell.
    """

    task: str
    metric: str
    what: str
    value: float
    counted: float | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """A file, read. `complete` is None where the file does not say whether its run ended well.

    `unchecked` names totals that no row can prove, such as medians; they are not taken over.
    """

    format: str
    tool: str
    rows: tuple[ImportedRow, ...]
    totals: tuple[Total, ...] = ()
    complete: bool | None = None
    n_expected: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    measured_at: str | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """The mean of a metric over samples, repeats averaged first, with its two-sided 95 % interval."""

    task: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    stderr: float | None
    n: int
    coverage: float
    counts: Mapping[str, int]

    def to_document(self) -> dict[str, Any]:
        """Write it with decimal text, as leaves do."""
        return {
            "task": self.task,
            "metric": self.metric,
            "n": self.n,
            **{slot: figure(getattr(self, slot)) for slot in ("value", "low", "high", "stderr", "coverage")},
            "counts": dict(self.counts),
        }


def check_rows(rows: Sequence[ImportedRow]) -> None:
    """Refuse what cannot be one measurement. Raises: Invalid, TooLarge."""
    if not rows:
        raise Invalid("The file holds no result.", remedy="Export the rows too, not only the totals.")
    if len(rows) > MAX_ROWS:
        raise TooLarge(f"The file holds more than {MAX_ROWS:,} results.", remedy="Split it by task.")
    twice = [place for place, n in Counter(row.place() for row in rows).items() if n > 1]
    if twice:
        task, sample, repeat, metric = twice[0]
        raise Invalid(
            f"{len(twice)} results stand twice, first {metric} of sample {sample} of {task}, "
            f"repeat {repeat}.",
            remedy="A file that was put together by hand or resumed badly cannot be trusted; run it anew.",
        )
    if len({(row.task, row.metric) for row in rows}) > MAX_FIGURES:
        raise TooLarge(f"The file holds more than {MAX_FIGURES} metrics.", remedy="Import it by task.")
    for row in rows:
        if not all(0 < len(text) <= MAX_NAME for text in (row.task, row.metric, row.sample)):
            raise Invalid(
                f"Tasks, metrics and samples have names of 1 to {MAX_NAME} characters; "
                f"sample {row.sample[:40]!r} of {row.task[:40]!r} does not."
            )


def figures(imported: Imported) -> list[Figure]:
    """Compute every figure from the rows, in order of task and metric."""
    groups: dict[tuple[str, str], list[ImportedRow]] = defaultdict(list)
    for row in imported.rows:
        groups[row.task, row.metric].append(row)
    return [
        _figure(task, metric, rows, imported.n_expected.get(task))
        for (task, metric), rows in sorted(groups.items())
    ]


def _figure(task: str, metric: str, rows: Sequence[ImportedRow], n_expected: int | None) -> Figure:
    by_sample: dict[str, list[float]] = defaultdict(list)
    clusters: dict[str, str] = {}
    for row in rows:
        if row.value is not None:
            by_sample[row.sample].append(row.value)
            clusters[row.sample] = f"row {row.sample}" if row.cluster is None else f"cluster {row.cluster}"
    counts = Counter(row.outcome.value for row in rows)
    n_values = sum(len(values) for values in by_sample.values())
    coverage = n_values / max(len(rows), n_expected or 0)
    if not by_sample:
        return Figure(task, metric, None, None, None, None, 0, coverage, counts)
    means = np.array([math.fsum(values) / len(values) for values in by_sample.values()])
    clustered = any(name.startswith("cluster ") for name in clusters.values())
    estimate = mean(means, [clusters[sample] for sample in by_sample] if clustered else None)
    if not clustered and all(
        {0.0, 1.0} >= {*values, at} for values, at in zip(by_sample.values(), means, strict=True)
    ):
        interval = share_interval(float(np.sum(means)), len(means), _TAIL)
    else:
        found = estimate.interval(_TAIL)
        if found is None:
            return Figure(task, metric, estimate.value, None, None, None, len(means), coverage, counts)
        interval = found
    return Figure(
        task, metric, estimate.value, interval.low, interval.high, estimate.se, len(means), coverage, counts
    )


def check_totals(imported: Imported) -> None:
    """Compare what the file states with what its rows give. Raises: Refused with both numbers of each."""
    reasons = [
        Reason(
            f"{total.task}.{total.metric}.{total.what}",
            f"{total.metric} of {total.task}: the file says {total.what} = {_shown(total.value)}, "
            f"its rows give {'nothing' if counted is None else _shown(counted)}",
        )
        for total in imported.totals
        if not _agrees(total.value, counted := _counted(imported.rows, total))
    ]
    if reasons:
        raise Refused(
            f"The file contradicts itself: {reasons[0].message}.",
            reasons=reasons,
            remedy="Run the evaluation anew and export it in one go; a total is never taken over unproven.",
        )


def _agrees(stated: float, counted: float | None) -> bool:
    return counted is not None and abs(stated - counted) <= _TOLERANCE * max(1.0, abs(counted))


def _shown(value: float) -> str:
    return f"{value:.9g}"


def _counted(rows: Iterable[ImportedRow], total: Total) -> float | None:
    """Compute one total from the rows that it speaks of, without any clusters: as tools do."""
    if total.counted is not None:
        return total.counted
    meant = [row for row in rows if total.task in {"*", row.task} and row.metric == total.metric]
    values = [row.value for row in meant if row.value is not None]
    if total.what == "n":
        return len(values)
    if total.what in {"right", "wrong"}:
        return sum(value == (1.0 if total.what == "right" else 0.0) for value in values)
    if total.what in {outcome.value for outcome in Outcome}:
        return sum(row.outcome.value == total.what for row in meant)
    if total.what == "rows":
        return len(meant)
    by_sample: dict[str, list[float]] = defaultdict(list)
    for row in meant:
        if row.value is not None:
            by_sample[row.sample].append(row.value)
    if not by_sample:
        return None
    estimate = mean(np.array([math.fsum(v) / len(v) for v in by_sample.values()]))
    return estimate.value if total.what == "mean" else estimate.se
