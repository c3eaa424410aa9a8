"""What a prompt promises to its callers, what a change of it means, and the number that follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assent.kernel.errors import Conflict, Invalid, Reason, Refused
from assent.prompts.domain.document import response_schema, tool_name
from assent.prompts.domain.numbers import FIRST, Bump, Number, parse_number, step_between

ANNOTATIONS = frozenset({"title", "description", "examples", "default", "$comment", "deprecated"})


@dataclass(frozen=True, slots=True)
class InterfaceChange:
    """One difference between two versions, and how much it raises the number."""

    where: str
    what: str
    bump: Bump


def interface_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[InterfaceChange]:
    """List how the interface of a prompt changed; the rest (text, parameters) is a patch."""
    return [
        *_format_changes(before, after),
        *_variable_changes(before.get("variables") or {}, after.get("variables") or {}),
        *_tool_changes(before.get("tools") or (), after.get("tools") or ()),
        *_response_changes(before, after),
    ]


def derived_bump(changes: Sequence[InterfaceChange]) -> Bump:
    """Give the least bump that the changes allow."""
    return max((change.bump for change in changes), key=lambda bump: bump.weight, default=Bump.PATCH)


def _format_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[InterfaceChange]:
    if before["format"] != after["format"]:
        yield InterfaceChange("format", f"changed from {before['format']} to {after['format']}", Bump.MAJOR)


def _variable_changes(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> Iterator[InterfaceChange]:
    for name in sorted(before.keys() - after.keys()):
        yield InterfaceChange(f"variables.{name}", "removed", Bump.MAJOR)
    for name in sorted(after.keys() - before.keys()):
        required = after[name]["required"]
        bump = Bump.MAJOR if required else Bump.MINOR
        yield InterfaceChange(f"variables.{name}", f"added, {_need(required)}", bump)
    for name in sorted(before.keys() & after.keys()):
        yield from _one_variable(f"variables.{name}", before[name], after[name])


def _one_variable(
    where: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[InterfaceChange]:
    if bare(before["schema"]) != bare(after["schema"]):
        yield InterfaceChange(where, "retyped", Bump.MAJOR)
    if before["required"] != after["required"]:
        bump = Bump.MAJOR if after["required"] else Bump.MINOR
        yield InterfaceChange(where, f"now {_need(after['required'])}", bump)


def _need(required: object) -> str:
    return "required" if required else "optional"


def _tool_changes(before: Sequence[Any], after: Sequence[Any]) -> Iterator[InterfaceChange]:
    old, new = ({tool_name(tool) or "": tool for tool in tools} for tools in (before, after))
    for name in sorted(old.keys() - new.keys()):
        yield InterfaceChange(f"tools.{name}", "removed", Bump.MINOR)
    for name in sorted(new.keys() - old.keys()):
        yield InterfaceChange(f"tools.{name}", "added", Bump.MINOR)
    for name in sorted(old.keys() & new.keys()):
        if bare(_arguments(old[name])) != bare(_arguments(new[name])):
            yield InterfaceChange(f"tools.{name}", "its parameters changed", Bump.MAJOR)


def _arguments(tool: Mapping[str, Any]) -> Any:
    return tool["function"].get("parameters") or {}


def _response_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[InterfaceChange]:
    old, new = _kind(before), _kind(after)
    if old != new:
        yield InterfaceChange("response_format", f"changed from {old} to {new}", Bump.MAJOR)
        return
    schema, changed = response_schema(before), response_schema(after)
    if schema is None or changed is None or bare(schema) == bare(changed):
        return
    if only_adds(bare(schema), bare(changed)):
        yield InterfaceChange("response_format", "properties added", Bump.MINOR)
    else:
        yield InterfaceChange("response_format", "narrowed or retyped", Bump.MAJOR)


def _kind(document: Mapping[str, Any]) -> str:
    shape = document.get("response_format")
    return str(shape["type"]) if shape else "text"


def bare(schema: Any) -> Any:
    """Leave out of a JSON Schema what only describes: two bare schemas are equal if they accept the same."""
    if isinstance(schema, list):
        return [bare(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {key: _bare_value(key, value) for key, value in schema.items() if key not in ANNOTATIONS}


def _bare_value(key: str, value: Any) -> Any:
    if key in {"properties", "$defs", "patternProperties"} and isinstance(value, Mapping):
        return {name: bare(one) for name, one in value.items()}
    if key in {"enum", "required"} and isinstance(value, list):
        return sorted(value, key=repr)
    return value if key == "const" else bare(value)


def only_adds(before: Any, after: Any) -> bool:
    """Tell whether `after` is `before` with further properties, at any depth, and no other change."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return bool(before == after)
    old, new = before.get("properties"), after.get("properties")
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return before.keys() == after.keys() and all(only_adds(before[key], after[key]) for key in before)
    added = new.keys() - old.keys()
    rest = (before.keys() | after.keys()) - {"properties", "required"}
    return (
        old.keys() <= new.keys()
        and all(only_adds(old[name], new[name]) for name in old)
        and all(only_adds(before.get(key), after.get(key)) for key in rest)
        and set(after.get("required", ())) - added == set(before.get("required", ()))
    )


@dataclass(frozen=True, slots=True)
class Wish:
    """What the author asks of the number: a bump, a number, or neither."""

    bump: Bump | None = None
    number: str | None = None


def chosen_number(latest: Number | None, changes: Sequence[InterfaceChange], wish: Wish) -> Number:
    """Give the number of new content after `latest`.

    Raises: Invalid (form), Conflict (not above the latest), Refused (lower than the interface demands).
    """
    if wish.bump is not None and wish.number is not None:
        raise Invalid("Give a bump or a version, not both.", remedy="Leave out one of the two.")
    asked = None if wish.number is None else _release(wish.number)
    if latest is None:
        return asked or FIRST
    needed = derived_bump(changes)
    if asked is None:
        _check(wish.bump or needed, needed, changes, latest)
        return latest.raised(wish.bump or needed)
    if not latest < asked:
        raise Conflict(
            f"{asked} is not above {latest}, the latest version.", remedy=f"Use {latest.raised(needed)}."
        )
    _check(step_between(latest, asked), needed, changes, latest)
    return asked


def _release(text: str) -> Number:
    number = parse_number(text)
    if number.prerelease:
        raise Invalid(
            f"{text} is a pre-release; prompts have none.", remedy="Write three numbers, as in 1.2.0."
        )
    return number


def _check(asked: Bump, needed: Bump, changes: Sequence[InterfaceChange], latest: Number) -> None:
    if asked.weight >= needed.weight:
        return
    remedy = f"Use {latest.raised(needed)} or a higher number."
    raise Refused(
        f"This change needs a {needed} version, not a {asked} one.",
        remedy=remedy,
        reasons=[
            Reason(change.where, f"{change.where}: {change.what}", remedy, str(asked), str(change.bump))
            for change in changes
            if change.bump.weight > asked.weight
        ],
    )
