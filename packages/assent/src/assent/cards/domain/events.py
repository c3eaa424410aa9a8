"""What happens to cards. Leaves hold digests: the text is a body."""

from dataclasses import dataclass
from typing import ClassVar

from assent.kernel.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class CardDrafted(Event):
    """A card of a model version was written down; `missing` are the required sections that lack something."""

    TYPE: ClassVar[str] = "cards.card.drafted"
    card: str
    project: str
    name: str
    number: str
    subject: str
    revision: int
    digest: str
    tier: str | None
    complete: bool
    missing: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSubmitted(Event):
    """A card is to be voted on, as the digest says."""

    TYPE: ClassVar[str] = "cards.card.submitted"
    card: str
    project: str
    subject: str
    digest: str
    request: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPublished(Event):
    """A vote approved the card; it takes the place of `replaces`, where there was one."""

    TYPE: ClassVar[str] = "cards.card.published"
    card: str
    project: str
    name: str
    number: str
    subject: str
    digest: str
    request: str
    replaces: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardReturned(Event):
    """A card comes back unpublished; `because` is how its request ended: rejected, withdrawn or expired."""

    TYPE: ClassVar[str] = "cards.card.returned"
    card: str
    project: str
    subject: str
    digest: str
    request: str
    because: str
