"""What is typed about flags: values, shares, conditions and files of contexts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from assent_client.api import Api
from assent_client.errors import Invalid

__all__ = [
    "change",
    "flag_path",
    "read_condition",
    "read_contexts",
    "read_pairs",
    "read_shares",
    "read_value",
]

MAX_FILE = 50_000_000
LISTS = ("in", "not_in")


def flag_path(api: Api, environment: str, *parts: str) -> str:
    """Give the address of something under an environment."""
    return api.path("environments", environment, *parts)


def change(api: Api, environment: str, name: str, document: Mapping[str, Any], reason: str | None) -> Any:
    """Change a flag as it is now; somebody else's change in between is refused."""
    path = flag_path(api, environment, "flags", name)
    held = api.get(path)
    body = {"document": document, "reason": reason}
    return api.patch(path, body, if_match=str(held["generation"]))


def read_value(text: str) -> Any:
    """Read JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def read_pairs(pairs: Iterable[str], what: str) -> dict[str, Any]:
    """Read `NAME=VALUE`. Raises: Invalid."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise Invalid(f"{pair!r} is not {what}.", remedy="Write NAME=VALUE.")
        found[name] = read_value(value)
    return found


def read_shares(given: list[str]) -> Any:
    """Read what a split gives: a variant's name, or `VARIANT=SHARE` as often as needed. Raises: Invalid."""
    if len(given) == 1 and "=" not in given[0]:
        return given[0]
    return read_pairs(given, "a variant and its share")


def read_condition(text: str) -> dict[str, Any]:
    """Read `ATTRIBUTE OP VALUE`, `segment NAME`, `flag NAME VARIANT,…` and so on. Raises: Invalid."""
    words = text.split(None, 2)
    if len(words) == 2 and words[0] in {"segment", "not_segment"}:  # noqa: PLR2004 -- a word and its name
        return {words[0]: words[1]}
    if len(words) < 3:  # noqa: PLR2004 -- three words
        raise Invalid(
            f"{text!r} is no condition.",
            remedy="Write ATTRIBUTE OP VALUE, for example 'country in DE,AT'; or segment NAME.",
        )
    if words[0] == "flag":
        return {"flag": words[1], "variants": words[2].split(",")}
    attribute, operation, value = words
    if operation in LISTS:
        return {"attribute": attribute, "op": operation, "value": [one.strip() for one in value.split(",")]}
    numeric = operation in {"lt", "le", "gt", "ge", "equals", "not_equals"}
    return {"attribute": attribute, "op": operation, "value": read_value(value) if numeric else value}


def read_contexts(path: Path, unit: str) -> list[dict[str, Any]]:
    """Read a file of contexts: JSON lines or CSV with a header; the field `unit`, or that of the flag's unit.

    Raises: Invalid with the line.
    """
    if path.stat().st_size > MAX_FILE:
        raise Invalid(f"{path} has more than {MAX_FILE:,} bytes.", remedy="Take a sample of it.")
    text = path.read_text(encoding="utf-8-sig")
    rows = _csv_rows(text) if path.suffix == ".csv" else _json_rows(path, text)
    found = []
    for number, row in rows:
        context = {name: value for name, value in row.items() if name != "unit"}
        which = row.get("unit", row.get(unit))
        if which is None or which == "":
            raise Invalid(f"{path}, line {number}: there is no field `unit` or `{unit}`.")
        found.append({"unit": str(which), "context": context})
    return found


def _csv_rows(text: str) -> Iterable[tuple[int, dict[str, Any]]]:
    for number, row in enumerate(csv.DictReader(io.StringIO(text)), 2):
        yield number, {name: read_value(value) for name, value in row.items() if name and value}


def _json_rows(path: Path, text: str) -> Iterable[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            row = read_value(line)
            if not isinstance(row, dict):
                raise Invalid(f"{path}, line {number}: not a JSON object.")
            yield number, row
