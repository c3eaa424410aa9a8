"""Schedules: what is live is evaluated again and again by a suite."""

from dataclasses import dataclass
from typing import ClassVar

from assent.kernel.events import Event

LEAST_S = 3600
MOST_S = 366 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSet(Event):
    """What an environment serves under a name is evaluated anew by a suite, every so many seconds."""

    TYPE: ClassVar[str] = "evaluation.schedule.set"
    project: str
    suite: str
    suite_ref: str
    name: str
    environment: str
    every_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRemoved(Event):
    """A schedule asks for nothing more."""

    TYPE: ClassVar[str] = "evaluation.schedule.removed"
    project: str
    suite: str
    name: str
    environment: str
