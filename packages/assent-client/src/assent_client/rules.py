"""What the conditions of a rule say together, compiled to one test of a unit and its context.

A rule's `when` is a list; all of it must hold. Each entry is one of

    {"attribute": "country", "op": "in", "value": ["DE", "AT"]}
    {"segment": "beta"}            the unit is in the segment
    {"not_segment": "beta"}        it is not, and all that the segment asks for is known
    {"flag": "billing", "variants": ["on"]}    the other flag gives one of these variants

A segment is `{"any": [[condition, …], …]}`: it holds where all conditions of one group hold; they are about
attributes only. The attribute that a route's unit is named by (`user`) is the unit where the context has
none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from assent_client.conditions import compile_condition

Context = Mapping[str, Any]
Match = Callable[[str, Context], bool]

MAX_CONDITIONS: Final = 100
MAX_GROUPS: Final = 100


class Segment(NamedTuple):
    """A compiled segment, and the attributes that it asks for."""

    matches: Match
    attributes: frozenset[str]


class Peer(NamedTuple):
    """Another flag: what it decides, and what its unit is called."""

    variant_of: Callable[[str, Context], str | None]
    unit: str


@dataclass(frozen=True)
class Scope:
    """What the rules of one route may refer to; `unit` is the attribute that its units are named by."""

    unit: str = ""
    segments: Mapping[str, Any] = field(default_factory=dict)
    flags: Mapping[str, Peer] = field(default_factory=dict)
    compiled: dict[tuple[str, str], Segment] = field(default_factory=dict)


def compile_when(when: Any, scope: Scope) -> Match:
    """Compile a list of conditions.

    Raises: ValueError that says what is wrong.
    """
    if not isinstance(when, list) or not when:
        raise ValueError("at least one condition is needed in when")
    if len(when) > MAX_CONDITIONS:
        raise ValueError(f"{len(when)} conditions are too many; {MAX_CONDITIONS} at most")
    return _all([_entry(entry, scope) for entry in when])


def compile_prerequisite(entry: Any, scope: Scope) -> Match:
    """Compile `{"flag", "variants"}`.

    Raises: ValueError.
    """
    name, variants = entry["flag"], entry["variants"]
    if not isinstance(variants, list) or not variants or not all(isinstance(one, str) for one in variants):
        raise ValueError("variants is a list of names that is not empty")
    peer = scope.flags.get(name) if isinstance(name, str) else None
    if peer is None:
        raise ValueError(f"there is no flag {name!r}")
    return _prerequisite(peer, frozenset(variants), same_unit=peer.unit == scope.unit)


def flags_named(route: Mapping[str, Any]) -> Iterator[str]:
    """Give the flags that a route's prerequisites and rules name; malformed parts name none."""
    rules = route.get("rules")
    whens = (
        [rule.get("when") for rule in rules if isinstance(rule, Mapping)] if isinstance(rules, list) else []
    )
    for entries in (route.get("prerequisites"), *whens):
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, Mapping) and isinstance(entry.get("flag"), str):
                yield entry["flag"]


def _all(matches: Sequence[Match]) -> Match:
    if len(matches) == 1:
        return matches[0]

    def hold(unit: str, context: Context) -> bool:
        for match in matches:  # noqa: SIM110 -- a generator in all() costs half as much again
            if not match(unit, context):
                return False
        return True

    return hold


def _entry(entry: Any, scope: Scope) -> Match:
    if not isinstance(entry, Mapping):
        raise ValueError("a condition is an object")  # noqa: TRY004 -- all faults of a document are one kind of error
    if entry.keys() == {"attribute", "op", "value"}:
        return _attribute(entry, scope.unit)
    if entry.keys() == {"segment"}:
        return _segment(entry["segment"], scope).matches
    if entry.keys() == {"not_segment"}:
        return _outside(_segment(entry["not_segment"], scope), scope.unit)
    if entry.keys() == {"flag", "variants"}:
        return compile_prerequisite(entry, scope)
    raise ValueError(
        "a condition has attribute, op and value; or segment; or not_segment; or flag and variants"
    )


def _attribute(entry: Mapping[str, Any], unit_name: str) -> Match:
    name = entry["attribute"]
    if not isinstance(name, str) or not name:
        raise ValueError("attribute is a name")
    try:
        predicate = compile_condition(entry["op"], entry["value"])
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if name == unit_name:

        def holds_for_unit(unit: str, context: Context) -> bool:
            value = context.get(name)
            return predicate(unit if value is None else value)

        return holds_for_unit

    def holds(unit: str, context: Context) -> bool:  # noqa: ARG001 -- every condition has one signature
        value = context.get(name)
        return value is not None and predicate(value)

    return holds


def _segment(name: Any, scope: Scope) -> Segment:
    if not isinstance(name, str) or name not in scope.segments:
        raise ValueError(f"there is no segment {name!r}")
    held = scope.compiled.get((name, scope.unit))
    if held is None:
        try:
            held = scope.compiled[name, scope.unit] = _compile_segment(scope.segments[name], scope.unit)
        except ValueError as error:
            raise ValueError(f"the segment {name}: {error}") from None
    return held


def _compile_segment(segment: Any, unit_name: str) -> Segment:
    groups = segment.get("any") if isinstance(segment, Mapping) and segment.keys() == {"any"} else None
    if not isinstance(groups, list) or not 1 <= len(groups) <= MAX_GROUPS:
        raise ValueError(f"it has `any`: 1 to {MAX_GROUPS} lists of conditions")
    for group in groups:
        for entry in group if isinstance(group, list) else ():
            if isinstance(entry, Mapping) and not entry.keys() & {"attribute"}:
                raise ValueError("the conditions of a segment are about attributes")
    only = Scope(unit=unit_name)
    alternatives = [compile_when(group, only) for group in groups]
    attributes = frozenset(entry["attribute"] for group in groups for entry in group)
    if len(alternatives) == 1:
        return Segment(alternatives[0], attributes)

    def within(unit: str, context: Context) -> bool:
        for match in alternatives:  # noqa: SIM110 -- a generator in any() costs half as much again
            if match(unit, context):
                return True
        return False

    return Segment(within, attributes)


def _outside(segment: Segment, unit_name: str) -> Match:
    needed = segment.attributes - {unit_name}
    matches = segment.matches

    def outside(unit: str, context: Context) -> bool:
        for name in needed:
            if context.get(name) is None:
                return False
        return not matches(unit, context)

    return outside


def _prerequisite(peer: Peer, variants: frozenset[str], *, same_unit: bool) -> Match:
    variant_of, unit_name = peer.variant_of, peer.unit
    if same_unit:
        return lambda unit, context: variant_of(unit, context) in variants

    def given(unit: str, context: Context) -> bool:  # noqa: ARG001 -- the other flag sticks to something else
        other = context.get(unit_name)
        return isinstance(other, str) and variant_of(other, context) in variants

    return given
