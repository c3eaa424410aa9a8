"""What monitoring records."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from assent.kernel.events import Event
from assent.monitoring.domain.difference import Moments, Stratum
from assent.monitoring.domain.scores import Block, tally


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardCounts:
    """One guard's histograms in a block: [score in 1/256, units] pairs, ascending."""

    metric: str
    canary: tuple[tuple[int, int], ...]
    stable: tuple[tuple[int, int], ...]

    def block(self) -> Block:
        """Give them as the statistics read them. Raises: ValueError."""
        return Block(canary=tally(self.canary), stable=tally(self.stable))


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountSums:
    """What an A/B test compares beside badness, in a block: units, sum, sum of squares; decimal strings."""

    metric: str
    canary: tuple[int, str, str]
    stable: tuple[int, str, str]

    def stratum(self) -> Stratum:
        """Give them as the statistics read them."""
        return Stratum(control=_moments(self.stable), treatment=_moments(self.canary))


def counts_document(guards: Sequence[GuardCounts]) -> list[dict[str, Any]]:
    """Write the histograms of a block as JSON."""
    return [
        {"metric": g.metric, "canary": [list(p) for p in g.canary], "stable": [list(p) for p in g.stable]}
        for g in guards
    ]


def block_document(guards: Sequence[GuardCounts], amounts: Sequence[AmountSums]) -> Any:
    """Write the form that a block's digest is made of."""
    if not amounts:
        return counts_document(guards)
    sums = [{"metric": a.metric, "canary": list(a.canary), "stable": list(a.stable)} for a in amounts]
    return {"guards": counts_document(guards), "amounts": sums}


def _moments(sums: tuple[int, str, str]) -> Moments:
    n, total, squares = sums
    return Moments(n, float(total), float(squares))


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockClosed(Event):
    """A block of a rollout is closed: the windows of these units ended in it, and this is how they went.

    `digest` is that of the canonical form of guards and amounts. A block without units is not recorded.
    """

    TYPE: ClassVar[str] = "monitoring.block.closed"
    project: str
    rollout: str
    block: int  # index on the grid of `block_s` since 1970
    opened_at: datetime
    closed_at: datetime
    guards: tuple[GuardCounts, ...]
    digest: str
    amounts: tuple[AmountSums, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardFigures:
    """One guard at the moment of a verdict. Decimal numbers are strings; intervals hold at every look."""

    metric: str
    weight: str
    e_value: str
    n_canary: int
    n_stable: int
    canary_rate: str
    stable_rate: str
    canary_interval: tuple[str, str]
    stable_interval: tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentOpened(Event):
    """Something went wrong: a guard failed and took its rollout back with this, or a person says so.

    A guard tells all in figures (`rollout` to `guards`); a person names what they know, and gives a title,
    which is a salted body: here stands its digest.
    """

    TYPE: ClassVar[str] = "monitoring.incident.opened"
    incident: str
    project: str
    environment: str
    rollout: str | None = None
    route: str | None = None
    subject: str | None = None  # digest of the version that was taken back
    guard: str | None = None
    total: str | None = None  # sum of weight * E over the guards
    threshold: str | None = None  # 1/alpha
    summary: str = ""  # in figures, by the product; no free text
    last_block: int | None = None
    guards: tuple[GuardFigures, ...] = field(default=())
    title: str | None = None
    severity: str | None = None
    alert: str | None = None  # name of the alert that told of it


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentNoted(Event):
    """Somebody wrote down what they saw or did. The note is a salted body; here stands its digest."""

    TYPE: ClassVar[str] = "monitoring.incident.noted"
    project: str
    incident: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentMitigated(Event):
    """Users are harmed no longer, whatever is left to mend."""

    TYPE: ClassVar[str] = "monitoring.incident.mitigated"
    project: str
    incident: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentAcknowledged(Event):
    """A person has seen the incident."""

    TYPE: ClassVar[str] = "monitoring.incident.acknowledged"
    project: str
    incident: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentResolved(Event):
    """The incident is over. The note is a salted body; here stands its digest."""

    TYPE: ClassVar[str] = "monitoring.incident.resolved"
    project: str
    incident: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentReviewed(Event):
    """The incident was looked back on. The review is a salted body; here stands its digest."""

    TYPE: ClassVar[str] = "monitoring.incident.reviewed"
    project: str
    incident: str
    review: str
