"""Who gets a version by rule, whatever its share: test users, organisations, bearers of a preview header.

The form: a list of entries of which one must hold; an entry is a condition, or `{"all": [condition, …]}`:
[{"attribute": "organisation", "op": "in", "value": ["acme"]},
 {"all": [{"attribute": "country", "op": "equals", "value": "NL"},
          {"attribute": "app_version", "op": "semver_ge", "value": "3.2.0"}]}]
Conditions are those of `assent_client.conditions`. Numbers are whole: the ledger holds no floats. Listed ids
of people travel to gateways and applications as keyed hashes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from assent.delivery.domain.form import Section
from assent.flags.domain import list_faults
from assent_client.conditions import compile_condition

MAX_CLAUSES: Final = 50
MAX_CONDITIONS: Final = 10
MAX_ATTRIBUTE: Final = 100
PREVIEW_ATTRIBUTE: Final = "preview"
"""The attribute of the context that the gateway fills from the header `X-Assent-Preview`."""

Condition = Mapping[str, Any]
Clause = tuple[Condition, ...]
Audience = tuple[Clause, ...]


def read_audience(section: Section, name: str = "audience") -> Audience:
    """Read an audience that may be absent, noting every fault."""
    value = section.raw(name)
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MAX_CLAUSES:
        section.fault(
            name,
            f"{section.path(name)} must be a list of 1 to {MAX_CLAUSES} entries.",
            "Write `- {attribute: user, op: in, value: [qa-1]}`.",
        )
        return ()
    return tuple(_clause(section, f"{name}[{i}]", entry) for i, entry in enumerate(value))


def audience_document(audience: Audience) -> list[dict[str, Any]]:
    """Write the canonical form."""
    return [{"all": [dict(condition) for condition in clause]} for clause in audience]


def audience_rules(audience: Audience, variant: str) -> list[dict[str, Any]]:
    """Write the rules of a route that give the audience a variant."""
    return [
        {"id": f"audience-{i}", "when": [dict(condition) for condition in clause], "variant": variant}
        for i, clause in enumerate(audience, 1)
    ]


def read_rules(rules: Sequence[Mapping[str, Any]]) -> Audience:
    """Read what `audience_rules` wrote."""
    return tuple(tuple(rule["when"]) for rule in rules)


def preview_clause(header: str) -> Clause:
    """Say that a request bears this value in the header `X-Assent-Preview`."""
    return ({"attribute": PREVIEW_ATTRIBUTE, "op": "equals", "value": header},)


def _clause(section: Section, name: str, entry: Any) -> Clause:
    conditions = entry["all"] if isinstance(entry, Mapping) and set(entry) == {"all"} else [entry]
    if not isinstance(conditions, list | tuple) or not 1 <= len(conditions) <= MAX_CONDITIONS:
        section.fault(
            f"{name}.all",
            f"`all` must be a list of 1 to {MAX_CONDITIONS} conditions.",
            "Give the conditions that must hold together.",
        )
        return ()
    for condition in conditions:
        problem = _problem(condition)
        if problem is not None:
            section.fault(name, *problem)
    return tuple(conditions)


def _problem(condition: Any) -> tuple[str, str] | None:
    """Say what is wrong with a condition, and what to do."""
    if not isinstance(condition, Mapping) or set(condition) != {"attribute", "op", "value"}:
        return "A condition has attribute, op and value.", "Write {attribute: user, op: in, value: [qa-1]}."
    attribute, value = condition["attribute"], condition["value"]
    if not isinstance(attribute, str) or not 1 <= len(attribute) <= MAX_ATTRIBUTE:
        return (
            f"{attribute!r} is not the name of an attribute.",
            f"Give a text of 1 to {MAX_ATTRIBUTE} characters.",
        )
    if faults := list_faults([condition], ()):
        return faults[0], "Correct the condition."
    if any(isinstance(item, float) for item in (value if isinstance(value, list) else [value])):
        return "A condition's numbers are whole.", "Write a whole number, or a text."
    try:
        compile_condition(condition["op"], value)
    except (ValueError, TypeError) as error:
        return f"{attribute}: {error}.", "Correct the condition."
    return None
