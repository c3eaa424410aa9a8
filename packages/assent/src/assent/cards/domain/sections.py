"""The twenty sections of a card: where each comes from, and which of them a tier requires."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Origin(StrEnum):
    """Where a section's content comes from."""

    DERIVED = "derived"  # from records
    DECLARED = "declared"  # by people, in the form
    MIXED = "derived and declared"
    LIVE = "live"  # from records at the moment of reading, outside the card's digest


@dataclass(frozen=True, slots=True)
class Section:
    """One section by its number."""

    number: int
    title: str
    origin: Origin

    @property
    def heading(self) -> str:
        """Give number and title."""
        return f"{self.number}. {self.title}"


SECTIONS: tuple[Section, ...] = tuple(
    Section(number, title, origin)
    for number, (title, origin) in enumerate(
        (
            ("Identity", Origin.DERIVED),
            ("Owner, contact, tier", Origin.MIXED),
            ("Provenance", Origin.MIXED),
            ("Intended use", Origin.DECLARED),
            ("Input and output", Origin.MIXED),
            ("Training data", Origin.MIXED),
            ("Evaluation", Origin.MIXED),
            ("Comparison with the predecessor", Origin.DERIVED),
            ("Safety, fairness, ethics", Origin.MIXED),
            ("Limitations and risks", Origin.DECLARED),
            ("Operation", Origin.MIXED),
            ("Environmental impact", Origin.DECLARED),
            ("Monitoring", Origin.LIVE),
            ("Approvals", Origin.LIVE),
            ("Rollouts and incidents", Origin.LIVE),
            ("Dependents", Origin.LIVE),
            ("Deprecation", Origin.LIVE),
            ("Changes", Origin.MIXED),
            ("Citations", Origin.DECLARED),
            ("Digest and ledger", Origin.LIVE),
        ),
        start=1,
    )
)

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
