"""Parts that several pages show."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

STAGES = ("development", "evaluation", "approval", "deployment", "monitoring", "retirement")


@dataclass(frozen=True, slots=True)
class Stage:
    """One of the six stages of the life of a version; `state` is done, current or next."""

    name: str
    state: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A text that leads somewhere."""

    text: str
    address: str


@dataclass(frozen=True, slots=True)
class ConditionRow:
    """One condition of a policy and how it stands; `state` is pass, fail or unknown."""

    name: str
    state: str
    need: Any = None
    have: Any = None
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One event of the ledger; `proof` is where its leaf is proved."""

    at: datetime
    who: str
    what: str
    why: str
    type: str
    index: int
    proof: str


@dataclass(frozen=True, slots=True)
class ActionButton:
    """One action; where it is refused, `reasons` says why and it has no button."""

    word: str
    address: str
    dangerous: bool = False
    reasons: tuple[Any, ...] = ()


def ribbon(stage: str, details: dict[str, str] | None = None) -> tuple[Stage, ...]:
    """Give the six stages with the present one marked."""
    at = STAGES.index(stage)
    said = details or {}
    return tuple(
        Stage(name.capitalize(), "done" if i < at else "current" if i == at else "next", said.get(name, ""))
        for i, name in enumerate(STAGES)
    )
