"""What happens in compliance. Why is an erasable, salted body; its digest stands in the leaf."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from assent.kernel.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleAssigned(Event):
    """A person answers for something of a system from now on; who did before does no longer."""

    TYPE: ClassVar[str] = "compliance.role.assigned"
    project: str
    name: str
    role: str
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemClassified(Event):
    """Somebody answered a risk questionnaire about a system; `tier` follows from the answers."""

    TYPE: ClassVar[str] = "compliance.system.classified"
    classification: str
    project: str
    name: str
    questionnaire: str
    questionnaire_digest: str
    answers: dict[str, str]
    tier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSet(Event):
    """How long a project keeps what it observed (logs) and what it decided (records), in days."""

    TYPE: ClassVar[str] = "compliance.retention.set"
    project: str
    logs_days: int
    records_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlAttested(Event):
    """A person states that an organisational control of a catalogue is in place for a system."""

    TYPE: ClassVar[str] = "compliance.control.attested"
    project: str
    name: str
    catalogue: str
    row: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementIssued(Event):
    """A signed statement of an entry was issued: `envelope` is the digest of it, `about` the event's id."""

    TYPE: ClassVar[str] = "compliance.statement.issued"
    project: str
    subject: str
    about: str
    predicate: str
    envelope: str
