"""Windows in which nothing is released: fixed ones, and ones that come back every week."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedWindow:
    """From one moment up to another."""

    start: datetime
    end: datetime
    reason: str

    def holds(self, now: datetime) -> bool:
        """Tell whether a moment is in the window."""
        return self.start <= now < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class WeeklyWindow:
    """From a minute of the week up to another, on the clock of a zone; it may reach over Sunday."""

    start: str
    end: str
    zone: str
    reason: str

    def holds(self, now: datetime) -> bool:
        """Tell whether a moment is in the window."""
        local = now.astimezone(ZoneInfo(self.zone))
        minute = local.weekday() * _DAY_MINUTES + local.hour * 60 + local.minute
        start, end = week_minute(self.start), week_minute(self.end)
        return start <= minute < end if start < end else minute >= start or minute < end


Window = FixedWindow | WeeklyWindow


def week_minute(text: str) -> int:
    """Read `fri 16:00` as a minute of the week, Monday 00:00 being 0."""
    day, _, time = text.partition(" ")
    hour, _, minute = time.partition(":")
    return DAYS.index(day) * _DAY_MINUTES + int(hour) * 60 + int(minute)
