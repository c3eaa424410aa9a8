"""Reading a form field by field, so that one answer names every fault in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, TypeVar

from assent.kernel.errors import Reason

Choice = TypeVar("Choice", bound=StrEnum)
MAX_TEXT = 500


class Section:
    """One mapping of the form.

    A field that is wrong is noted and read as a value that is right, so reading goes on.
    """

    def __init__(self, fields: Mapping[str, Any], path: str, faults: list[Reason]) -> None:
        self._fields = fields
        self._path = path
        self._read: set[str] = set()
        self.faults = faults

    @classmethod
    def of(cls, value: Any, name: str) -> Section:
        """Open the form itself."""
        faults: list[Reason] = []
        return cls._open(value, "", name, faults)

    @classmethod
    def _open(cls, value: Any, path: str, name: str, faults: list[Reason]) -> Section:
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            return cls(value, path, faults)
        faults.append(
            Reason(
                path or name,
                f"{path or name} must be a mapping of names to values.",
                "Write `name: value` lines.",
            )
        )
        return cls({}, path, faults)

    def path(self, name: str) -> str:
        """Give the full path of a field."""
        return f"{self._path}.{name}" if self._path else name

    def fault(self, name: str, message: str, remedy: str) -> None:
        """Note what is wrong with a field."""
        self.faults.append(Reason(self.path(name), message, remedy))

    def has(self, name: str) -> bool:
        """Tell whether the field is there."""
        return self._fields.get(name) is not None

    def faulty(self, *names: str) -> bool:
        """Tell whether a fault of one of the fields was noted."""
        paths = {self.path(name) for name in names}
        return any(fault.id in paths for fault in self.faults)

    def close(self) -> None:
        """Note the fields that nothing has read."""
        for name in sorted(set(self._fields) - self._read):
            known = ", ".join(sorted(self._read)) or "none"
            self.fault(name, f"There is no field {name!r} here.", f"Known fields: {known}.")

    def raw(self, name: str) -> Any:
        """Give a field as it stands, to be judged by the caller; None where it is absent."""
        self._read.add(name)
        return self._fields.get(name)

    def _required(self, name: str) -> None:
        self.fault(name, f"{self.path(name)} is missing.", f"Give `{name}`.")

    def number(
        self,
        name: str,
        default: float | None,
        *,
        most: float,
        above: float | None = None,
        least: float = 0,
        decimals: int | None = None,
    ) -> float:
        """Read a number in (above, most], or in [least, most]. Without a default it is required."""
        value = self.raw(name)
        if value is None and default is not None:
            return default
        if value is None:
            self._required(name)
            return most
        exact_value = _decimal(value)
        is_low = exact_value is not None and (exact_value < least if above is None else exact_value <= above)
        if exact_value is None or is_low or exact_value > Decimal(repr(most)):
            bounds = f"from {least:g} to" if above is None else f"above {above:g} and at most"
            self.fault(name, f"{value!r} is not a number {bounds} {most:g}.", "Correct the number.")
            return most
        if decimals is not None and exact_value != round(exact_value, decimals):
            self.fault(
                name, f"{value!r} has more than {decimals} decimals.", f"Round it to {decimals} decimals."
            )
        return float(exact_value)

    def maybe_number(self, name: str, *, above: float, most: float) -> float | None:
        """Read a number that may be absent."""
        if not self.has(name):
            self.raw(name)
            return None
        return self.number(name, None, above=above, most=most)

    def whole(self, name: str, default: int | None, *, least: int, most: int) -> int:
        """Read a whole number in [least, most]. Without a default it is required."""
        value = self.raw(name)
        if value is None and default is not None:
            return default
        if value is None:
            self._required(name)
            return least
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.fault(
                name, f"{value!r} is not a whole number from {least} to {most}.", "Correct the number."
            )
            return least
        return value

    def flag(self, name: str) -> bool:
        """Read a true or false; absent is false."""
        value = self.raw(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.fault(name, f"{value!r} is neither true nor false.", "Write true or false.")
        return False

    def choice(self, name: str, kind: type[Choice], default: Choice | None) -> Choice:
        """Read one of a closed set. Without a default it is required."""
        value = self.raw(name)
        fallback = default or next(iter(kind))
        if value is None:
            if default is None:
                self._required(name)
            return fallback
        if isinstance(value, str) and value in [member.value for member in kind]:
            return kind(value)
        self.fault(name, f"{value!r} is not known.", f"One of: {', '.join(member.value for member in kind)}.")
        return fallback

    def text(self, name: str) -> str | None:
        """Read a short text that may be absent."""
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, str) and 0 < len(value.strip()) <= MAX_TEXT:
            return value.strip()
        self.fault(
            name, f"{self.path(name)} is not a text of 1 to {MAX_TEXT} characters.", "Say why in a sentence."
        )
        return None

    def moment(self, name: str) -> datetime | None:
        """Read a time with its zone that may be absent."""
        value = self.raw(name)
        if value is None:
            return None
        moment = _moment(value)
        if moment is None:
            self.fault(name, f"{value!r} is not a time with a zone.", "Write it like 2026-03-03T09:00:00Z.")
        return moment

    def section(self, name: str) -> Section | None:
        """Open a mapping within that may be absent."""
        value = self.raw(name)
        return None if value is None else self._open(value, self.path(name), name, self.faults)

    def rows(self, name: str) -> list[Section]:
        """Open a list of mappings; absent is empty."""
        value = self.raw(name)
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            self.fault(name, f"{self.path(name)} must be a list.", "Write one `- …` entry for each.")
            return []
        return [
            self._open(item, f"{self.path(name)}[{i}]", name, self.faults) for i, item in enumerate(value)
        ]


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _moment(value: Any) -> datetime | None:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return None if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def exact(value: Any) -> Any:
    """Write fractions as decimal strings, all the way down: a leaf of the ledger holds no floats."""
    if isinstance(value, float):
        return decimal_text(value)
    if isinstance(value, Mapping):
        return {key: exact(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [exact(item) for item in value]
    return value


def decimal_text(value: float) -> str:
    """Write a number as the shortest decimal that reads back to it; "inf" and "nan" stay words."""
    if not math.isfinite(value):
        return str(value)
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
