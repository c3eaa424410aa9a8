"""A flag: its document, read strictly, with every fault at once.

What people write and what is stored:

    {"description": "…", "owner": "search-team", "permanent": false, "ends_on": "2027-01-31",
     "variants": {"on": true, "off": false}, "off": "off", "enabled": true, "unit": "user",
     "prerequisites": [{"flag": "billing", "variants": ["on"]}],
     "rules": [{"id": "staff", "when": [{"attribute": "email", "op": "suffix", "value": "@acme.com"}],
                "variant": "on"}],
     "split": {"on": 0.05}}

A split is a variant's name, shares by variant (what is left goes to the off variant), or explicit ranges
`{"variant", "start", "end"}` of 1,000,000; it is stored as ranges. The salt is drawn once and stays.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from assent.flags.domain.splits import Range, read_ranges, write_ranges
from assent_client.decide import ALGORITHM, BUCKETS

MAX_VARIANTS: Final = 50
MAX_VALUE_BYTES: Final = 16_384
MAX_LIST: Final = 10_000
MAX_DOCUMENT_BYTES: Final = 1_000_000
MAX_TEXT: Final = 500
KEYS: Final = frozenset(
    {
        "description",
        "owner",
        "permanent",
        "ends_on",
        "variants",
        "off",
        "enabled",
        "unit",
        "salt",
        "prerequisites",
        "rules",
        "split",
    }
)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
UNIT = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,62}\Z")
SALT = re.compile(r"[0-9a-f]{32}\Z")
_LISTS: Final = {"in", "not_in", "equals", "not_equals"}
_PERSONAL: Final = {"user", "user_id", "email"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Conditions, and what those get who fulfil them; `ranges` of one variant is that variant."""

    id: str
    when: tuple[Mapping[str, Any], ...]
    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A flag's document."""

    variants: Mapping[str, Any]
    off: str
    enabled: bool
    unit: str
    salt: str
    prerequisites: tuple[Mapping[str, Any], ...] = ()
    rules: tuple[Rule, ...] = ()
    split: tuple[Range, ...]
    description: str = ""
    owner: str = ""
    permanent: bool = False
    ends_on: date | None = None

    @property
    def outcomes(self) -> list[tuple[Range, ...]]:
        """List what rules and split give."""
        return [*(rule.ranges for rule in self.rules), self.split]

    @property
    def is_exposing(self) -> bool:
        """Tell whether anybody may get another variant than the off one."""
        return self.enabled and any(one.variant != self.off for ranges in self.outcomes for one in ranges)


def whole(variant: str) -> tuple[Range, ...]:
    """Give all to one variant."""
    return (Range(variant, 0, BUCKETS),)


def flag_document(flag: Flag) -> dict[str, Any]:
    """Write a flag as it is stored."""
    return {
        "description": flag.description,
        "owner": flag.owner,
        "permanent": flag.permanent,
        "ends_on": flag.ends_on.isoformat() if flag.ends_on else None,
        "variants": dict(flag.variants),
        "off": flag.off,
        "enabled": flag.enabled,
        "unit": flag.unit,
        "salt": flag.salt,
        "prerequisites": [dict(one) for one in flag.prerequisites],
        "rules": [
            {"id": rule.id, "when": [dict(one) for one in rule.when], "split": write_ranges(rule.ranges)}
            for rule in flag.rules
        ],
        "split": write_ranges(flag.split),
    }


def flag_of(document: Mapping[str, Any]) -> Flag:
    """Read a stored document."""
    return Flag(
        **{
            key: document[key]
            for key in ("variants", "off", "enabled", "unit", "salt", "description", "owner")
        },
        permanent=document["permanent"],
        ends_on=date.fromisoformat(document["ends_on"]) if document["ends_on"] else None,
        prerequisites=tuple(document["prerequisites"]),
        rules=tuple(
            Rule(id=rule["id"], when=tuple(rule["when"]), ranges=read_ranges(rule["split"]))
            for rule in document["rules"]
        ),
        split=read_ranges(document["split"]),
    )


def route_of(name: str, flag: Flag, generation: int) -> dict[str, Any]:
    """Write the route that decides for a flag, as snapshots carry it."""
    route: dict[str, Any] = {
        "key": name,
        "kind": "flag",
        "variants": dict(flag.variants),
        "split": write_ranges(flag.split),
        "rules": [
            {"id": rule.id, "when": [dict(one) for one in rule.when], "split": write_ranges(rule.ranges)}
            for rule in flag.rules
        ],
        "unit": flag.unit,
        "algo": ALGORITHM,
        "salt": flag.salt,
        "off": flag.off,
        "enabled": flag.enabled,
        "rollout": None,
        "generation": generation,
    }
    if flag.prerequisites:
        route["prerequisites"] = [dict(one) for one in flag.prerequisites]
    return route


def switched(flag: Flag, *, enabled: bool) -> Flag:
    """Switch a flag on or off."""
    return replace(flag, enabled=enabled)


def kind_of(value: Any) -> str:
    """Name the type of a value as OpenFeature does: an object may be a list."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "object"


def is_personal(attribute: Any, units: Collection[str]) -> bool:
    """Tell whether an attribute names people or units, so that lists of its values travel as keyed hashes."""
    return attribute in _PERSONAL or attribute in units


def list_faults(when: list[Any], units: Collection[str]) -> list[str]:
    """Say what is wrong with the lists of conditions: too long, or ids of people that are no texts."""
    found = []
    for entry in when:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("attribute"), str):
            continue
        value, attribute = entry.get("value"), entry["attribute"]
        values = value if isinstance(value, list) else [value]
        if len(values) > MAX_LIST:
            found.append(f"{attribute}: a list holds {MAX_LIST:,} values at most, this one {len(values):,}.")
        if str(entry.get("op")).endswith("hashed"):
            found.append(f"{attribute}: write the values; they are hashed on their way to applications.")
        listed = str(entry.get("op")) in _LISTS and is_personal(attribute, units)
        if listed and not all(isinstance(one, str) for one in values):
            found.append(f"{attribute}: ids of people are texts, in quotes.")
    return found
