"""The sections of an assent.yaml: which there are, and the fields that the command line itself reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assent_client.cli.apply.plan import Entry
from assent_client.cli.strict_yaml import Document, Place
from assent_client.errors import Invalid, Reason

__all__ = ["SECTIONS", "Section", "entries_of"]

FORMAT = 1

TEXT, FLAG, TEXTS, NUMBER = "text", "true or false", "a list of texts", "a number"


@dataclass(frozen=True, slots=True)
class Section:
    """One section: its fields, and whether the server reads, and checks, further ones."""

    fields: Mapping[str, str]
    required: frozenset[str] = frozenset({"name"})
    is_open: bool = False
    is_list: bool = True


_VERSION = {"name": TEXT, "version": TEXT}
_TIMEOUTS = dict.fromkeys(("connect_timeout_s", "first_token_timeout_s", "idle_timeout_s"), NUMBER)
SECTIONS: Mapping[str, Section] = {
    "project": Section({"name": TEXT, "title": TEXT}, is_list=False),
    "environments": Section({"name": TEXT, "protected": FLAG}),
    "people": Section({"name": TEXT, "called": TEXT, "roles": TEXTS}),
    "services": Section({"name": TEXT, "roles": TEXTS}),
    "groups": Section({"name": TEXT, "members": TEXTS}),
    "providers": Section(
        {"name": TEXT, "kind": TEXT, "base_url": TEXT, "api_key": TEXT, **_TIMEOUTS},
        frozenset({"name", "base_url"}),
    ),
    "prices": Section(
        {"name": TEXT, "currency": TEXT, "input": NUMBER, "output": NUMBER, "cached": NUMBER, "source": TEXT},
        frozenset({"name", "currency", "input", "output", "source"}),
    ),
    "prompts": Section({**_VERSION, "file": TEXT}, is_open=True),
    "models": Section(_VERSION, frozenset({"name", "version"}), is_open=True),
    "datasets": Section({**_VERSION, "file": TEXT}, is_open=True),
    "suites": Section(_VERSION, is_open=True),
    "policies": Section({**_VERSION, "environments": TEXTS}, is_open=True),
    "samplings": Section(
        {
            "name": TEXT,
            "environment": TEXT,
            "judge": TEXT,
            "share": NUMBER,
            "per_day": NUMBER,
            "keep_days": NUMBER,
            "reason": TEXT,
        },
        frozenset({"name", "environment", "judge", "share", "per_day"}),
    ),
    "keys": Section({"name": TEXT, "environment": TEXT, "models": TEXTS}, frozenset({"name", "environment"})),
    "segments": Section(
        {"name": TEXT, "environment": TEXT}, frozenset({"name", "environment"}), is_open=True
    ),
    "flags": Section({"name": TEXT, "environment": TEXT}, frozenset({"name", "environment"}), is_open=True),
    "hooks": Section({"name": TEXT, "kinds": TEXTS, "channel": TEXT, "url": TEXT, "addresses": TEXTS}),
}


def entries_of(document: Document) -> Mapping[str, list[Entry]]:
    """Check the whole file's form and give its entries. Raises: Invalid, with every mistake."""
    mistakes: list[Reason] = []
    top = document.value
    if not isinstance(top, dict):
        document.refuse((), "the file must be a mapping of sections", "Begin with `assent: 1`.")
    if top.get("assent") != FORMAT:
        document.refuse(("assent",), "the first line must be `assent: 1`, the version of the format")
    for name in top:
        if name not in SECTIONS and name != "assent":
            known = ", ".join(SECTIONS)
            mistakes.append(_mistake(document, (name,), f"there is no section {name!r}; there are {known}"))
    if "project" not in top:
        mistakes.append(_mistake(document, (), "the section `project` is missing"))
    found = {name: _section(document, name, mistakes) for name in SECTIONS if name in top}
    if mistakes:
        n = len(mistakes)
        message = mistakes[0].message if n == 1 else f"{document.path} has {n} mistakes"
        raise Invalid(f"{message}.", remedy="docs/assent-yaml.md shows every section.", reasons=mistakes)
    return found


def _section(document: Document, name: str, mistakes: list[Reason]) -> list[Entry]:
    section, value = SECTIONS[name], document.value[name]
    if not section.is_list:
        pairs: list[tuple[Place, Any]] = [((name,), value)]
    elif isinstance(value, list):
        pairs = [((name, index), one) for index, one in enumerate(value)]
    else:
        mistakes.append(_mistake(document, (name,), f"`{name}` must be a list"))
        return []
    entries, seen = [], set[tuple[Any, ...]]()
    for place, fields in pairs:
        if not isinstance(fields, dict):
            mistakes.append(_mistake(document, place, "must be a mapping of fields"))
            continue
        mistakes += _field_mistakes(document, place, section, fields)
        identity = tuple(str(fields.get(key)) for key in ("name", "version", "environment"))
        if identity in seen:
            mistakes.append(_mistake(document, place, f"{fields.get('name')!r} is described twice"))
        seen.add(identity)
        entries.append(Entry(document, place, fields))
    return entries


def _field_mistakes(
    document: Document, place: Place, section: Section, fields: Mapping[str, Any]
) -> list[Reason]:
    found = [
        _mistake(document, place, f"the field `{name}` is missing")
        for name in sorted(section.required)
        if name not in fields
    ]
    for name, value in fields.items():
        kind = section.fields.get(name)
        if kind is None and not section.is_open:
            known = ", ".join(section.fields)
            found.append(_mistake(document, (*place, name), f"there is no field {name!r}; there are {known}"))
        elif kind is not None and not _fits(value, kind):
            hint = "; put it in quotes" if kind == TEXT and isinstance(value, int | float) else ""
            found.append(_mistake(document, (*place, name), f"`{name}` must be {kind}{hint}"))
    return found


def _fits(value: Any, kind: str) -> bool:
    if kind == TEXT:
        return isinstance(value, str) and value != ""
    if kind == FLAG:
        return isinstance(value, bool)
    if kind == NUMBER:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _mistake(document: Document, place: Place, message: str) -> Reason:
    return Reason(".".join(map(str, place)) or "file", f"{document.where(place)}: {message}")
