"""Reading a document that people wrote: every mistake at once, each with its place."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from assent.kernel.errors import Invalid, Reason

T = TypeVar("T")
_MISSING = object()
MAX_REASONS = 50


class Mistakes:
    """Collects what is wrong with a document."""

    def __init__(self) -> None:
        self.reasons: list[Reason] = []

    def add(self, place: str, message: str, remedy: str = "") -> None:
        """Note one; beyond MAX_REASONS they are only counted by the message of the error."""
        if len(self.reasons) < MAX_REASONS:
            self.reasons.append(Reason(place, f"{place}: {message}", remedy))

    def check(self, what: str) -> None:
        """Raise Invalid with everything that was noted, if anything was."""
        if self.reasons:
            first = self.reasons[0].message
            rest = f" ({len(self.reasons)} mistakes)" if len(self.reasons) > 1 else ""
            raise Invalid(f"{what} is not valid: {first}{rest}", reasons=self.reasons)


class Fields:
    """Takes the fields of one mapping, one by one; `close` names those that nobody knows."""

    def __init__(self, value: Any, place: str, mistakes: Mistakes) -> None:
        self.place = place
        self.mistakes = mistakes
        self._taken: set[str] = set()
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            self._value: Mapping[str, Any] = value
        else:
            self._value = {}
            mistakes.add(place or "document", "must be a mapping of names to values")

    def __contains__(self, name: str) -> bool:
        return name in self._value

    def at(self, name: str) -> str:
        """Give the place of a field."""
        return f"{self.place}.{name}" if self.place else name

    def wrong(self, name: str, message: str, remedy: str = "") -> None:
        """Note a mistake in a field."""
        self.mistakes.add(self.at(name), message, remedy)

    def raw(self, name: str, default: Any = None) -> Any:
        """Take a field as it is."""
        self._taken.add(name)
        return self._value.get(name, default)

    def take(self, name: str, default: T, fits: Callable[[Any], bool], need: str) -> T:
        """Take a field that must fit; absent gives `default`, which does not have to."""
        value = self.raw(name, _MISSING)
        if value is _MISSING:
            return default
        if not fits(value):
            self.wrong(name, f"must be {need}, not {_shown(value)}")
            return default
        taken: T = value
        return taken

    def text(self, name: str, default: str = "", *, required: bool = False, max_length: int = 10_000) -> str:
        """Take text of at least one character."""
        if required and name not in self._value:
            self.wrong(name, "is missing")
        return self.take(
            name,
            default,
            lambda v: isinstance(v, str) and 0 < len(v) <= max_length,
            f"text of 1 to {max_length:,} characters",
        )

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """Take a number within bounds."""
        return float(
            self.take(
                name,
                default,
                lambda v: isinstance(v, int | float) and not isinstance(v, bool) and low <= v <= high,
                f"a number from {low:g} to {high:g}",
            )
        )

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """Take a whole number within bounds."""
        return self.take(
            name,
            default,
            lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high,
            f"a whole number from {low:,} to {high:,}",
        )

    def flag(self, name: str, *, default: bool) -> bool:
        """Take true or false."""
        return self.take(name, default, lambda v: isinstance(v, bool), "true or false")

    def one_of(self, name: str, default: str, choices: Sequence[str]) -> str:
        """Take one of some words."""
        return self.take(name, default, lambda v: v in choices, "one of " + ", ".join(choices))

    def items(self, name: str) -> Sequence[Any]:
        """Take a list."""
        return self.take(name, (), lambda v: isinstance(v, list | tuple), "a list")

    def close(self) -> None:
        """Note every field that was not taken."""
        for name in sorted(self._value.keys() - self._taken):
            known = ", ".join(sorted(self._taken))
            self.wrong(name, "is not a known field", f"Known fields: {known}.")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"  # noqa: PLR2004 -- a glimpse
