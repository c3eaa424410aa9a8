"""The filter language: one grammar for every list. What does not parse is refused with its place.

expression = term {OR term} ; term = factor {AND factor} ; factor = NOT factor | ( expression ) | comparison
comparison = field (= | != | < | <= | > | >= | ~) value | field [NOT] IN ( value {, value} )
value      = bare word | "quoted" | 'quoted' (a backslash takes the next character as it is)

Words of the language are read in any case; a value or field that is one of them stands in quotes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from assent.kernel.errors import Invalid, Reason

MAX_LENGTH = 4000
MAX_DEPTH = 40
MAX_COMPARISONS = 100
MAX_VALUES = 200
OPERATORS = ("=", "!=", "<=", ">=", "<", ">", "~")
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<op><=|>=|!=|[=<>~]) | (?P<mark>[(),]) |
    (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*') |
    (?P<word>[^\s()=<>~!,"']+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = {"AND", "OR", "NOT", "IN"}
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison; `operator` is of OPERATORS or IN, `at` and `value_at` are places in the text."""

    field: str
    operator: str
    values: tuple[str, ...]
    at: int
    value_at: int


@dataclass(frozen=True, slots=True)
class Not:
    """What must not hold."""

    part: Filter


@dataclass(frozen=True, slots=True)
class All:
    """What must hold together."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Of which one must hold."""

    parts: tuple[Filter, ...]


Filter = Comparison | Not | All | AnyOf


def refused(text: str, at: int, why: str, remedy: str | None = None) -> Invalid:
    """Make the refusal that shows the place in the filter."""
    start = max(0, at - _SHOWN)
    line = "".join(one if one.isprintable() else " " for one in text[start : at + _SHOWN])
    message = f"The filter cannot be used: {why}, at character {at + 1}."
    shown = f"{message}\n  {line}\n  {' ' * (at - start)}^"
    reason = Reason("filter", message, remedy=remedy or "", have={"filter": text, "position": at + 1})
    return Invalid(shown, remedy=remedy, reasons=[reason])


def parse_filter(text: str) -> Filter:
    """Read a filter. Raises: Invalid with the place of the mistake."""
    if len(text) > MAX_LENGTH:
        raise refused(text[:MAX_LENGTH], MAX_LENGTH - 1, f"it is longer than {MAX_LENGTH:,} characters")
    return _Parser(text).whole()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def _tokens(text: str) -> list[_Token]:
    found, end = list[_Token](), 0
    while text[end:].strip():
        match = _TOKEN.match(text, end)
        if match is None:
            at = end + len(text[end:]) - len(text[end:].lstrip())
            quote = text[at] in "\"'"
            raise refused(text, at, "a quote is not closed" if quote else f"{text[at]!r} has no meaning here")
        kind = match.lastgroup or ""
        value, end = match.group(kind), match.end()
        if kind == "word" and value.upper() in _WORDS:
            kind, value = "language", value.upper()
        if kind == "quoted":
            value = re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL)
        found.append(_Token(kind, value, match.start(match.lastgroup or 0)))
    return [*found, _Token("end", "the end", len(text.rstrip()))]


class _Parser:
    """Recursive descent over the tokens, bounded in depth and size."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.next = 0
        self.n_comparisons = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.next]

    def whole(self) -> Filter:
        found = self.either(0)
        if self.token.kind != "end":
            raise self.expected("AND, OR or the end")
        return found

    def either(self, depth: int) -> Filter:
        parts = [self.both(depth)]
        while self.take("language", "OR"):
            parts.append(self.both(depth))
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def both(self, depth: int) -> Filter:
        parts = [self.factor(depth)]
        while self.take("language", "AND"):
            parts.append(self.factor(depth))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def factor(self, depth: int) -> Filter:
        if depth > MAX_DEPTH:
            raise refused(self.text, self.token.at, f"it is nested deeper than {MAX_DEPTH} levels")
        if self.take("language", "NOT"):
            return Not(self.factor(depth + 1))
        if self.take("mark", "("):
            found = self.either(depth + 1)
            if not self.take("mark", ")"):
                raise self.expected("a closing parenthesis")
            return found
        return self.comparison()

    def comparison(self) -> Filter:
        field = self.value("a field, NOT or an opening parenthesis")
        self.n_comparisons += 1
        if self.n_comparisons > MAX_COMPARISONS:
            raise refused(self.text, field.at, f"it has more than {MAX_COMPARISONS} comparisons")
        negated = self.take("language", "NOT")
        if negated or (self.token.kind, self.token.text) == ("language", "IN"):
            if not self.take("language", "IN"):
                raise self.expected("IN")
            found = self.listed(field)
            return Not(found) if negated else found
        operator = self.token
        if operator.kind != "op":
            raise self.expected(f"one of {' '.join(OPERATORS)} or IN")
        self.next += 1
        value = self.value("a value")
        return Comparison(field.text, operator.text, (value.text,), field.at, value.at)

    def listed(self, field: _Token) -> Comparison:
        if not self.take("mark", "("):
            raise self.expected("an opening parenthesis")
        values = [self.value("a value")]
        while self.take("mark", ","):
            values.append(self.value("a value"))
            if len(values) > MAX_VALUES:
                raise refused(self.text, values[-1].at, f"IN lists more than {MAX_VALUES} values")
        if not self.take("mark", ")"):
            raise self.expected("a comma or a closing parenthesis")
        return Comparison(field.text, "IN", tuple(one.text for one in values), field.at, values[0].at)

    def value(self, what: str) -> _Token:
        token = self.token
        if token.kind not in {"word", "quoted"}:
            raise self.expected(what)
        self.next += 1
        return token

    def take(self, kind: str, text: str) -> bool:
        if (self.token.kind, self.token.text) != (kind, text):
            return False
        self.next += 1
        return True

    def expected(self, what: str) -> Invalid:
        token = self.token
        seen = "it ends" if token.kind == "end" else f"{token.text[:_SHOWN]!r} stands"
        return refused(self.text, token.at, f"{seen} where {what} is expected")
