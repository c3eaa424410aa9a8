"""A segment: conditions with a name, `{"description": "…", "any": [[condition, …], …]}`."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Any, Final

from assent.flags.domain.document import (
    MAX_DOCUMENT_BYTES,
    MAX_TEXT,
    Flag,
    is_personal,
    list_faults,
    route_of,
)
from assent.kernel.canonical import canonical
from assent.kernel.errors import Invalid, Reason
from assent_client.conditions import hash_member
from assent_client.decide import RouteError, compile_routes

_KEYS: Final = frozenset({"description", "any", "salt"})
_HASHED: Final = {
    "in": "in_hashed",
    "equals": "in_hashed",
    "not_in": "not_in_hashed",
    "not_equals": "not_in_hashed",
}


def read_segment(
    form: Mapping[str, Any], salt: str, units: Collection[str], before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Read what somebody wrote; `units` are those of the flags. Raises: Invalid with every fault."""
    document = {"description": "", "salt": salt, **(before or {}), **form}
    faults = [
        *(f"Unknown field: {name}." for name in sorted(document.keys() - _KEYS)),
        *([] if document["salt"] == (before or {"salt": salt})["salt"] else ["The salt of a segment stays."]),
    ]
    text = document["description"]
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        faults.append(f"description is a text of {MAX_TEXT} characters at most.")
    groups = document.get("any")
    for group in groups if isinstance(groups, list) else ():
        faults += list_faults(group, units) if isinstance(group, list) else []
    if len(canonical(document)) > MAX_DOCUMENT_BYTES:
        faults.append(f"A segment has {MAX_DOCUMENT_BYTES:,} bytes at most.")
    if faults:
        raise Invalid("The segment is not valid.", reasons=[Reason("segment", fault) for fault in faults])
    return document


def check_environment(flags: Mapping[str, Flag], segments: Mapping[str, Mapping[str, Any]]) -> None:
    """Check that all flags and segments of an environment work together. Raises: Invalid with every fault."""
    probes = {f" {name}": _probe(name) for name in segments}
    routes = {name: route_of(name, flag, 1) for name, flag in flags.items()}
    try:
        compile_routes(routes | probes, {name: {"any": one.get("any")} for name, one in segments.items()})
    except RouteError as error:
        reasons = [Reason("rules", f"{problem}.") for problem in error.problems]
        raise Invalid(f"{error}.", reasons=reasons, remedy="Mend what is listed.") from error


def _probe(segment: str) -> dict[str, Any]:
    """Give a route that asks for a segment, so that one that no flag asks for is checked too."""
    ranges = [{"variant": "off", "start": 0, "end": 1_000_000}]
    flag = Flag(variants={"off": False}, off="off", enabled=True, unit="", salt="0" * 32, split=())
    rule = {"id": "probe", "when": [{"segment": segment}], "variant": "off"}
    return route_of(f"probe of segment {segment}", flag, 1) | {"split": ranges, "rules": [rule]}


def published_route(name: str, flag: Flag, generation: int) -> dict[str, Any]:
    """Write a flag's route as it travels: listed ids of people as keyed hashes."""
    route = route_of(name, flag, generation)
    for rule in route["rules"]:
        rule["when"] = [published_condition(one, {flag.unit}, flag.salt) for one in rule["when"]]
    return route


def published_segment(document: Mapping[str, Any], units: Collection[str]) -> dict[str, Any]:
    """Write a segment as it travels; `units` are those of the environment's flags."""
    salt = document["salt"]
    return {"any": [[published_condition(one, units, salt) for one in group] for group in document["any"]]}


def published_condition(condition: Mapping[str, Any], units: Collection[str], salt: str) -> dict[str, Any]:
    """Write a condition as it travels: listed ids of people as keyed hashes; `units`: what is stuck to."""
    op = _HASHED.get(str(condition.get("op")))
    value = condition.get("value")
    values: list[Any] = value if isinstance(value, list) else [value]
    if (
        op is None
        or not is_personal(condition["attribute"], units)
        or not all(isinstance(v, str) for v in values)
    ):
        return dict(condition)
    key = hashlib.sha256(b"members of " + salt.encode()).hexdigest()
    hashes = sorted(hash_member(key, one) for one in values)
    return {"attribute": condition["attribute"], "op": op, "value": {"key": key, "hashes": hashes}}
