"""Flags in the form of flagd: JSONLogic and `fractional`. Source: flagd.dev/schema/v0/flags.json.

flagd buckets by another hash, so a unit may get another variant there than here: how many is computed for
each split. What flagd cannot say (patterns, dates, prerequisites) is left out with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from assent.flags.domain.document import Flag
from assent.flags.domain.splits import Range, shares_of
from assent_client.decide import BUCKETS

_COMPARISONS: Final = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_SEMVER: Final = {"eq": "=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


class _Unsayable(Exception):
    """flagd cannot say this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A flag set for flagd; what was left out, and the share of units that differ, by flag."""

    flags: dict[str, Any]
    left_out: dict[str, str]
    disagreement: dict[str, float]


def export_flagd(flags: Mapping[str, Flag], segments: Mapping[str, Mapping[str, Any]], source: str) -> Export:
    """Write an environment's flags for flagd; `source` names where they come from."""
    written: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    disagreement: dict[str, float] = {}
    for name, flag in sorted(flags.items()):
        try:
            written[name] = _flag(flag, segments)
        except _Unsayable as error:
            left_out[name] = str(error)
        else:
            differ = (
                max((_differing(ranges) for ranges in flag.outcomes), default=0.0) if flag.enabled else 0.0
            )
            if differ:
                disagreement[name] = differ
    document = {
        "$schema": "https://flagd.dev/schema/v0/flags.json",
        "metadata": {"flagSetId": source},
        "flags": written,
    }
    return Export(flags=document, left_out=left_out, disagreement=disagreement)


def _differing(ranges: tuple[Range, ...]) -> float:
    """Give the chance that two independent hashes choose different variants."""
    return round(1 - sum((n / BUCKETS) ** 2 for n in shares_of(ranges).values()), 6)


def _flag(flag: Flag, segments: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    if any(isinstance(value, list) for value in flag.variants.values()):
        raise _Unsayable("flagd has no variants that are lists")
    if flag.prerequisites:
        raise _Unsayable("flagd has no prerequisites")
    written: dict[str, Any] = {
        "state": "ENABLED",
        "variants": dict(flag.variants),
        "defaultVariant": flag.off,
    }
    said = {"description": flag.description, "owner": flag.owner}
    if any(said.values()):
        written["metadata"] = {name: text for name, text in said.items() if text}
    if not flag.enabled:
        return written
    logic = _Logic(flag, segments)
    targeting = _outcome(flag.split, flag.unit)
    for rule in reversed(flag.rules):
        when = (
            {"and": [logic.entry(entry) for entry in rule.when]}
            if len(rule.when) > 1
            else logic.entry(rule.when[0])
        )
        targeting = {"if": [when, _outcome(rule.ranges, flag.unit), targeting]}
    if isinstance(targeting, str):
        written["defaultVariant"] = targeting
    else:
        written["targeting"] = targeting
    return written


def _outcome(ranges: tuple[Range, ...], unit: str) -> Any:
    if len(shares_of(ranges)) == 1:
        return ranges[0].variant
    by = {"cat": [{"var": "$flagd.flagKey"}, _unit(unit)]}
    return {"fractional": [by, *([one.variant, one.end - one.start] for one in ranges)]}


def _unit(unit: str) -> dict[str, Any]:
    return {"var": "targetingKey" if unit == "user" else unit}


@dataclass(frozen=True, slots=True)
class _Logic:
    """Conditions of one flag in JSONLogic."""

    flag: Flag
    segments: Mapping[str, Mapping[str, Any]]

    def entry(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        if "flag" in entry:
            raise _Unsayable("flagd has no prerequisites")
        if "segment" in entry:
            return self._segment(entry["segment"])
        if "not_segment" in entry:
            asked = {
                one["attribute"] for group in self.segments[entry["not_segment"]]["any"] for one in group
            }
            known = [{"!=": [self._var(name), None]} for name in sorted(asked)]
            return {"and": [*known, {"!": [self._segment(entry["not_segment"])]}]}
        return self._attribute(entry)

    def _segment(self, name: str) -> dict[str, Any]:
        groups = [{"and": [self._attribute(one) for one in group]} for group in self.segments[name]["any"]]
        return {"or": groups}

    def _var(self, attribute: str) -> dict[str, Any]:
        return {"var": "targetingKey" if attribute == self.flag.unit == "user" else attribute}

    def _attribute(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        op, value, var = entry["op"], entry["value"], self._var(entry["attribute"])
        known = {"!=": [var, None]}
        if op in {"in", "not_in"}:
            listed = {"in": [var, value]}
            return {"and": [known, listed if op == "in" else {"!": [listed]}]}
        if op in {"equals", "not_equals"}:
            return {"===": [var, value]} if op == "equals" else {"and": [known, {"!==": [var, value]}]}
        if op in {"prefix", "suffix"}:
            test = "starts_with" if op == "prefix" else "ends_with"
            texts = value if isinstance(value, list) else [value]
            return {"or": [{test: [var, text]} for text in texts]}
        if op.startswith("semver_"):
            return {"sem_ver": [var, _SEMVER[op.removeprefix("semver_")], value]}
        if op in _COMPARISONS:
            return {"and": [known, {_COMPARISONS[op]: [var, value]}]}
        raise _Unsayable(f"flagd has no operation for {op} ({entry['attribute']})")
