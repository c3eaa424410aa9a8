"""Differences, drawn on the server: lines, words within lines, and keys of structured documents.

Alignment is Myers' greedy algorithm with a bound on the number of edits, so the time is bounded for any
input: what differs by more is shown as one removal and one addition, whole. Nothing is ever left out.
Source: E. Myers, "An O(ND) Difference Algorithm and Its Variations", Algorithmica 1 (1986), section 3.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import Any

MAX_LINE_EDITS = 500
MAX_WORD_EDITS = 200
MAX_WORDS = 2000
# Two lines that share less than this of their words are two lines, not one line changed.
MIN_ALIKE = 0.4
MAX_DEPTH = 40
WORDS = re.compile(r"\w+|\s+|[^\w\s]")
SEPARATOR = " \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "
MISSING = object()


class Mark(StrEnum):
    """What became of a piece of content."""

    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of characters; in a removed or added line the marked pieces are what differs."""

    mark: Mark
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a diff with its numbers before and after, counted from 1."""

    mark: Mark
    pieces: tuple[Piece, ...]
    before: int | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a document: its path, what became of it, and its content as lines."""

    path: str
    mark: Mark
    lines: tuple[Line, ...]


def _edits(a: Sequence[str], b: Sequence[str], bound: int) -> list[tuple[int, int]] | None:
    """Give the aligned pairs of equal elements, or None if more than `bound` edits separate the two."""
    frontier = {1: 0}
    trail: list[dict[int, int]] = []
    for edits in range(bound + 1):
        trail.append(dict(frontier))
        for k in range(-edits, edits + 1, 2):
            down = k == -edits or (k != edits and frontier[k - 1] < frontier[k + 1])
            x = frontier[k + 1] if down else frontier[k - 1] + 1
            y = x - k
            while x < len(a) and y < len(b) and a[x] == b[y]:
                x, y = x + 1, y + 1
            frontier[k] = x
            if x >= len(a) and y >= len(b):
                return _pairs(trail, len(a), len(b))
    return None


def _pairs(trail: list[dict[int, int]], x: int, y: int) -> list[tuple[int, int]]:
    """Walk the trail back from the end."""
    pairs = []
    for edits in range(len(trail) - 1, -1, -1):
        frontier, k = trail[edits], x - y
        down = k == -edits or (k != edits and frontier[k - 1] < frontier[k + 1])
        from_k = k + 1 if down else k - 1
        from_x = frontier[from_k]
        from_y = from_x - from_k
        while x > from_x and y > from_y and x > 0 and y > 0:
            x, y = x - 1, y - 1
            pairs.append((x, y))
        x, y = from_x, from_y
    return pairs[::-1]


def align(a: Sequence[str], b: Sequence[str], bound: int) -> list[tuple[int, int]]:
    """Pair the elements that stayed, in order; beyond `bound` edits only the common start and end."""
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    end = 0
    while end < min(len(a), len(b)) - start and a[-1 - end] == b[-1 - end]:
        end += 1
    inner = _edits(a[start : len(a) - end], b[start : len(b) - end], bound) or []
    return [
        *((i, i) for i in range(start)),
        *((x + start, y + start) for x, y in inner),
        *((len(a) - end + i, len(b) - end + i) for i in range(end)),
    ]


def _pieces(tokens: Sequence[str], kept: set[int], mark: Mark) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    for i, token in enumerate(tokens):
        own = Mark.SAME if i in kept else mark
        if pieces and pieces[-1].mark is own:
            pieces[-1] = Piece(own, pieces[-1].text + token)
        else:
            pieces.append(Piece(own, token))
    return tuple(pieces)


def _words(before: str, after: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Mark the words that differ between two forms of a line."""
    a, b = WORDS.findall(before), WORDS.findall(after)
    whole = (Piece(Mark.REMOVED, before),), (Piece(Mark.ADDED, after),)
    if not a or not b or len(a) + len(b) > MAX_WORDS:
        return whole
    pairs = align(a, b, MAX_WORD_EDITS)
    kept = sum(len(a[x]) for x, _ in pairs if not a[x].isspace())
    if 2 * kept < MIN_ALIKE * (len("".join(before.split())) + len("".join(after.split()))):
        return whole
    return _pieces(a, {x for x, _ in pairs}, Mark.REMOVED), _pieces(b, {y for _, y in pairs}, Mark.ADDED)


def _hunk(a: Sequence[str], b: Sequence[str], x: int, y: int) -> Iterator[Line]:
    """Draw one removal and the addition in its place; `x` and `y` are where they start."""
    removed, added = [], []
    for i, (before, after) in enumerate(zip_longest(a, b)):
        old, new = (
            _words(before, after)
            if before is not None and after is not None
            else ((Piece(Mark.REMOVED, before or ""),), (Piece(Mark.ADDED, after or ""),))
        )
        if before is not None:
            removed.append(Line(Mark.REMOVED, old, before=x + i + 1))
        if after is not None:
            added.append(Line(Mark.ADDED, new, after=y + i + 1))
    yield from removed
    yield from added


def text_diff(before: str, after: str) -> tuple[Line, ...]:
    """Compare two texts line by line, and word by word where a line was changed."""
    a, b = before.split("\n") if before else [], after.split("\n") if after else []
    lines: list[Line] = []
    x = y = 0
    for i, j in [*align(a, b, MAX_LINE_EDITS), (len(a), len(b))]:
        lines.extend(_hunk(a[x:i], b[y:j], x, y))
        if i < len(a):
            lines.append(Line(Mark.SAME, (Piece(Mark.SAME, a[i]),), before=i + 1, after=j + 1))
        x, y = i + 1, j + 1
    return tuple(lines)


def _as_text(value: Any) -> str:
    if value is MISSING:
        return ""
    return (
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, indent=2)
    )


def _is_tree(value: Any) -> bool:
    return isinstance(value, Mapping | list) and bool(value)


def _children(value: Any) -> dict[str, Any]:
    if not _is_tree(value):
        return {}
    items = (
        value.items() if isinstance(value, Mapping) else ((str(i + 1), item) for i, item in enumerate(value))
    )
    return dict(items)


def _fields(before: Any, after: Any, path: str, depth: int) -> Iterator[Field]:
    compared = [value for value in (before, after) if value is not MISSING]
    alike = len({isinstance(value, Mapping) for value in compared}) == 1
    if depth < MAX_DEPTH and alike and all(_is_tree(value) for value in compared):
        old, new = _children(before), _children(after)
        for key in [*new, *(key for key in old if key not in new)]:
            name = f"{path}{SEPARATOR}{key}" if path else key
            yield from _fields(old.get(key, MISSING), new.get(key, MISSING), name, depth + 1)
        return
    if before is MISSING or after is MISSING:
        mark = Mark.ADDED if before is MISSING else Mark.REMOVED
    else:
        mark = Mark.SAME if type(before) is type(after) and before == after else Mark.CHANGED
    yield Field(path, mark, text_diff(_as_text(before), _as_text(after)))


def document_diff(before: Any | None, after: Any) -> tuple[Field, ...]:
    """Compare two JSON documents key by key; `before` None means that there is nothing to compare with.

    Lists are compared by position. Every leaf of both documents appears in exactly one field.
    """
    return tuple(_fields(MISSING if before is None else before, after, "", 0))
