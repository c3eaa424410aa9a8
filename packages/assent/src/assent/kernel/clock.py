"""Time, as a part that tests can turn."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> datetime:
        """Give the present time, UTC aware."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Give the present time, UTC aware."""
        return datetime.now(UTC)


class FakeClock:
    """A clock that moves only when told; it ships because drills and tests of users need it too."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        """Give the time that it was set to."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move forward."""
        self._now += timedelta(seconds=seconds)


def to_text(moment: datetime) -> str:
    """Write a time as fixed-width RFC 3339 in UTC with microseconds; raises ValueError without a zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} names no time zone")
    # strftime would write the year 999 with three digits; fixed width is what makes the text sort.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def from_text(text: str) -> datetime:
    """Read RFC 3339; raises ValueError without a zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone; end it with Z or an offset")
    return moment.astimezone(UTC)
