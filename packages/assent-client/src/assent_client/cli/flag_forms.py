"""What is typed about flags: values, shares and files of contexts."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from assent_client.api import Api
from assent_client.errors import Invalid
from assent_client.typed import read_value

__all__ = [
    "change",
    "flag_path",
    "read_contexts",
    "read_pairs",
    "read_shares",
]

MAX_FILE = 50_000_000


def flag_path(api: Api, environment: str, *parts: str) -> str:
    """Give the address of something under an environment."""
    return api.path("environments", environment, *parts)


def change(api: Api, environment: str, name: str, document: Mapping[str, Any], reason: str | None) -> Any:
    """Change a flag as it is now; somebody else's change in between is refused."""
    path = flag_path(api, environment, "flags", name)
    held = api.get(path)
    body = {"document": document, "reason": reason}
    return api.patch(path, body, if_match=str(held["generation"]))


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
