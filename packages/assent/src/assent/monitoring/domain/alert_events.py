"""What monitoring records of alerts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from assent.kernel.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSet(Event):
    """An alert was added, or its condition changed. `route` is the name that it watches; None for all."""

    TYPE: ClassVar[str] = "monitoring.alert.set"
    project: str
    alert: str
    name: str
    environment: str
    route: str | None
    condition: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRemoved(Event):
    """An alert watches no longer."""

    TYPE: ClassVar[str] = "monitoring.alert.removed"
    project: str
    alert: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFired(Event):
    """The condition of an alert holds. `says` is in figures, by the product."""

    TYPE: ClassVar[str] = "monitoring.alert.fired"
    project: str
    alert: str
    name: str
    environment: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRepeated(Event):
    """An alert goes on firing, and its time to be told again has come."""

    TYPE: ClassVar[str] = "monitoring.alert.repeated"
    project: str
    alert: str
    name: str
    environment: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertResolved(Event):
    """The condition of a firing alert does not hold any more."""

    TYPE: ClassVar[str] = "monitoring.alert.resolved"
    project: str
    alert: str
    name: str
    environment: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSilenced(Event):
    """Until a time, an alert tells nothing. Why is the reason of the entry."""

    TYPE: ClassVar[str] = "monitoring.alert.silenced"
    project: str
    alert: str
    name: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceEnded(Event):
    """A silence was ended before its time."""

    TYPE: ClassVar[str] = "monitoring.silence.ended"
    project: str
    alert: str
    name: str
