"""What is typed about flags: values, shares and files of contexts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from assent_client.api import Api
from assent_client.contexts import read_contexts
from assent_client.errors import Invalid
from assent_client.typed import read_value

__all__ = [
    "change",
    "flag_path",
    "read_file",
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


def read_file(path: Path, unit: str) -> list[dict[str, Any]]:
    """Read a file of contexts: JSON lines, or CSV with a header. Raises: Invalid with each wrong line."""
    if path.stat().st_size > MAX_FILE:
        raise Invalid(f"{path} has more than {MAX_FILE:,} bytes.", remedy="Take a sample of it.")
    return read_contexts(path.read_text(encoding="utf-8-sig"), unit, str(path))
