"""What happens to flags and segments. Their documents are bodies: lists of people can be erased."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from assent.kernel.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Defined(Event):
    """What each event carries: the digest of the document, and the flag's generation after it."""

    project: str
    environment: str
    name: str
    body: str
    generation: int
    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagCreated(Defined):
    """A flag exists in an environment."""

    TYPE: ClassVar[str] = "flags.flag.created"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagChanged(Defined):
    """A flag's document is another. `how`: create (anew), change, on, off or restore.

    `grows`: somebody may get what is new to them; `proposed_by`: where a second person confirmed it.
    """

    TYPE: ClassVar[str] = "flags.flag.changed"
    how: str
    grows: bool
    proposed_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagProposed(Defined):
    """Somebody wants a flag of a protected environment to give more; it takes a second person."""

    TYPE: ClassVar[str] = "flags.flag.proposed"
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagArchived(Defined):
    """A flag is gone: applications get their own default."""

    TYPE: ClassVar[str] = "flags.flag.archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSet(Defined):
    """A segment has these conditions from now on."""

    TYPE: ClassVar[str] = "flags.segment.set"
    proposed_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentProposed(Defined):
    """Somebody wants a segment of a protected environment to be another; it takes a second person."""

    TYPE: ClassVar[str] = "flags.segment.proposed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalWithdrawn(Event):
    """A proposal waits no longer. `kind`: flag or segment."""

    TYPE: ClassVar[str] = "flags.proposal.withdrawn"
    project: str
    environment: str
    kind: str
    name: str
    body: str
