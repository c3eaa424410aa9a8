"""What happens to prompts, as the ledger keeps it; the document is a body under its digest."""

from dataclasses import dataclass
from typing import ClassVar

from assent.kernel.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRegistered(Event):
    """A prompt version exists for good. `bump`: what the change against the latest version demanded."""

    TYPE: ClassVar[str] = "prompts.version.registered"
    id: str
    project: str
    name: str
    number: str
    digest: str
    format: str
    bump: str
    tags: tuple[str, ...]
    contributors: tuple[str, ...]
    supersedes: str | None
    fragments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptAdvanced(Event):
    """A prompt version came to another status. `because`: the event that moved it."""

    TYPE: ClassVar[str] = "prompts.version.advanced"
    project: str
    name: str
    number: str
    subject: str
    status: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptDeprecated(Event):
    """A prompt version should not be taken up any more. `successor`: what to use instead, by digest."""

    TYPE: ClassVar[str] = "prompts.version.deprecated"
    project: str
    name: str
    number: str
    subject: str
    successor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteBound(Event):
    """Versions of a prompt are tested with a suite from now on. `through_ref`: the model that answers."""

    TYPE: ClassVar[str] = "prompts.suite.bound"
    project: str
    name: str
    suite: str
    suite_ref: str
    through_ref: str
    environment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteUnbound(Event):
    """Versions of a prompt are not tested with a suite any more."""

    TYPE: ClassVar[str] = "prompts.suite.unbound"
    project: str
    name: str
    suite: str
