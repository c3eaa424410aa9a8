"""Retirement: a version is announced to end, is refused now and then before its sunset, and then for good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar

from assent.kernel.errors import Conflict, Invalid, Reason, Refused
from assent.kernel.events import Event

MAX_BROWNOUTS = 50
MAX_BROWNOUT = timedelta(hours=24)
MAX_SUNSET = timedelta(days=5 * 366)
MAX_WAIVER = timedelta(days=366)
NOTICE_DAYS = (30, 7, 1, 0)
"""How many days before the sunset those who still call a version are named; 0 is the sunset itself."""

BROWNOUT_NOTICE = timedelta(hours=24)
"""How long before a brown-out those who still call a version are told of it."""

DEFAULT_BROWNOUTS = ((timedelta(days=14), timedelta(minutes=5)), (timedelta(days=3), timedelta(minutes=30)))
"""Refusals before the sunset: how long before it each begins, and how long it lasts."""


class State(StrEnum):
    """Where a deprecation stands."""

    DEPRECATED = "deprecated"
    UNDONE = "undone"
    RETIRED = "retired"


class WaiverKind(StrEnum):
    """Why a version may be retired although somebody still depends on it."""

    MOVES_LATER = "moves_later"
    ACCEPTS_OUTAGE = "accepts_outage"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDeprecated(Event):
    """A version will end at `sunset_at`; in each of the `brownouts` (from, until) it is refused before."""

    TYPE: ClassVar[str] = "retirement.version.deprecated"
    deprecation: str
    project: str
    name: str
    number: str
    subject: str
    successor: str | None
    successor_ref: str | None
    sunset_at: datetime
    brownouts: tuple[tuple[datetime, datetime], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeprecationUndone(Event):
    """A deprecation was taken back before its sunset."""

    TYPE: ClassVar[str] = "retirement.deprecation.undone"
    deprecation: str
    project: str
    name: str
    number: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaiverGranted(Event):
    """Somebody else than who deprecated a version lets it retire with dependents left, for a time."""

    TYPE: ClassVar[str] = "retirement.waiver.granted"
    deprecation: str
    project: str
    subject: str
    waiver: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeGiven(Event):
    """Owners of dependents were told, so many days before the sunset, who depends and who calls."""

    TYPE: ClassVar[str] = "retirement.notice.given"
    deprecation: str
    project: str
    name: str
    number: str
    subject: str
    days: int
    sunset_at: datetime
    dependents: tuple[str, ...]
    applications: tuple[str, ...]
    n_calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BrownoutNeared(Event):
    """Owners of dependents were told, a day before, when a version will be refused for a while."""

    TYPE: ClassVar[str] = "retirement.brownout.neared"
    deprecation: str
    project: str
    name: str
    number: str
    subject: str
    successor_ref: str | None
    starts_at: datetime
    ends_at: datetime
    dependents: tuple[str, ...]
    applications: tuple[str, ...]
    n_calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRetired(Event):
    """A version ended; `waived` is the number of dependents that a waiver left behind."""

    TYPE: ClassVar[str] = "retirement.version.retired"
    deprecation: str
    project: str
    name: str
    number: str
    subject: str
    waived: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModelNeared(Event):
    """The provider's end of a base model came within the horizon; these versions are touched."""

    TYPE: ClassVar[str] = "retirement.base_model.neared"
    project: str
    base_model: str
    ends_on: str
    versions: tuple[str, ...]
    live: tuple[str, ...]
    owners: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deprecation:
    """A deprecation as it stands."""

    id: str
    project: str
    name: str
    number: str
    subject: str
    successor: str | None
    successor_ref: str | None
    at: datetime
    by: str
    reason: str | None
    sunset_at: datetime
    brownouts: tuple[tuple[datetime, datetime], ...]
    state: State
    ended_at: datetime | None
    waiver: str | None
    waiver_by: str | None
    waiver_expires_at: datetime | None

    @property
    def ref(self) -> str:
        """Give name@number."""
        return f"{self.name}@{self.number}"

    def is_waived(self, now: datetime) -> bool:
        """Tell whether a waiver is in force."""
        return self.waiver_expires_at is not None and now < self.waiver_expires_at


@dataclass(frozen=True, slots=True)
class Dependents:
    """Who depends on a version: declared by lineage, serving it, and calling it lately.

    `calling` counts calls by the id of an application's key, `names` says what those keys are called.
    """

    declared: tuple[str, ...] = ()
    serving: tuple[str, ...] = ()
    calling: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def named(self, key: str) -> str:
        """Give an application as people know it: the name of its key, then the key's id."""
        return f"{self.names[key]} ({key})" if key in self.names else key


def brownouts_of(
    wanted: Sequence[tuple[datetime, datetime]] | None, now: datetime, sunset_at: datetime
) -> tuple[tuple[datetime, datetime], ...]:
    """Give the brown-outs in order; None is the default schedule, as far as there is time for it.

    Raises: Invalid with every mistake.
    """
    if wanted is None:
        starts = ((sunset_at - before, length) for before, length in DEFAULT_BROWNOUTS)
        return tuple((start, start + length) for start, length in starts if start > now)
    chosen = sorted(wanted)
    mistakes = list(_brownout_mistakes(chosen, now, sunset_at))
    if mistakes:
        raise Invalid(" ".join(one.message for one in mistakes), reasons=mistakes)
    return tuple(chosen)


def _brownout_mistakes(
    chosen: Sequence[tuple[datetime, datetime]], now: datetime, sunset_at: datetime
) -> Iterable[Reason]:
    if len(chosen) > MAX_BROWNOUTS:
        yield Reason("brownouts", f"There are {len(chosen)} brown-outs; {MAX_BROWNOUTS} at most.")
    before = now
    for start, end in chosen:
        shown = f"The brown-out from {start:%Y-%m-%d %H:%M} "
        if not start < end <= start + MAX_BROWNOUT:
            yield Reason("brownouts", shown + "must end after it begins, within a day.")
        if start < before:
            yield Reason("brownouts", shown + "begins in the past or within another one.")
        if end > sunset_at:
            yield Reason("brownouts", shown + "ends after the sunset.")
        before = end


def checked_sunset(now: datetime, sunset_at: datetime) -> datetime:
    """Check that there is time to move. Raises: Invalid."""
    if not now < sunset_at <= now + MAX_SUNSET:
        raise Invalid(
            f"The sunset {sunset_at:%Y-%m-%d %H:%M} must lie in the future, within five years.",
            remedy="Give a date: --sunset YYYY-MM-DD.",
        )
    return sunset_at


def expect_open(deprecation: Deprecation | None, ref: str) -> Deprecation:
    """Give the deprecation that is in force. Raises: Conflict."""
    if deprecation is None or deprecation.state != State.DEPRECATED:
        raise Conflict(f"{ref} is not deprecated.", remedy="`assent model deprecate` announces its end.")
    return deprecation


def expect_undoable(deprecation: Deprecation, now: datetime) -> None:
    """Refuse to take back what has happened. Raises: Conflict."""
    if now >= deprecation.sunset_at:
        raise Conflict(
            f"The sunset of {deprecation.ref} is over; what is refused already does not come back.",
            remedy="Release the successor, or register the content under a new number.",
        )


def expect_waivable(deprecation: Deprecation, by: str, expires_at: datetime, now: datetime) -> None:
    """Refuse a waiver by who deprecated, or one without an end. Raises: Refused with every reason."""
    reasons = []
    if by == deprecation.by:
        reasons.append(
            Reason("waiver", "Who deprecated a version does not waive its dependents.", "Ask somebody else.")
        )
    if not now < expires_at <= now + MAX_WAIVER:
        reasons.append(Reason("expires_at", "A waiver ends in the future, within a year.", "Give its day."))
    if reasons:
        raise Refused(" ".join(one.message for one in reasons), reasons=reasons)


def expect_retirable(deprecation: Deprecation, dependents: Dependents, now: datetime) -> int:
    """Refuse to retire before the sunset, or while somebody depends and nothing waives it.

    Gives how many dependents a waiver leaves behind. Raises: Refused with every reason.
    """

    def times(n: int) -> str:
        return "once" if n == 1 else f"{n} times"

    reasons = []
    if now < deprecation.sunset_at:
        text = f"The sunset of {deprecation.ref} is {deprecation.sunset_at:%Y-%m-%d %H:%M} UTC."
        reasons.append(Reason("sunset", text, "Wait for it: dependents were promised this day."))
    move = f"Move it to {deprecation.successor_ref or 'a version that stays'}."
    left = [
        *(Reason("dependent", f"{one} is built from it.", move) for one in dependents.declared),
        *(Reason("live", f"{one} serves it.", "Release its successor there.") for one in dependents.serving),
        *(
            Reason("calling", f"The application {dependents.named(key)} called it {times(n)} lately.", move)
            for key, n in sorted(dependents.calling.items())
        ),
    ]
    if left and not deprecation.is_waived(now):
        reasons += left
    if reasons:
        raise Refused(
            f"{deprecation.ref} cannot be retired: " + " ".join(one.message for one in reasons),
            reasons=reasons,
        )
    return len(left)


def due_notice(deprecation: Deprecation, given: Iterable[int], now: datetime) -> int | None:
    """Give the next notice that is due, in days before the sunset; later ones replace those missed."""
    due = [days for days in NOTICE_DAYS if now >= deprecation.sunset_at - timedelta(days=days)]
    latest = min(due, default=None)
    return None if latest is None or any(days <= latest for days in given) else latest


def due_brownout(
    deprecation: Deprecation, told: Iterable[datetime], now: datetime
) -> tuple[datetime, datetime] | None:
    """Give the next brown-out that is to be told of; one that is over is told of no more."""
    known = set(told)
    for start, end in deprecation.brownouts:
        if start not in known and start - BROWNOUT_NOTICE <= now < end:
            return start, end
    return None


def claim_of(event: VersionDeprecated, at: datetime, state: State) -> dict[str, Any]:
    """Write what snapshots carry: no reason, no person."""
    return {
        "name": event.name,
        "state": state.value,
        "at": at,
        "sunset_at": event.sunset_at,
        "successor": event.successor_ref,
        "brownouts": [list(one) for one in event.brownouts],
    }
