"""From a filter to SQL: each field says how it is compared; a comparison is true or false, never NULL."""

from __future__ import annotations

import operator as operators
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from assent.kernel.errors import Invalid, NotFound
from assent.kernel.filters import All, AnyOf, Comparison, Filter, Not, parse_filter, refused

Clause = sa.ColumnElement[bool]
Operand = sa.ColumnElement[Any]
ORDERED = ("<", "<=", ">", ">=")
_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operators.eq, "<": operators.lt, "<=": operators.le, ">": operators.gt, ">=": operators.ge,
}  # fmt: skip
_DAY = re.compile(r"\d{4}-\d\d-\d\d\Z")


@dataclass(frozen=True, slots=True)
class Term:
    """One comparison as a field gets it; `refuse` makes the error that shows its value's place."""

    operator: str
    values: tuple[str, ...]
    refuse: Callable[[str], Invalid]

    @property
    def value(self) -> str:
        """Give the first value: all but IN have one."""
        return self.values[0]


Field = Callable[[Term], Clause]
"""What a field makes of a comparison; `!=` never reaches it."""


def where(
    text: str, fields: Mapping[str, Field], families: Mapping[str, Callable[[str], Field]] | None = None
) -> Clause:
    """Compile a filter. `families`: fields by what stands before their first dot, as metrics.NAME.

    Raises: Invalid with the place of the mistake.
    """
    found = parse_filter(text)
    return _compiled(text, found, fields, families or {})


def _compiled(
    text: str, part: Filter, fields: Mapping[str, Field], families: Mapping[str, Callable[[str], Field]]
) -> Clause:
    if isinstance(part, Not):
        return sa.not_(_compiled(text, part.part, fields, families))
    if isinstance(part, All):
        return sa.and_(*(_compiled(text, one, fields, families) for one in part.parts))
    if isinstance(part, AnyOf):
        return sa.or_(*(_compiled(text, one, fields, families) for one in part.parts))
    return _compared(text, part, _field(text, part, fields, families))


def _field(
    text: str, part: Comparison, fields: Mapping[str, Field], families: Mapping[str, Callable[[str], Field]]
) -> Field:
    family, dot, name = part.field.partition(".")
    if dot and name and family in families:
        return families[family](name)
    if part.field not in fields:
        known = ", ".join([*sorted(fields), *(f"{one}.NAME" for one in sorted(families))])
        raise refused(text, part.at, f"there is no field {part.field[:80]!r}", f"The fields are {known}.")
    return fields[part.field]


def _compared(text: str, part: Comparison, field: Field) -> Clause:
    def refuse(why: str) -> Invalid:
        return refused(text, part.value_at, why)

    if part.operator == "!=":
        return sa.not_(field(Term("=", part.values, refuse)))
    return field(Term(part.operator, part.values, refuse))


def plain(column: Operand) -> Field:
    """Compare text: = and IN exactly, ~ as a part without regard to case, < and > by characters."""

    def compare(term: Term) -> Clause:
        return _definite(column, _text(column, term))

    return compare


def choice(column: Operand, allowed: Sequence[str]) -> Field:
    """Compare one of few words: = and IN."""

    def compare(term: Term) -> Clause:
        if term.operator not in {"=", "IN"}:
            raise term.refuse(f"{term.operator} does not suit this field: use =, != or IN")
        for value in term.values:
            if value not in allowed:
                raise term.refuse(f"{value[:80]!r} is none of {', '.join(allowed)}")
        return column.in_(term.values)

    return compare


def ranked(column: Operand, ranks: Sequence[str]) -> Field:
    """Compare words that have an order, lowest first: minimal < limited."""
    equal = choice(column, ranks)

    def compare(term: Term) -> Clause:
        if term.operator not in ORDERED:
            return equal(term)
        if term.value not in ranks:
            raise term.refuse(f"{term.value[:80]!r} is none of {', '.join(ranks)}")
        at = ranks.index(term.value)
        within = {"<": ranks[:at], "<=": ranks[: at + 1], ">": ranks[at + 1 :], ">=": ranks[at:]}
        return column.in_(within[term.operator])

    return compare


def keyed(column: Operand, key: Callable[[str], str], what: str) -> Field:
    """Compare by a key that sorts, such as that of a version number."""

    def compare(term: Term) -> Clause:
        if term.operator == "~":
            raise term.refuse("~ does not suit this field: use =, !=, <, <=, >, >= or IN")
        try:
            keys = [key(value) for value in term.values]
        except Invalid as error:
            raise term.refuse(f"{term.value[:80]!r} is no {what}") from error
        return column.in_(keys) if term.operator == "IN" else _by_operator(column, term.operator, keys[0])

    return compare


def moment(column: Operand) -> Field:
    """Compare a time; a date alone is the whole day in UTC."""

    def compare(term: Term) -> Clause:
        if term.operator == "~":
            raise term.refuse("~ does not suit a time: use =, !=, <, <=, >, >= or IN")
        spans = [_span(value, term) for value in term.values]
        if term.operator in {"=", "IN"}:
            return sa.or_(*(sa.and_(column >= begin, column <= end) for begin, end in spans))
        begin, end = spans[0]
        edge = {"<": begin, "<=": end, ">": end, ">=": begin}[term.operator]
        return _by_operator(column, term.operator, edge)

    return compare


def number(column: Operand) -> Field:
    """Compare a number."""

    def compare(term: Term) -> Clause:
        if term.operator == "~":
            raise term.refuse("~ does not suit a number: use =, !=, <, <=, >, >= or IN")
        values = [_number(value, term) for value in term.values]
        return column.in_(values) if term.operator == "IN" else _by_operator(column, term.operator, values[0])

    return compare


def held(column: Operand, holds: Callable[[Clause], Clause]) -> Field:
    """Compare what a version can have several of, such as tags: it holds where one of them does.

    `holds` says of a version that one of its values satisfies a condition on `column`.
    """
    inner = plain(column)

    def compare(term: Term) -> Clause:
        if term.operator in ORDERED:
            raise term.refuse(f"{term.operator} does not suit this field: use =, !=, ~ or IN")
        return holds(inner(term))

    return compare


def _text(column: Operand, term: Term) -> Clause:
    if term.operator == "IN":
        return column.in_(term.values)
    if term.operator == "~":
        part = re.sub(r"([\\%_])", r"\\\1", term.value.lower())
        return sa.func.lower(column).like(f"%{part}%", escape="\\")
    return _by_operator(column, term.operator, term.value)


def _by_operator(column: Operand, operator: str, value: Any) -> Clause:
    compared: Clause = _OPERATORS[operator](column, value)
    return compared


def _definite(column: Operand, clause: Clause) -> Clause:
    """Make NULL compare as false: NULL AND FALSE is FALSE."""
    nullable = getattr(column, "nullable", True)
    return sa.and_(clause, column.is_not(None)) if nullable else clause


def _number(text: str, term: Term) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise term.refuse(f"{text[:80]!r} is no number") from error
    if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124 -- NaN is not itself
        raise term.refuse(f"{text[:80]!r} is no number")
    return value


def _span(text: str, term: Term) -> tuple[datetime, datetime]:
    try:
        begin = datetime.fromisoformat(text)
        begin = begin.replace(tzinfo=UTC) if begin.tzinfo is None else begin.astimezone(UTC)
        end = begin + timedelta(days=1, microseconds=-1) if _DAY.match(text) else begin
    except (ValueError, OverflowError) as error:
        raise term.refuse(f"{text[:80]!r} is no time such as 2026-03-03 or 2026-03-03T12:00Z") from error
    return begin, end


def translated(column: Operand, known_as: Callable[[str], str]) -> Field:
    """Compare what people name otherwise than the row does: people by their names, say.

    `known_as` gives the row's value, or raises NotFound.
    """
    inner = plain(column)

    def compare(term: Term) -> Clause:
        try:
            values = tuple(known_as(value) for value in term.values)
        except NotFound as error:
            raise term.refuse(error.message.rstrip(".")) from error
        return inner(Term(term.operator, values, term.refuse))

    return compare
