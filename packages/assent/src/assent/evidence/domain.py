"""What is claimed of a digest, by whom, and until when."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from assent.kernel.events import Event

LIVE = "live"
"""The kind that says which version of a name an environment serves; its value is {environment, name}."""


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
