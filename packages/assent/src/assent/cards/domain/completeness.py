"""What a complete card holds, what is missing, and who can fill it in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from assent.cards.domain.document import USES, Document, latency_of, use
from assent.cards.domain.form import declared_at
from assent.cards.domain.sections import required

PROHIBITED = "prohibited"
FORM = "whoever may write cards, in the form"
VERSION = "the author, in the document of a new version"
RUN = "whoever may run evaluations, by a run on this version"


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that a complete card holds: its path or fact, whether it is there, and who can bring it."""

    section: int
    what: str
    met: bool
    by: str


@dataclass(frozen=True, slots=True)
class Completeness:
    """What the tier requires and how much of it is there."""

    tier: str | None
    required: frozenset[int]
    asked: tuple[Asked, ...]

    @property
    def lacks(self) -> Mapping[int, tuple[str, ...]]:
        """Give, by section, the paths or facts that are missing, required or not."""
        numbers = sorted({one.section for one in self.asked if not one.met})
        return {number: tuple(one.what for one in self.missing_in(number)) for number in numbers}

    def missing_in(self, section: int) -> tuple[Asked, ...]:
        """Give what a section lacks."""
        return tuple(one for one in self.asked if one.section == section and not one.met)

    @property
    def missing(self) -> tuple[int, ...]:
        """Give the required sections that lack something."""
        return tuple(sorted(self.required & self.lacks.keys()))

    @property
    def complete(self) -> bool:
        """Tell whether nothing required is missing; a prohibited version's card never is."""
        return not self.missing and self.tier != PROHIBITED

    @property
    def missing_paths(self) -> frozenset[str]:
        """Give what is missing in the required sections."""
        return frozenset(one.what for one in self._required() if not one.met)

    @property
    def score(self) -> tuple[int, int]:
        """Give how many of the required things are there, and how many there are."""
        wanted = self._required()
        return sum(one.met for one in wanted), len(wanted)

    def _required(self) -> list[Asked]:
        return [one for one in self.asked if one.section in self.required]


def completeness(document: Document) -> Completeness:
    """Compare a card with what its tier requires."""
    tier = document["version"].get("tier")
    return Completeness(tier, required(tier), tuple(_asked(document)))


def _asked(document: Document) -> Iterator[Asked]:
    yield from _of_records(document)
    latency = () if latency_of(document) else ("operation.latency",)
    licence = () if document["version"].get("licence") else ("licence",)
    changes = () if document["predecessor"] is None else ("changes",)
    declared = {
        2: ("contact",),
        3: licence,
        5: ("input_output.inputs", "input_output.outputs"),
        6: tuple(f"training_data.{key}" for key in ("sources", "volume", "pii_handling")),
        9: ("ethical_considerations",),
        10: ("limitations",),
        11: (*latency, "operation.cost", "operation.fallbacks"),
        12: ("environmental_impact.hardware", "environmental_impact.energy"),
        18: changes,
        19: ("citations",),
    }
    for number, paths in declared.items():
        for path in paths:
            yield Asked(number, path, bool(declared_at(document["declared"], path)), FORM)
    for key in USES:
        yield Asked(4, f"intended_use.{key}", bool(use(document, key)), FORM)


def _of_records(document: Document) -> Iterator[Asked]:
    version, evaluations = document["version"], document["evaluations"]
    yield Asked(1, "digest", met=True, by=VERSION)
    for number, key in ((2, "owner"), (2, "tier"), (3, "base_model")):
        yield Asked(number, key, bool(version.get(key)), VERSION)
    yield Asked(7, "evaluation: no suite has been run on this version", bool(evaluations), RUN)
    compared = document["predecessor"] is None or any(one["baseline"] for one in evaluations)
    yield Asked(8, "comparison: no run compares it with an earlier version", compared, RUN)
    safe = any(one["kind"] == "safety" for one in evaluations)
    yield Asked(9, "safety: no safety suite has been run", safe, RUN)
