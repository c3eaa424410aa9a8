"""What happens to model versions, as the ledger keeps it; the document is a body under its digest."""

from dataclasses import dataclass
from typing import ClassVar

from assent.kernel.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRegistered(Event):
    """A model version exists for good; prompt, sources and training data are named by digest."""

    TYPE: ClassVar[str] = "registry.version.registered"
    id: str
    project: str
    name: str
    number: str
    digest: str
    tier: str
    owner: str | None
    provider: str
    upstream_model: str
    base_model: str | None
    prompt: str | None
    built_from: tuple[str, ...]
    trained_on: tuple[str, ...]
    supersedes: str | None
    tags: tuple[str, ...]
    contributors: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionAdvanced(Event):
    """A version came to another stage of its life. `because`: the event that moved it."""

    TYPE: ClassVar[str] = "registry.version.advanced"
    project: str
    name: str
    number: str
    subject: str
    stage: str
    status: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDeleted(Event):
    """A draft was deleted; its name and number are never used again. The document's body is erased."""

    TYPE: ClassVar[str] = "registry.version.deleted"
    version: str
    project: str
    name: str
    number: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMoved(Event):
    """A label went from one version to another, by digest; None is nowhere.

    `because`: the event of a delivery that moved it; None where a person did.
    """

    TYPE: ClassVar[str] = "registry.label.moved"
    project: str
    kind: str
    name: str
    label: str
    before: str | None
    after: str | None
    generation: int
    rolled_back: bool
    because: str | None
