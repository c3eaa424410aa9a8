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
