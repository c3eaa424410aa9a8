"""Semantic versions: strict, compared as numbers. Source: semver.org 2.0.0, sections 2, 9 and 11."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from assent.kernel.errors import Invalid

MAX_LENGTH = 64
_PART = r"(0|[1-9][0-9]{0,8})"
_IDENTIFIER = r"(?:0|[1-9][0-9]{0,8}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_GRAMMAR = re.compile(rf"{_PART}\.{_PART}\.{_PART}(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?\Z")
_REMEDY = "Write three numbers without leading zeros, as in 1.2.0, or with a pre-release, as in 1.2.0-rc.1."


class Bump(StrEnum):
    """Which part of a number a change raises; the order is major > minor > patch."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"

    @property
    def weight(self) -> int:
        """Give a number that is higher for the higher bump."""
        return {Bump.PATCH: 0, Bump.MINOR: 1, Bump.MAJOR: 2}[self]


@dataclass(frozen=True, slots=True)
class Number:
    """A parsed version number. Build metadata is refused: two numbers would compare equal."""

    major: int
    minor: int
    patch: int
    prerelease: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Write it."""
        core = f"{self.major}.{self.minor}.{self.patch}"
        return f"{core}-{'.'.join(self.prerelease)}" if self.prerelease else core

    @property
    def core(self) -> tuple[int, int, int]:
        """Give the three numbers."""
        return self.major, self.minor, self.patch

    @property
    def sort_key(self) -> str:
        """Give text of [0-9a-f] that sorts, by characters and in every locale, as the numbers do."""
        core = "".join(f"{part:09d}" for part in self.core)
        if not self.prerelease:
            return f"{core}f"
        return f"{core}0" + "".join(_identifier_key(one) for one in self.prerelease)

    def __lt__(self, other: Number) -> bool:
        """Compare by precedence."""
        return self.sort_key < other.sort_key

    def raised(self, bump: Bump) -> Number:
        """Give the next number after a change of this weight. Raises: Invalid (it would be too large)."""
        return parse_number(str(self._next(bump)))

    def _next(self, bump: Bump) -> Number:
        if bump is Bump.MAJOR:
            return Number(self.major + 1, 0, 0)
        if bump is Bump.MINOR:
            return Number(self.major, self.minor + 1, 0)
        return Number(self.major, self.minor, self.patch + 1)


FIRST = Number(1, 0, 0)


def _identifier_key(identifier: str) -> str:
    if identifier.isdigit():
        return f"1{int(identifier):09d}"
    return f"2{identifier.encode().hex()}0"  # no character is 0x0_, so the 0 ends it below any continuation


def parse_number(text: str) -> Number:
    """Read a version number. Raises: Invalid."""
    match = _GRAMMAR.match(text) if len(text) <= MAX_LENGTH else None
    if match is None:
        raise Invalid(f"{text[:MAX_LENGTH]!r} is not a version number.", remedy=_REMEDY)
    major, minor, patch, prerelease = match.groups()
    return Number(int(major), int(minor), int(patch), tuple(prerelease.split(".")) if prerelease else ())


def step_between(before: Number, after: Number) -> Bump:
    """Tell which part the higher of two numbers raises first."""
    if after.major != before.major:
        return Bump.MAJOR
    return Bump.MINOR if after.minor != before.minor else Bump.PATCH


def split_ref(ref: str) -> tuple[str, str]:
    """Split `name@1.2.0`. Raises: Invalid."""
    name, at, number = ref.partition("@")
    if not (name and at and number):
        raise Invalid(f"{ref[:200]!r} names no version.", remedy="Write NAME@VERSION, as in support@1.2.0.")
    parse_number(number)
    return name, number
