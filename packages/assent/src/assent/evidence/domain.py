"""What is claimed of a digest, by whom, and until when."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from assent.kernel.errors import Invalid
from assent.kernel.events import Event

DEPRECATION = "deprecation"
"""The kind that says how a version ends: state, at, sunset_at, successor, brownouts."""

LIVE = "live"
"""The kind that says which version of a name an environment serves; its value is {environment, name}."""


METRICS = "metrics"
"""In a claim's value: names to decimal text, the newest figures of its subject, by which it is searched."""
MAX_METRICS = 200
MAX_METRIC_NAME = 200


def metrics_of(value: Mapping[str, Any]) -> dict[str, float]:
    """Read the metrics that a claim states. Raises: Invalid."""
    stated = value.get(METRICS, {})
    if not isinstance(stated, Mapping) or len(stated) > MAX_METRICS:
        raise Invalid(f"Metrics are a mapping of at most {MAX_METRICS} names to decimal text.")
    return {_metric_name(name): _figure(name, text) for name, text in stated.items()}


def _metric_name(name: object) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_METRIC_NAME:
        raise Invalid(f"A metric's name has 1 to {MAX_METRIC_NAME} characters.")
    return name


def _figure(name: object, text: object) -> float:
    try:
        figure = float(text) if isinstance(text, str) else math.nan
    except ValueError:
        figure = math.nan
    if not math.isfinite(figure):
        raise Invalid(f"The metric {name!r} must be a finite number, as decimal text.")
    return figure


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRecorded(Event):
    """Something was claimed of a digest; a later claim of the same kind takes its place."""

    TYPE: ClassVar[str] = "evidence.claim.recorded"
    evidence: str
    project: str
    kind: str
    subject: str
    environment: str | None
    name: str | None
    value: dict[str, Any]
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A claim as it stands: `event` is the id of its leaf."""

    id: str
    project: str
    kind: str
    subject: str
    environment: str | None
    name: str | None
    value: dict[str, Any]
    by: str
    issued_at: datetime
    expires_at: datetime | None
    event: str

    def holds(self, now: datetime) -> bool:
        """Tell whether it is in its window."""
        return self.expires_at is None or now < self.expires_at
