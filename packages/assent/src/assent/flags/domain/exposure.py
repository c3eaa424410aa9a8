"""Whether a change lets anybody get what they did not get before, other than the off variant.

The answer errs on the side of "it grows": what is said to shrink only does so for every unit and context.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from assent.flags.domain.document import Flag, Rule, route_of, whole
from assent.flags.domain.splits import Range
from assent.kernel.canonical import canonical
from assent_client.decide import BUCKETS


def grows(before: Flag, after: Flag) -> bool:
    """Tell whether somebody may get a variant that is new to them and not the off one.

    A rule is known by its id. What stays: the order of the rules that are kept, each with the conditions it
    had or fewer listed values. What comes new gives the off variant. Where a rule is gone or narrower, all
    that comes after it gives what it gave, or the off variant.
    """
    if _values_differ(before, after):
        return True
    if not after.enabled:
        return False
    if not before.enabled or (before.salt, before.unit) != (after.salt, after.unit):
        return after.is_exposing
    if any(one not in after.prerequisites for one in before.prerequisites):
        return True
    return not _rules_shrink(before, after)


def decides_alike(before: Flag, after: Flag) -> bool:
    """Tell whether only the words around a flag differ, not what it decides."""
    return route_of("", before, 1) == route_of("", after, 1) and canonical(
        dict(before.variants)
    ) == canonical(dict(after.variants))


def _values_differ(before: Flag, after: Flag) -> bool:
    """Tell whether the off variant is another, or a variant that is given has another value."""
    if before.off != after.off:
        return True
    given = {one.variant for ranges in after.outcomes for one in ranges} if after.enabled else set()
    return any(
        name not in before.variants or canonical(before.variants[name]) != canonical(after.variants[name])
        for name in {after.off, *given}
    )


def _rules_shrink(before: Flag, after: Flag) -> bool:
    kept_before = [rule.id for rule in before.rules if rule.id in {one.id for one in after.rules}]
    kept_after = [rule.id for rule in after.rules if rule.id in set(kept_before)]
    if kept_before != kept_after:
        return False
    known = {rule.id: rule for rule in before.rules}
    for i, rule in enumerate(after.rules):
        old = known.get(rule.id)
        if not _within(rule.ranges, old.ranges if old else whole(after.off), after.off):
            return False
        if old is None or _same_conditions(old, rule):
            continue
        if not _narrower(old, rule) or not _falls_within(after, i + 1, old, after.off):
            return False
    for position, old in enumerate(before.rules):
        if old.id not in kept_after and not _falls_within(
            after, _place(before, after, position), old, after.off
        ):
            return False
    return _within(after.split, before.split, after.off)


def _place(before: Flag, after: Flag, position: int) -> int:
    """Give the first place in the new rules that is reached without the old rule at `position`."""
    earlier = {rule.id for rule in before.rules[:position]}
    return max((i + 1 for i, rule in enumerate(after.rules) if rule.id in earlier), default=0)


def _falls_within(after: Flag, start: int, old: Rule, off: str) -> bool:
    later: Iterable[tuple[Range, ...]] = after.outcomes[start:]
    return all(_within(ranges, old.ranges, off) for ranges in later)


def _within(new: Sequence[Range], old: Sequence[Range], off: str) -> bool:
    """Tell whether each bucket gets what it got, or the off variant."""
    borders = sorted({0, BUCKETS, *(one.end for one in new), *(one.end for one in old)})
    for start in borders[:-1]:
        given = _at(new, start)
        if given not in {off, _at(old, start)}:
            return False
    return True


def _at(ranges: Sequence[Range], bucket: int) -> str:
    return next((one.variant for one in ranges if one.start <= bucket < one.end), "")


def _same_conditions(old: Rule, new: Rule) -> bool:
    return list(old.when) == list(new.when)


def _narrower(old: Rule, new: Rule) -> bool:
    """Tell whether the new conditions are those of before with fewer values in a list, or some more."""
    rest = list(new.when)
    for condition in old.when:
        match = next((one for one in rest if one == condition or _fewer(condition, one)), None)
        if match is None:
            return False
        rest.remove(match)
    return True


def _fewer(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    same = old.keys() == new.keys() and all(old[key] == new[key] for key in old if key != "value")
    if not same or old.get("op") != "in":
        return False
    return isinstance(new["value"], list) and all(
        any(one == known and type(one) is type(known) for known in old["value"]) for one in new["value"]
    )


def asking_reasons(name: str, flags: Mapping[str, Flag]) -> list[str]:
    """List the flags that may give more when this one gives less, whatever way they ask for it.

    A prerequisite that asks for another variant than the off one passes a loss on; all else may not.
    """
    found, seen, pending = [], {name}, [name]
    while pending:
        asked = pending.pop()
        for other, flag in sorted(flags.items()):
            needs = [one for one in flag.prerequisites if one["flag"] == asked]
            turned = any(flags[asked].off in one["variants"] for one in needs)
            in_rules = any(entry.get("flag") == asked for rule in flag.rules for entry in rule.when)
            if turned or in_rules:
                found.append(other)
            if needs and other not in seen:
                seen.add(other)
                pending.append(other)
    return found
