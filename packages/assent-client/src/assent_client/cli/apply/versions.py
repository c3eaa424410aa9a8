"""Versions of an assent.yaml: datasets, suites, prompts, models, policies. A version never changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from assent_client.api import Api
from assent_client.cli.apply import policies
from assent_client.cli.apply.plan import Action, Change, Entry, placed
from assent_client.errors import Conflict, Invalid, NotFound, TooLarge

__all__ = ["VERSIONED", "versions"]

MAX_FILE_BYTES = 256_000_000

VERSIONED: Mapping[str, str] = {
    "prompts": "prompt",
    "models": "model",
    "datasets": "dataset",
    "suites": "suite",
    "policies": "policy",
}
"""Sections of versions, in the order in which they need each other; each is a path of the API too."""


def versions(api: Api, section: str, entries: list[Entry], *, is_new: bool) -> Iterator[Change]:
    """Plan the versions of a section by asking the server what registering each would do.

    `is_new` says that things which these versions may name are still to be made: what the server does not
    find then is made first, and the version after it.
    """
    kind, path = VERSIONED[section], api.path(section)
    for entry in entries:
        name, body = _name(entry), _content(entry, kind)
        try:
            with placed(entry, kind, name):
                preview = api.post(path, body, check=True)
            exists = bool(preview["exists"])
            differs = () if exists else _taken(api, section, entry)
        except NotFound:
            if not is_new:
                raise
            exists, differs = False, ()
        except Conflict as error:
            why = error.message.partition(f"{name}: ")[2]
            exists, differs = False, (f"{why} {error.remedy or ''}".strip(),)
        action = Action.UNCHANGED if exists else Action.IMPOSSIBLE if differs else Action.CREATE
        yield Change(action, kind, name, entry, differs, _register(api, path, body))
        is_new = is_new or action is Action.CREATE


def _name(entry: Entry) -> str:
    name, version = entry.fields["name"], entry.fields.get("version")
    return f"{name}@{version}" if version else str(name)


def _taken(api: Api, section: str, entry: Entry) -> tuple[str, ...]:
    """Say so where the number belongs to other content already."""
    version = entry.fields.get("version")
    if version is None:
        return ()
    try:
        api.get(api.path(section, entry.fields["name"], version))
    except NotFound:
        return ()
    return ("registered with other content; a version never changes: give this one the next number",)


def _register(api: Api, path: str, body: dict[str, Any]) -> Any:
    def make() -> None:
        api.post(path, body)

    return make


def _content(entry: Entry, kind: str) -> dict[str, Any]:
    """Give what the server reads; a dataset's rows and a prompt's text may stand in files of their own."""
    if kind == "policy":
        return policies.content(entry)
    body = {key: value for key, value in entry.fields.items() if key != "file"}
    if "file" in entry.fields and kind == "dataset":
        if "rows" in body:
            raise Invalid(f"{entry.where('file')}: give `rows` or `file`, not both.")
        body["rows"] = _rows(entry)
    if "file" in entry.fields and kind == "prompt":
        if "text" in body or "messages" in body:
            raise Invalid(f"{entry.where('file')}: give `text`, `messages` or `file`, one of them.")
        body["text"] = _text(entry)
    return body


def _rows(entry: Entry) -> list[Any]:
    path = entry.document.path.parent / entry.fields["file"]
    lines = _text(entry).split("\n")  # JSON strings may hold other line separators
    return [_row(f"{path}:{number}", line) for number, line in enumerate(lines, 1) if line.strip()]


def _text(entry: Entry) -> str:
    path = entry.document.path.parent / entry.fields["file"]
    where = entry.where("file")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise TooLarge(f"{where}: {path} is larger than {MAX_FILE_BYTES:,} bytes.")
        return str(content, "utf-8-sig")
    except OSError as error:
        raise Invalid(
            f"{where}: {path} cannot be read: {error.strerror}.", remedy="Check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{where}: {path} is not UTF-8 at byte {error.start}.") from error


def _row(where: str, line: str) -> Any:
    try:
        return json.loads(line, parse_constant=_not_finite)
    except ValueError as error:
        raise Invalid(f"{where}: not JSON: {error}.", remedy="Write one JSON value a line.") from error


def _not_finite(word: str) -> Any:
    raise ValueError(f"{word} is no JSON number")
