"""Providers and prices of an assent.yaml."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from assent_client.api import Api
from assent_client.cli.apply.plan import Action, Change, Entry, differences, listed

__all__ = ["prices", "providers"]

DEFAULTS = {"kind": "openai", "api_key": None}


def providers(api: Api, entries: list[Entry]) -> Iterator[Change]:
    """Plan the providers; time-outs that the file does not name stay as they are."""
    have = {one["name"]: one for one in listed(api, api.path("providers"))} if entries else {}
    for entry in entries:
        name = entry.fields["name"]
        said = {key: value for key, value in entry.fields.items() if key != "name"}
        want = {**DEFAULTS, **said, "base_url": str(said["base_url"]).rstrip("/")}
        make = _set(api, name, {**_kept(have.get(name)), **want})
        if name not in have:
            yield Change(Action.CREATE, "provider", name, entry, make=make)
        elif differs := tuple(differences(want, have[name])):
            yield Change(Action.UPDATE, "provider", name, entry, differs, make)
        else:
            yield Change(Action.UNCHANGED, "provider", name, entry)


def _kept(provider: dict[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (provider or {}).items() if key.endswith("_timeout_s")}


def _set(api: Api, name: str, body: dict[str, Any], noun: str = "providers") -> Callable[[], None]:
    def make() -> None:
        api.put(api.path(noun, *name.split("/")), body)

    return make


def prices(api: Api, entries: list[Entry]) -> Iterator[Change]:
    """Plan what the project says of prices; amounts compare as numbers."""
    found = listed(api, api.path("prices")) if entries else []
    have = {one["model"]: one for one in found if one["is_override"]}
    for entry in entries:
        name = entry.fields["name"]
        said = {key: value for key, value in entry.fields.items() if key != "name"}
        want = {**said, **{key: _amount(said.get(key)) for key in ("input", "output", "cached")}}
        make = _set(api, name, want, "prices")
        if name not in have:
            yield Change(Action.CREATE, "price", name, entry, make=make)
        elif differs := tuple(differences(want, have[name])):
            yield Change(Action.UPDATE, "price", name, entry, differs, make)
        else:
            yield Change(Action.UNCHANGED, "price", name, entry)


def _amount(value: float | None) -> str | None:
    return None if value is None else f"{Decimal(str(value)).normalize():f}"
