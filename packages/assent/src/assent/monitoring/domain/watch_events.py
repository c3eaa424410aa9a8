"""What monitoring records of the watch over what is live."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from assent.kernel.events import Event
from assent.monitoring.domain.scores import Histogram


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedMetric:
    """A metric under watch: its reference and the limit of its mean. Decimal numbers are strings."""

    metric: str
    weight: str
    limit: str
    source: str  # where the reference is from: a rollout, a run, or "stated"
    reference_n: int
    reference_rate: str
    reference_interval: tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchStarted(Event):
    """A version that is live is watched from now on, for an alert.

    A unit is scored once a day (UTC), over `window_s` from its first call of the day, in blocks of `block_s`.
    A detection stands for `hold_s`; one more within that time is the same regression.
    """

    TYPE: ClassVar[str] = "monitoring.watch.started"
    project: str
    watch: str
    alert: str
    environment: str
    route: str
    version: str
    window_s: int
    block_s: int
    arl_days: int
    hold_s: int
    metrics: tuple[WatchedMetric, ...]
    slow_above_s: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEnded(Event):
    """A watch is over: its version is not live any more, or its alert was changed or removed."""

    TYPE: ClassVar[str] = "monitoring.watch.ended"
    project: str
    watch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSealed(Event):
    """The blocks of a watch up to one stand as they are: the digest is that of their canonical form."""

    TYPE: ClassVar[str] = "monitoring.watch.sealed"
    project: str
    watch: str
    first_block: int
    last_block: int
    n_blocks: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionDetected(Event):
    """What is live has become worse: which metric, since when, by how much. `says` is in figures.

    total: the evidence in days, at least `arl_days` of the watch. The interval
    holds whatever moment is named.
    """

    TYPE: ClassVar[str] = "monitoring.regression.detected"
    project: str
    regression: str
    watch: str
    environment: str
    route: str
    version: str
    metric: str
    block: int
    since_at: datetime
    total: str
    n: int
    rate: str
    interval: tuple[str, str]
    says: str


def scores_document(scores: Mapping[str, Histogram]) -> list[dict[str, Any]]:
    """Write the histograms of a block as JSON, by metric."""
    return [
        {"metric": name, "scores": [list(pair) for pair in scores[name].counts]} for name in sorted(scores)
    ]


def sealed_document(blocks: Sequence[tuple[int, Mapping[str, Histogram]]]) -> Any:
    """Write the form that the digest of sealed blocks is made of."""
    return [{"block": block, "scores": scores_document(scores)} for block, scores in blocks]
