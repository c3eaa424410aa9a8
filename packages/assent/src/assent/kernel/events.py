"""Events: what happened, as immutable values; and their form in the ledger.

The form of an entry, canonical JSON (RFC 8785), at most 65,535 bytes (the limit of a tile's entry):
{"actor":"usr_…","at":"2026-03-03T09:00:00.000000Z","data":{…},"ev":1,"id":"evt_…","reason":null,"type":"slice.noun.past","v":1}
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from assent.kernel.canonical import canonical
from assent.kernel.clock import from_text, to_text
from assent.kernel.errors import Invalid, TooLarge

ENTRY_FORMAT = 1
MAX_ENTRY_BYTES = 65_535
TYPE_GRAMMAR = re.compile(r"[a-z]+\.[a-z_]+\.[a-z_]+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events; a subclass names its TYPE, `slice.noun.past`, and its version V."""

    TYPE: ClassVar[str]
    V: ClassVar[int] = 1


E_co = TypeVar("E_co", bound=Event, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(Generic[E_co]):
    """An event with who, when and why: exactly what its leaf holds."""

    id: str
    at: datetime
    actor: str
    reason: str | None
    event: E_co


@dataclass(frozen=True, slots=True)
class Entry:
    """A leaf about to be appended: the bytes, and what the ledger indexes them by."""

    event_id: str
    type: str
    at: datetime
    actor: str
    content: bytes


def encode(recorded: Recorded[Event]) -> Entry:
    """Write the ledger's form of an event. Raises: TooLarge, Invalid."""
    event = recorded.event
    content = canonical(
        {
            "v": ENTRY_FORMAT,
            "type": event.TYPE,
            "ev": event.V,
            "id": recorded.id,
            "at": to_text(recorded.at),
            "actor": recorded.actor,
            "reason": recorded.reason,
            "data": _plain(event),
        }
    )
    if len(content) > MAX_ENTRY_BYTES:
        raise TooLarge(
            f"The event {event.TYPE} has {len(content):,} bytes; a ledger entry holds {MAX_ENTRY_BYTES:,}.",
            remedy="Put the long text into a body and let the event name its digest.",
        )
    return Entry(recorded.id, event.TYPE, recorded.at, recorded.actor, content)


def decode(content: bytes, known: Mapping[tuple[str, int], type[Event]]) -> Recorded[Event]:
    """Read an entry back; `known` maps (type, version) to the class. Raises: Invalid."""
    try:
        raw = msgspec.json.decode(content)
        return Recorded(
            id=raw["id"],
            at=from_text(raw["at"]),
            actor=raw["actor"],
            reason=raw["reason"],
            event=msgspec.convert(raw["data"], known[raw["type"], raw["ev"]]),
        )
    except KeyError as error:
        raise Invalid(
            f"No projection knows the event {error}.", remedy="Use the release that wrote it, or a newer one."
        ) from error
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        raise Invalid(f"This is not a ledger entry: {error}") from error


def _plain(event: Event) -> Any:
    def times(value: Any) -> Any:
        if isinstance(value, datetime):
            return to_text(value)
        if isinstance(value, dict):
            return {key: times(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [times(item) for item in value]
        return value

    try:
        return times(msgspec.to_builtins(event, builtin_types=(datetime,)))
    except (TypeError, ValueError) as error:
        raise Invalid(f"The event {event.TYPE} holds what JSON cannot: {error}.") from error
