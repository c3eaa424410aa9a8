"""What monitoring records of sampled answers."""

from dataclasses import dataclass
from typing import ClassVar

from assent.kernel.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOpened(Event):
    """A person read the question and answer of a sampled call. Who it was is the actor, why the reason."""

    TYPE: ClassVar[str] = "monitoring.sample.opened"
    project: str
    environment: str
    route: str
    version: str
    sample: str
