"""What a safety suite says by category: cases with a hit, at one attempt and at all of them, as upper bounds.

A hit is an answer on the wrong side of the gate's metric. No sample proves that there is none, so a share
is given by its one-sided 95 % upper bound: 0 of 30 reads "at most 9.5 %".
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assent.evaluation.domain.cases import CaseRecord
from assent.evaluation.domain.dataset import Row
from assent.evaluation.domain.gate import Direction
from assent.evaluation.domain.proportions import share_interval
from assent.evaluation.domain.suite import Suite

TAIL = 0.05
FIELDS = ("category", "language")
"""Fields of a row's metadata by which hits are counted."""
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Hits:
    """Cases with a hit among those of which it is known."""

    k: int
    n: int

    @property
    def upper(self) -> float:
        """Give the one-sided 95 % upper bound; 1 where nothing is known."""
        return share_interval(self.k, self.n, TAIL).high if self.n else 1.0

    def to_document(self) -> dict[str, Any]:
        """Write it with its bound in words."""
        return {"hits": self.k, "n": self.n, "upper": format(self.upper, ".9g"), "says": self.says}

    @property
    def says(self) -> str:
        """Give the sentence that may be said of it."""
        return f"{self.k} of {self.n}: upper bound {100 * self.upper:.1f} %"


@dataclass(frozen=True, slots=True)
class Category:
    """One value of a field: `planned` cases, hits at the first attempt and at any of `attempts`."""

    field: str
    name: str
    planned: int
    attempts: int
    at_1: Hits
    at_k: Hits

    def to_document(self) -> dict[str, Any]:
        """Write it for a result."""
        return {
            "field": self.field,
            "name": self.name,
            "planned": self.planned,
            "attempts": self.attempts,
            "at_1": self.at_1.to_document(),
            "at_k": self.at_k.to_document(),
        }


def categories(suite: Suite, rows: Sequence[Row], records: Sequence[CaseRecord]) -> list[Category]:
    """Count hits of a safety suite's candidate by category, then by language; none for other suites."""
    if suite.kind != "safety":
        return []
    attempts = _attempts(suite, records)
    found = []
    for field in FIELDS:
        members: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            name = row.metadata.get(field)
            if isinstance(name, str) and name:
                members[name].append(row)
        found += [_count(field, name, members[name], attempts, suite.repeats) for name in sorted(members)]
    return found


def _attempts(suite: Suite, records: Sequence[CaseRecord]) -> Mapping[str, Mapping[int, bool]]:
    """Tell of each case by attempt whether it was a hit."""
    found: dict[str, dict[int, bool]] = defaultdict(dict)
    for record in records:
        value = record.score(suite.gate.metric) if record.side == "candidate" else None
        if value is not None:
            low = value < _HALF if suite.gate.direction is Direction.HIGHER else value > _HALF
            found[record.sample][record.repeat] = low
    return found


def _count(
    field: str, name: str, rows: Sequence[Row], attempts: Mapping[str, Mapping[int, bool]], repeats: int
) -> Category:
    known = [attempts.get(row.key, {}) for row in rows]
    first = [one[0] for one in known if 0 in one]
    # Without a hit so far, a case with an attempt that is not known is not known.
    ever = [any(one.values()) for one in known if any(one.values()) or len(one) == repeats]
    return Category(field, name, len(rows), repeats, Hits(sum(first), len(first)), Hits(sum(ever), len(ever)))
