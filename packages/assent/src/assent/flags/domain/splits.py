"""Splits: which buckets get which variant, moved as little as a change of shares allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from assent_client.decide import BUCKETS


class Range(NamedTuple):
    """Buckets from `start` up to, not including, `end`."""

    variant: str
    start: int
    end: int


def read_ranges(entries: Iterable[Mapping[str, Any]]) -> tuple[Range, ...]:
    """Read ranges from a document."""
    return tuple(Range(entry["variant"], entry["start"], entry["end"]) for entry in entries)


def write_ranges(ranges: Iterable[Range]) -> list[dict[str, Any]]:
    """Write ranges for a document."""
    return [one._asdict() for one in ranges]


def shares_of(ranges: Iterable[Range]) -> dict[str, int]:
    """Give the millionths of each variant."""
    found: dict[str, int] = {}
    for variant, start, end in ranges:
        found[variant] = found.get(variant, 0) + end - start
    return found


def redistribute(before: Sequence[Range], shares: Mapping[str, int]) -> tuple[Range, ...]:
    """Give each variant its millionths; who grows keeps all its buckets, who shrinks loses only what it must.

    `shares` adds up to 1,000,000. What is given up lies, where it can, beside the one that takes it.
    """
    missing = {name: share - shares_of(before).get(name, 0) for name, share in shares.items()}
    surplus = {name: n - shares.get(name, 0) for name, n in shares_of(before).items()}
    kept, free = list(before), [] if before else [Range("", 0, BUCKETS)]
    for growing_left, at_start in ((True, True), (True, False), (False, False)):
        kept = _cut(kept, free, surplus, missing if growing_left else None, at_start=at_start)
    return _merged([*kept, *_given(sorted(free, key=lambda one: one.start), kept, missing)])


def _cut(
    ranges: Sequence[Range],
    free: list[Range],
    surplus: dict[str, int],
    missing: Mapping[str, int] | None,
    *,
    at_start: bool,
) -> list[Range]:
    """Cut what variants have too much of, beside one that lacks something (where `missing` is given)."""
    kept = []
    for i, one in enumerate(ranges):
        n = min(max(surplus.get(one.variant, 0), 0), one.end - one.start)
        if missing is not None:
            beside = i - 1 if at_start else i + 1
            neighbour = ranges[beside].variant if 0 <= beside < len(ranges) else ""
            n = min(n, max(missing.get(neighbour, 0), 0))
        surplus[one.variant] = surplus.get(one.variant, 0) - n
        if n:
            border = one.start + n if at_start else one.end - n
            free.append(one._replace(end=border) if at_start else one._replace(start=border))
            one = one._replace(start=border) if at_start else one._replace(end=border)  # noqa: PLW2901 -- what is left of it
        if one.start < one.end:
            kept.append(one)
    return kept


def _given(free: Iterable[Range], kept: Sequence[Range], missing: dict[str, int]) -> list[Range]:
    """Give free buckets to the variants that lack some: to a neighbour first."""
    ends = {one.end: one.variant for one in kept}
    starts = {one.start: one.variant for one in kept}
    given = []
    for _, start, end in free:
        at = start
        beside = [ends.get(start, ""), starts.get(end, "")]
        for name in [*beside, *missing]:
            n = min(max(missing.get(name, 0), 0), end - at)
            if n:
                given.append(Range(name, at, at + n))
                missing[name] -= n
                at += n
    return given


def _merged(ranges: Iterable[Range]) -> tuple[Range, ...]:
    found: list[Range] = []
    for one in sorted(ranges, key=lambda one: one.start):
        if found and found[-1].variant == one.variant:
            found[-1] = found[-1]._replace(end=one.end)
        else:
            found.append(one)
    return tuple(found)
