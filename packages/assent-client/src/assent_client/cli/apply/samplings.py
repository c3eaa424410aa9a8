"""Samplings of an assent.yaml: which judge grades which share of a name's live calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from assent_client.api import Api
from assent_client.cli.apply.plan import Action, Change, Entry, placed
from assent_client.errors import Conflict, NotFound

__all__ = ["NEEDED", "samplings"]

REASON = "assent.yaml"
NEEDED = frozenset({"project", "environment", "provider"})
"""Kinds of things that the server misses where they are still to be made."""

FIELDS = ("judge", "share", "per_day", "keep_days")


def samplings(api: Api, entries: list[Entry], *, is_new: bool) -> Iterator[Change]:
    """Plan the samplings; what has to come first (a release, a judge's passport) leaves one waiting.

    `is_new` says that things of `NEEDED` are still to be made.
    """
    for entry in entries:
        name = f"{entry.fields['environment']}/{entry.fields['name']}"
        with placed(entry, "sampling", name):
            yield _planned(api, entry, name, is_new=is_new)


def _planned(api: Api, entry: Entry, name: str, *, is_new: bool) -> Change:
    path = api.path("environments", entry.fields["environment"], "samplings", entry.fields["name"])
    body = {key: entry.fields[key] for key in FIELDS if key in entry.fields}
    try:
        found = api.post(f"{path}/comparisons", body)
    except Conflict as error:
        return Change(Action.IMPOSSIBLE, "sampling", name, entry, (error.message,))
    except NotFound:
        if not is_new:
            raise
        return _waiting(name, entry, "what it needs is made first: apply the file again then")
    if found["waits"]:
        return _waiting(name, entry, *(f"{one['message']} {one['remedy']}" for one in found["waits"]))
    make = _set(api, path, {**body, "reason": entry.fields.get("reason", REASON)})
    if found["is_new"]:
        return Change(Action.CREATE, "sampling", name, entry, make=make)
    action = Action.UPDATE if found["differs"] else Action.UNCHANGED
    return Change(action, "sampling", name, entry, tuple(found["differs"]), make)


def _waiting(name: str, entry: Entry, *why: str) -> Change:
    return Change(Action.UNCHANGED, "sampling", f"{name} (waits)", entry, why)


def _set(api: Api, path: str, body: dict[str, Any]) -> Callable[[], None]:
    def make() -> None:
        api.put(path, body)

    return make
