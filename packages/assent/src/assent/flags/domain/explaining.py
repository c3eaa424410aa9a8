"""Why a unit gets what it gets: rule by rule, in the order in which the engine asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assent.flags.domain.document import Flag, route_of
from assent.flags.domain.splits import Range
from assent_client.conditions import compile_condition
from assent_client.decide import Decide, Decision, bucket, compile_routes

N_SHOWN = 5
Documents = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A prerequisite, a rule or the split; `holds` is None where it was not asked any more."""

    what: str
    id: str
    holds: bool | None
    conditions: tuple[tuple[str, bool], ...]
    gives: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a unit gets, and the steps that led there."""

    decision: Decision
    steps: tuple[Step, ...]
    bucket: int


@dataclass(frozen=True, slots=True)
class Environment:
    """The flags and segments that one context is looked at with, compiled once."""

    flags: Mapping[str, Flag]
    segments: Documents
    routes: Mapping[str, Decide]

    @classmethod
    def compiled(cls, flags: Mapping[str, Flag], segments: Documents) -> Environment:
        """Compile. Raises: RouteError."""
        routes = {name: route_of(name, flag, 1) for name, flag in flags.items()}
        return cls(
            flags, segments, compile_routes(routes, {k: {"any": v["any"]} for k, v in segments.items()})
        )

    def decide(self, name: str, unit: str, context: Mapping[str, Any]) -> Decision:
        """Decide."""
        return self.routes[name](unit, context)


def explain(environment: Environment, name: str, unit: str, context: Mapping[str, Any]) -> Explanation:
    """Say what each prerequisite and rule answers for a unit and its context."""
    flag = environment.flags[name]
    look = _Look(environment, flag.unit, unit, context)
    decision = environment.decide(name, unit, context)
    steps, decided = [], not flag.enabled
    for need in flag.prerequisites:
        text, holds = look.entry(need)
        asked = None if decided else holds
        steps.append(_step("prerequisite", need["flag"], asked, [(text, holds)], flag.off))
        decided = decided or not holds
    for rule in flag.rules:
        found = [look.entry(entry) for entry in rule.when]
        holds = all(one for _, one in found)
        steps.append(_step("rule", rule.id, None if decided else holds, found, shares_text(rule.ranges)))
        decided = decided or holds
    steps.append(_step("split", "split", None if decided else True, [], shares_text(flag.split)))
    return Explanation(decision=decision, steps=tuple(steps), bucket=bucket(flag.salt, unit))


def shares_text(ranges: tuple[Range, ...]) -> str:
    """Write what a split gives: `on 5 %, off 95 %`."""
    found: dict[str, int] = {}
    for variant, start, end in ranges:
        found[variant] = found.get(variant, 0) + end - start
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{name} {n / 10_000:g} %" for name, n in found.items())


def condition_text(entry: Mapping[str, Any]) -> str:
    """Write a condition as people say it; long lists are cut."""
    if "segment" in entry:
        return f"in segment {entry['segment']}"
    if "not_segment" in entry:
        return f"not in segment {entry['not_segment']}"
    if "flag" in entry:
        return f"flag {entry['flag']} gives {' or '.join(entry['variants'])}"
    value = entry["value"]
    values = value if isinstance(value, list) else [value]
    shown = ", ".join(str(one) for one in values[:N_SHOWN]) + (
        f" … ({len(values)} in all)" if len(values) > N_SHOWN else ""
    )
    return f"{entry['attribute']} {entry['op'].replace('_', ' ')} {shown}"


def _step(what: str, which: str, holds: bool | None, found: list[tuple[str, bool]], gives: str) -> Step:  # noqa: FBT001 -- the answer itself
    return Step(what=what, id=which, holds=holds, conditions=tuple(found), gives=gives)


@dataclass(frozen=True, slots=True)
class _Look:
    """One unit and its context, asked condition by condition."""

    environment: Environment
    unit_name: str
    unit: str
    context: Mapping[str, Any]

    def entry(self, entry: Mapping[str, Any]) -> tuple[str, bool]:
        text = condition_text(entry)
        if "flag" in entry:
            variant = self._variant(entry["flag"])
            return f"{text} (it gives {variant or 'nothing: its unit is not known'})", variant in entry[
                "variants"
            ]
        if "segment" in entry:
            return text, self._within(entry["segment"])
        if "not_segment" in entry:
            return text, self._outside(entry["not_segment"])
        have = self._value(entry["attribute"])
        said = "unknown" if have is None else repr(have)[:80]
        return f"{text} (it is {said})", self._attribute(entry)

    def _value(self, attribute: str) -> Any:
        value = self.context.get(attribute)
        return self.unit if value is None and attribute == self.unit_name else value

    def _attribute(self, entry: Mapping[str, Any]) -> bool:
        value = self._value(entry["attribute"])
        return value is not None and compile_condition(entry["op"], entry["value"])(value)

    def _within(self, name: str) -> bool:
        return any(all(map(self._attribute, group)) for group in self.environment.segments[name]["any"])

    def _outside(self, name: str) -> bool:
        asked = {entry["attribute"] for group in self.environment.segments[name]["any"] for entry in group}
        return all(self._value(one) is not None for one in asked) and not self._within(name)

    def _variant(self, name: str) -> str | None:
        other = self.environment.flags[name]
        unit = self.unit if other.unit == self.unit_name else self.context.get(other.unit)
        return self.environment.decide(name, unit, self.context).variant if isinstance(unit, str) else None
