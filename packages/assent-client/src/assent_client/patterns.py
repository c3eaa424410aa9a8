r"""Patterns that are matched in time linear in the text, whatever the pattern.

The usual engine tries one way after another, and `(a+)+b` keeps it busy for years. Here all ways are followed
at once, as a set of positions in the pattern: one step for each character of the text, no way back.
A pattern matches the whole text. It may hold: literals, `.`, `[a-z]`, `[^…]`, `\d \w \s` and their
negations (ASCII), `\` before a sign, groups, `|`, and `* + ? {m,n}`. What has no such automaton is refused:
backward references, look-around, word boundaries.

Source: V. Glushkov, "The abstract theory of automata", 1961.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from operator import or_
from typing import Final

MAX_PATTERN: Final = 200
MAX_POSITIONS: Final = 200
MAX_TEXT: Final = 512
MAX_NESTING: Final = 20
MAX_REPEAT: Final = 100
_MEMORY: Final = 4096
"""Steps that are remembered; when the memory is full it is emptied."""

Test = Callable[[str], bool]
_DIGITS = frozenset("0123456789")
_WORDS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_SPACES = frozenset(" \t\n\r\f\v")
_CLASSES: Final = {"d": _DIGITS, "w": _WORDS, "s": _SPACES}
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}


def compile_pattern(pattern: str) -> Test:
    """Turn a pattern into a test of whole texts; texts of more than 512 characters match nothing.

    Raises: ValueError that names the place.
    """
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"a pattern has {MAX_PATTERN} characters at most, this one {len(pattern)}")
    automaton = _Automaton()
    whole = _build(_Parser(pattern).parse(), automaton)
    return _matcher(automaton, whole)


class _Node:
    """A part of a pattern: a test of one character, or parts in a row, as alternatives, or repeated."""

    __slots__ = ("kind", "least", "most", "parts", "test")

    def __init__(self, kind: str, parts: Sequence[_Node] = (), test: Test | None = None) -> None:
        self.kind = kind
        self.parts = parts
        self.test = test
        self.least, self.most = 1, 1


class _Parser:
    """Read a pattern by descent; nesting is bounded, so the descent is."""

    def __init__(self, pattern: str) -> None:
        self.text = pattern
        self.at = 0
        self.depth = 0

    def parse(self) -> _Node:
        if self.text.startswith("^"):
            self.at = 1
        node = self._alternatives()
        if self.at < len(self.text):
            raise self._error("an unmatched )")
        return node

    def _error(self, what: str) -> ValueError:
        return ValueError(f"{what} at character {self.at + 1} of the pattern {self.text!r}")

    def _peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def _next(self, what: str) -> str:
        if self.at == len(self.text):
            raise self._error(f"the pattern ends within {what}")
        self.at += 1
        return self.text[self.at - 1]

    def _alternatives(self) -> _Node:
        found = [self._row()]
        while self._peek() == "|":
            self.at += 1
            found.append(self._row())
        return found[0] if len(found) == 1 else _Node("any", found)

    def _row(self) -> _Node:
        parts = []
        while self._peek() and self._peek() not in "|)":
            if self._peek() == "$" and self.at == len(self.text) - 1 and not self.depth:
                self.at += 1
                break
            parts.append(self._repeated(self._atom()))
        return _Node("row", parts)

    def _repeated(self, node: _Node) -> _Node:
        bounds = self._bounds()
        if bounds is None:
            return node
        if self._peek() == "?":
            self.at += 1  # whether as few or as many as can be: the whole text matches or it does not
        if self._peek() and self._peek() in "*+?{":
            raise self._error("a repetition of a repetition")
        outer = _Node("repeat", [node])
        outer.least, outer.most = bounds
        return outer

    def _bounds(self) -> tuple[int, int] | None:
        """Read a repetition as (least, most); -1 stands for no most."""
        sign = self._peek()
        if not sign or sign not in "*+?{":
            return None
        self.at += 1
        if sign != "{":
            return {"*": (0, -1), "+": (1, -1), "?": (0, 1)}[sign]
        inner = ""
        while (sign := self._next("a repetition")) != "}":
            inner += sign
        least, comma, most = inner.partition(",")
        if not (least.isascii() and least.isdigit()) or (most and not (most.isascii() and most.isdigit())):
            raise self._error("a repetition that is not {m}, {m,} or {m,n}")
        bounds = (int(least[:4]), int(most[:4]) if most else -1 if comma else int(least[:4]))
        if max(bounds) > MAX_REPEAT or bounds[1] not in {-1, *range(bounds[0], MAX_REPEAT + 1)}:
            raise self._error(f"a repetition that is not in order, or of more than {MAX_REPEAT},")
        return bounds

    def _atom(self) -> _Node:
        sign = self._next("a part")
        if sign == "(":
            return self._group()
        if sign == "[":
            return _Node("one", test=self._set())
        if sign == "\\":
            return _Node("one", test=self._escaped())
        if sign == ".":
            return _Node("one", test=lambda character: character != "\n")
        if sign in "*+?{":
            self.at -= 1
            raise self._error("a repetition of nothing")
        if sign in "^$":
            self.at -= 1
            raise self._error("an anchor within the pattern (it matches whole texts anyway)")
        return _Node("one", test=sign.__eq__)

    def _group(self) -> _Node:
        if self._peek() == "?":
            if self.text[self.at : self.at + 2] != "?:":
                raise self._error("a group of a kind that is not supported, such as look-around,")
            self.at += 2
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise self._error(f"more than {MAX_NESTING} groups in each other")
        node = self._alternatives()
        self._next("a group")
        self.depth -= 1
        return node

    def _escaped(self) -> Test:
        sign = self._next("an escape")
        members = _CLASSES.get(sign.lower())
        if members is not None:
            return members.__contains__ if sign.islower() else lambda character: character not in members
        return self._literal(sign).__eq__

    def _literal(self, sign: str) -> str:
        if sign in _CONTROLS:
            return _CONTROLS[sign]
        if sign.isalnum():
            self.at -= 1
            raise self._error(f"\\{sign}, which is not supported,")
        return sign

    def _set(self) -> Test:
        negated = self._peek() == "^"
        self.at += negated
        tests: list[Test] = []
        while (sign := self._next("a set")) != "]" or not tests:
            tests.append(self._member(sign))
        if negated:
            return lambda character: not any(test(character) for test in tests)
        return lambda character: any(test(character) for test in tests)

    def _member(self, sign: str) -> Test:
        if sign == "\\":
            if self._peek().lower() in _CLASSES:
                return self._escaped()
            sign = self._literal(self._next("an escape"))
        if self._peek() != "-" or self.text[self.at + 1 : self.at + 2] in {"", "]"}:
            return sign.__eq__
        self.at += 1
        end = self._next("a range")
        if end == "\\":
            end = self._literal(self._next("an escape"))
        if end < sign:
            raise self._error(f"the range {sign}-{end}, which is not in order,")
        return lambda character: sign <= character <= end


class _Automaton:
    """Positions: the test of each, and the set of those that may follow it, as bits."""

    def __init__(self) -> None:
        self.tests: list[Test] = []
        self.follow: list[int] = []

    def add(self, test: Test) -> int:
        if len(self.tests) == MAX_POSITIONS:
            raise ValueError(f"the pattern has more than {MAX_POSITIONS} positions; repeat fewer times")
        self.tests.append(test)
        self.follow.append(0)
        return 1 << (len(self.tests) - 1)

    def join(self, last: int, first: int) -> None:
        for position in _bits(last):
            self.follow[position] |= first


Part = tuple[bool, int, int]
"""Whether a part may be empty, the positions that it may begin with, and those that it may end with."""


def _build(node: _Node, automaton: _Automaton) -> Part:
    if node.test is not None:
        position = automaton.add(node.test)
        return False, position, position
    if node.kind == "any":
        parts = [_build(part, automaton) for part in node.parts]
        return any(p[0] for p in parts), _union(p[1] for p in parts), _union(p[2] for p in parts)
    if node.kind == "row":
        whole: Part = (True, 0, 0)
        for part in node.parts:
            whole = _then(whole, _build(part, automaton), automaton)
        return whole
    return _repeat(node, automaton)


def _repeat(node: _Node, automaton: _Automaton) -> Part:
    whole: Part = (True, 0, 0)
    for i in range(max(node.least, node.most, 1)):
        if node.most == 0:
            break
        empty, first, last = _build(node.parts[0], automaton)
        if node.most < 0 and i >= node.least - 1:
            automaton.join(last, first)
        whole = _then(whole, (empty or i >= node.least, first, last), automaton)
    return whole


def _then(left: Part, right: Part, automaton: _Automaton) -> Part:
    automaton.join(left[2], right[1])
    first = left[1] | (right[1] if left[0] else 0)
    last = right[2] | (left[2] if right[0] else 0)
    return left[0] and right[0], first, last


def _union(sets: Iterable[int]) -> int:
    return reduce(or_, sets, 0)


def _bits(positions: int) -> list[int]:
    found = []
    while positions:
        lowest = positions & -positions
        found.append(lowest.bit_length() - 1)
        positions ^= lowest
    return found


def _matcher(automaton: _Automaton, whole: Part) -> Test:
    """Follow all ways at once; steps that were taken before are remembered."""
    empty, first, last = whole
    tests, follow = automaton.tests, automaton.follow
    memory: dict[tuple[int, str], tuple[int, bool]] = {}

    def step(may: int, character: str) -> tuple[int, bool]:
        """Give what may come after a character, and whether the text may end with it."""
        entered, following = 0, 0
        for position in _bits(may):
            if tests[position](character):
                entered |= 1 << position
                following |= follow[position]
        found = (following, bool(entered & last))
        if len(memory) >= _MEMORY:
            memory.clear()
        memory[may, character] = found
        return found

    def matches(text: str) -> bool:
        if len(text) > MAX_TEXT:
            return False
        may, ends = first, empty
        for character in text:
            known = memory.get((may, character))
            may, ends = known if known is not None else step(may, character)
            if not may and not ends:
                return False
        return ends

    return matches
