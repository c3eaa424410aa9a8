"""The twenty sections of a card: where each comes from, and which of them a tier requires."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Origin(StrEnum):
    """Where a section's content comes from."""

    DERIVED = "derived"  # from records
    DECLARED = "declared"  # by people, in the form
    MIXED = "derived and declared"
    SIGNED = "signed"  # what the signed ledger proves: decisions, digests, positions


@dataclass(frozen=True, slots=True)
class Section:
    """One section by its number; a live one is read at the moment of reading, outside the card's digest."""

    number: int
    title: str
    origin: Origin
    live: bool = False

    @property
    def heading(self) -> str:
        """Give number and title."""
        return f"{self.number}. {self.title}"

    @property
    def told(self) -> str:
        """Say where the content comes from."""
        return f"{self.origin}, read now" if self.live else str(self.origin)


SECTIONS: tuple[Section, ...] = (
    Section(1, "Identity", Origin.DERIVED),
    Section(2, "Owner, contact, tier", Origin.MIXED),
    Section(3, "Provenance", Origin.MIXED),
    Section(4, "Intended use", Origin.DECLARED),
    Section(5, "Input and output", Origin.MIXED),
    Section(6, "Training data", Origin.MIXED),
    Section(7, "Evaluation", Origin.MIXED),
    Section(8, "Comparison with the predecessor", Origin.DERIVED),
    Section(9, "Safety, fairness, ethics", Origin.MIXED),
    Section(10, "Limitations and risks", Origin.DECLARED),
    Section(11, "Operation", Origin.MIXED),
    Section(12, "Environmental impact", Origin.DECLARED),
    Section(13, "Monitoring", Origin.DERIVED, live=True),
    Section(14, "Approvals", Origin.SIGNED, live=True),
    Section(15, "Rollouts and incidents", Origin.DERIVED, live=True),
    Section(16, "Dependents", Origin.DERIVED, live=True),
    Section(17, "Deprecation", Origin.DERIVED, live=True),
    Section(18, "Changes", Origin.MIXED),
    Section(19, "Citations", Origin.DECLARED),
    Section(20, "Digest and ledger", Origin.SIGNED, live=True),
)
LIVE = frozenset(section.number for section in SECTIONS if section.live)

_LIMITED = frozenset({*range(1, 12), 18})
_HIGH = frozenset({*range(1, 13), 18, 19})
REQUIRED: Mapping[str, frozenset[int]] = {
    "minimal": frozenset(range(1, 5)),
    "limited": _LIMITED,
    "high": _HIGH,
    "prohibited": _HIGH,
}
"""Sections that a tier requires; no card makes a prohibited version complete."""


def required(tier: str | None) -> frozenset[int]:
    """Give what a tier requires; where none is recorded, as much as the highest."""
    return REQUIRED.get(tier or "", _HIGH)


def named(number: int) -> str:
    """Give a section as people read it: `6 Training data`."""
    section = SECTIONS[number - 1]
    return f"{section.number} {section.title}"
