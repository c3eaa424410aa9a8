"""What coverage looks at: entries about a version and its system; and what a check saw in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

OBSERVED = "monitoring.observations"
"""Not an entry: the sums of what gateways saw of the version. Fields: subject, n_calls, n_feedback."""


class Standing(StrEnum):
    """What the record shows of a requirement."""

    NOT_MET = "not_met"
    UNKNOWN = "unknown"
    MET = "met"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One entry of the ledger; `index` is None for what is no entry."""

    index: int | None
    id: str
    type: str
    at: datetime
    fields: Mapping[str, Any]

    def says(self, **wanted: Any) -> bool:
        """Tell whether it has these fields."""
        return all(self.fields.get(key) == value for key, value in wanted.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One version (`subject`, `ref`) of one system (`name`), and every record about them, oldest first."""

    now: datetime
    project: str
    name: str
    subject: str
    ref: str
    questionnaire: str
    records: tuple[Record, ...]

    def of(self, kind: str, /, **wanted: Any) -> list[Record]:
        """Give the records of a type with these fields, newest first."""
        return [r for r in reversed(self.records) if r.type == kind and r.says(**wanted)]

    def of_version(self, kind: str, /, **wanted: Any) -> list[Record]:
        """Give those about this very digest."""
        return self.of(kind, subject=self.subject, **wanted)

    def of_system(self, kind: str, /, **wanted: Any) -> list[Record]:
        """Give those about the system's name in this project."""
        return self.of(kind, project=self.project, name=self.name, **wanted)

    def recent(self, records: list[Record], days: int) -> list[Record]:
        """Keep those in a window that ends now."""
        return [r for r in records if r.at >= self.now - timedelta(days=days)]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a check saw: what speaks for it, what contradicts it, and what leaves it open.

    `have` says it in a sentence. Only `supports` can make a row met, so fewer records never do.
    """

    have: str
    supports: tuple[Record, ...] = ()
    against: tuple[Record, ...] = ()
    doubts: tuple[Record, ...] = ()

    @property
    def standing(self) -> Standing:
        """Contradicted: not met. Shown and not in doubt: met. Everything else: unknown."""
        if self.against:
            return Standing.NOT_MET
        return Standing.MET if self.supports and not self.doubts else Standing.UNKNOWN


@dataclass(frozen=True, slots=True)
class Check:
    """One computed check: what it needs, how to get it, and the function that looks.

    `remedy` may name {ref}, {name} and {project}.
    """

    need: str
    remedy: str
    look: Callable[[Facts], Seen]


def days_old(facts: Facts, record: Record) -> str:
    """Say how old a record is."""
    days = max((facts.now - record.at).days, 0)
    return "1 day old" if days == 1 else f"{days} days old"
