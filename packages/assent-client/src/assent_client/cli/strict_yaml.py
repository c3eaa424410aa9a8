"""YAML as people mean it: the JSON values of YAML 1.2, and a line for every complaint.

Refused: duplicate keys, tags, anchors and aliases, several documents, keys that are no text, and what is
too large or too deep. `no`, `on` and `2026-01-01` are text; `true`, `null`, `12`, `1.5` are what they seem.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from assent_client.errors import Invalid, TooLarge

__all__ = ["Document", "parse", "read"]

MAX_BYTES = 4_000_000
MAX_DEPTH = 50
MAX_DIGITS = 19

Place = tuple[str | int, ...]
"""Where a value stands: `("models", 0, "name")`."""

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z")
_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(frozen=True)
class Document:
    """A parsed file: its value, and the line of every place in it."""

    path: Path
    value: Any
    lines: Mapping[Place, int] = field(repr=False, default_factory=dict)

    def where(self, place: Place) -> str:
        """Give `file:line` of a place, or of the nearest one around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return f"{self.path}:{self.lines.get(place, 1)}"

    def refuse(self, place: Place, message: str, remedy: str | None = None) -> NoReturn:
        """Raise what is wrong with the value at a place."""
        raise Invalid(f"{self.where(place)}: {message}", remedy=remedy)


def read(path: Path, max_bytes: int = MAX_BYTES) -> Document:
    """Read one file. Raises: Invalid, TooLarge."""
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.", remedy="Check the path.") from error
    if len(content) > max_bytes:
        raise TooLarge(f"{path} is larger than {max_bytes:,} bytes.", remedy="Keep data in files of its own.")
    return parse(content, path)


def parse(content: bytes, path: Path) -> Document:
    """Parse the bytes of one file. Raises: Invalid."""
    builder = _Builder(path)
    try:
        for event in yaml.parse(content.decode("utf-8-sig"), Loader=yaml.SafeLoader):
            builder.take(event)
    except UnicodeDecodeError as error:
        raise Invalid(
            f"{path}: not UTF-8 at byte {error.start}.", remedy="Save the file as UTF-8."
        ) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise Invalid(f"{path}{at}: not YAML: {error.problem or error.context}.") from error
    except yaml.YAMLError as error:
        raise Invalid(f"{path}: not YAML: {str(error).splitlines()[0]}.") from error
    if not builder.is_complete:
        raise Invalid(f"{path}: the file is empty.")
    return Document(path, builder.value, builder.lines)


@dataclass(slots=True)
class _Open:
    """A mapping or sequence that is being filled; `key` waits for its value."""

    place: Place
    into: dict[str, Any] | list[Any]
    key: str | None = None


class _Builder:
    """Builds values from parser events on a stack of its own, so depth is bounded by us."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Place, int] = {}
        self.value: Any = None
        self.is_complete = False
        self._open: list[_Open] = []

    def take(self, event: yaml.Event) -> None:
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            self._refuse(line, "anchors (&name) and aliases (*name) are not allowed")
        if tag := getattr(event, "tag", None):
            self._refuse(line, f"the tag {tag} is not allowed")
        if isinstance(event, yaml.DocumentStartEvent) and self.is_complete:
            self._refuse(line, "a second document begins here; one file holds one")
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.MappingStartEvent):
            self._begin({}, line)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._begin([], line)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._open.pop()

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        top = self._open[-1] if self._open else None
        text = self._text(event.value, line)
        if top is not None and isinstance(top.into, dict) and top.key is None:
            if text in top.into:
                self._refuse(line, f"{text!r} stands here twice")
            top.key = text
            self.lines[(*top.place, text)] = line
            return
        self._put(_resolved(text) if event.style is None else text, line)

    def _text(self, text: str, line: int) -> str:
        """Join the halves of characters that were written as JSON escapes; half a character is refused."""
        if text.isascii():
            return text
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._refuse(line, "half a character (a lone surrogate) is no text")

    def _begin(self, container: dict[str, Any] | list[Any], line: int) -> None:
        if self._open and isinstance(self._open[-1].into, dict) and self._open[-1].key is None:
            self._refuse(line, "a key must be text")
        if len(self._open) >= MAX_DEPTH:
            self._refuse(line, f"nested deeper than {MAX_DEPTH} levels")
        self._open.append(_Open(self._put(container, line), container))

    def _put(self, value: Any, line: int) -> Place:
        if not self._open:
            self.value, self.is_complete = value, True
            return ()
        top = self._open[-1]
        if isinstance(top.into, list):
            place: Place = (*top.place, len(top.into))
            top.into.append(value)
            self.lines[place] = line
            return place
        place = (*top.place, top.key or "")
        top.into[top.key or ""] = value
        top.key = None
        return place

    def _refuse(self, line: int, message: str) -> NoReturn:
        raise Invalid(f"{self.path}:{line}: {message}.", remedy="Write plain values; put text in quotes.")


def _resolved(text: str) -> Any:
    """Give the value of a plain scalar. Source: YAML 1.2.2, section 10.3, decimal numbers only."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text) if len(text) <= MAX_DIGITS else text
    if _NUMBER.match(text) and math.isfinite(number := float(text)):
        return number
    return text
