"""Flags and segments of an assent.yaml."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from assent_client.api import Api
from assent_client.cli.apply.plan import Action, Change, Entry
from assent_client.errors import NotFound

__all__ = ["flags", "segments"]

REASON = "assent.yaml"


def segments(api: Api, entries: list[Entry]) -> Iterator[Change]:
    """Plan the segments: each is brought to its `any` and `description`."""
    for entry in entries:
        path = _path(api, entry, "segments")
        document = _document(entry)
        held = _held(api, path)
        wanted = {"description": "", **document}
        present = held["document"] if held else {}
        differs = tuple(key for key in wanted if present.get(key) != wanted[key])
        action = Action.CREATE if held is None else Action.UPDATE if differs else Action.UNCHANGED
        name = f"{entry.fields['environment']}/{entry.fields['name']}"
        waits = held is not None and _waits(held, wanted)
        if waits:
            yield Change(Action.UNCHANGED, "segment", f"{name} (waits for a second person)", entry)
        else:
            yield Change(action, "segment", name, entry, differs if held else (), _put(api, path, document))


def flags(api: Api, entries: list[Entry]) -> Iterator[Change]:
    """Plan the flags: what the file does not name stays; a protected environment asks a second person."""
    for entry in entries:
        path = _path(api, entry, "flags")
        document = _document(entry)
        name = f"{entry.fields['environment']}/{entry.fields['name']}"
        held = _held(api, path)
        if held is None:
            yield Change(Action.CREATE, "flag", name, entry, make=_create(api, entry, document))
            continue
        found = api.post(f"{path}/comparisons", {"document": document})
        if found["is_proposed"]:
            yield Change(Action.UNCHANGED, "flag", f"{name} (waits for a second person)", entry)
        elif found["differs"]:
            make = _change(api, path, document, held["generation"])
            yield Change(Action.UPDATE, "flag", name, entry, tuple(found["differs"]), make)
        else:
            yield Change(Action.UNCHANGED, "flag", name, entry)


def _path(api: Api, entry: Entry, kind: str) -> str:
    return api.path("environments", entry.fields["environment"], kind, entry.fields["name"])


def _document(entry: Entry) -> dict[str, Any]:
    return {key: value for key, value in entry.fields.items() if key not in {"name", "environment"}}


def _held(api: Api, path: str) -> Any:
    try:
        return api.get(path)
    except NotFound:
        return None


def _waits(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    proposal = held["proposal"]
    document = (proposal or {}).get("document") or {}
    return proposal is not None and all(document.get(key) == value for key, value in wanted.items())


def _create(api: Api, entry: Entry, document: Mapping[str, Any]) -> Callable[[], None]:
    def make() -> None:
        path = api.path("environments", entry.fields["environment"], "flags")
        api.post(path, {"name": entry.fields["name"], "document": document, "reason": REASON})

    return make


def _change(api: Api, path: str, document: Mapping[str, Any], generation: int) -> Callable[[], None]:
    def make() -> None:
        api.patch(path, {"document": document, "reason": REASON}, if_match=str(generation))

    return make


def _put(api: Api, path: str, document: Mapping[str, Any]) -> Callable[[], None]:
    def make() -> None:
        api.put(path, {"document": document, "reason": REASON})

    return make
