"""What an application of a file would change, and doing it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from assent_client.api import Api
from assent_client.cli.strict_yaml import Document, Place
from assent_client.errors import AssentError, NotFound

__all__ = ["Action", "Change", "Entry", "Made", "differences", "listed", "placed"]


class Action(StrEnum):
    """What happens to one thing."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that the file describes: its fields, and where they stand."""

    document: Document
    place: Place
    fields: Mapping[str, Any]

    def where(self, name: str | None = None) -> str:
        """Give `file:line` of the entry or of one field."""
        return self.document.where((*self.place, name) if name else self.place)


@dataclass(frozen=True, slots=True)
class Made:
    """What a change leaves to tell: a secret to show once, and what the server warns of."""

    secret: str | None = None
    warnings: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the plan. `make` does it and gives what is to be told of it, if there is something."""

    action: Action
    kind: str
    name: str
    entry: Entry
    differs: tuple[str, ...] = ()
    make: Callable[[], Made | None] = field(default=lambda: None, repr=False)

    def to_wire(self) -> dict[str, Any]:
        """Give the JSON form."""
        return {
            "action": self.action,
            "kind": self.kind,
            "name": self.name,
            "differs": list(self.differs),
            "where": self.entry.where(),
        }


def differences(want: Any, have: Any, at: str = "") -> Iterator[str]:
    """Name each place where what is there is not what is wanted; what is not spoken of may be anything."""
    if isinstance(want, Mapping) and isinstance(have, Mapping):
        for key, value in want.items():
            yield from differences(value, have.get(key), f"{at}.{key}" if at else str(key))
    elif isinstance(want, list) and isinstance(have, list) and len(want) == len(have):
        for index, (one, other) in enumerate(zip(want, have, strict=True)):
            yield from differences(one, other, f"{at}[{index}]")
    elif want != have or isinstance(want, bool) is not isinstance(have, bool):
        yield at


def listed(api: Api, path: str, **query: Any) -> Iterable[Any]:
    """List what is there; nothing where the project itself is still to be made."""
    try:
        return list(api.pages(path, **query))
    except NotFound:
        return []


@contextmanager
def placed(entry: Entry, kind: str, name: str) -> Iterator[None]:
    """Say of an error which entry of the file it is about."""
    try:
        yield
    except AssentError as error:
        message = f"{entry.where()}: {kind} {name}: {error.message}"
        raise type(error)(message, remedy=error.remedy, reasons=error.reasons) from error
