"""How much an application may use a key: by minute and by day (UTC)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from assent.kernel.errors import Invalid, Reason
from assent.kernel.events import Event

LIMITS = ("requests_per_minute", "tokens_per_minute", "tokens_per_day")
MOST = 10**12


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLimited(Event):
    """An application's key got limits, or other ones; what is not named has none."""

    TYPE: ClassVar[str] = "identity.key.limited"
    key: str
    project: str
    environment: str
    limits: dict[str, int]


def checked_limits(wanted: Mapping[str, int | None]) -> dict[str, int]:
    """Give the limits that are set. Raises: Invalid with every mistake."""
    mistakes = [
        Reason(name, f"There is no limit {name!r}.", f"There are {', '.join(LIMITS)}.")
        for name in wanted
        if name not in LIMITS
    ]
    found = {name: value for name, value in wanted.items() if value is not None}
    mistakes += [
        Reason(name, f"{name} must be 1 to {MOST}.", have=str(value))
        for name, value in found.items()
        if not 1 <= value <= MOST
    ]
    if mistakes:
        raise Invalid(" ".join(mistake.message for mistake in mistakes), reasons=mistakes)
    return {name: found[name] for name in LIMITS if name in found}
