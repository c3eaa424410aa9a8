"""Subscriptions of an assent.yaml: who is told of which events."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from assent_client.api import Api
from assent_client.cli.apply.plan import Action, Change, Entry, listed
from assent_client.cli.output import note
from assent_client.errors import Invalid

__all__ = ["hooks"]

WEBHOOK, EMAIL = "webhook", "email"
ENV = "env:"


def hooks(api: Api, entries: list[Entry]) -> Iterator[Change]:
    """Plan the subscriptions; the server compares targets, because it shows them to nobody.

    Neither a target nor a signing secret is part of the plan. Raises: Invalid (a variable that is not set).
    """
    if not entries:
        return  # who may not read them can still apply a file without them
    have = {one["name"]: one for one in listed(api, api.path("subscriptions"))}
    for entry in entries:
        name, channel = entry.fields["name"], entry.fields.get("channel", WEBHOOK)
        body = {"kinds": entry.fields.get("kinds", ["default"]), **_target(entry, channel)}
        held = have.get(name)
        if held is None:
            yield Change(Action.CREATE, "hook", name, entry, make=_add(api, name, channel, body))
        elif held["channel"] != channel:
            yield Change(Action.IMPOSSIBLE, "hook", name, entry, ("channel",))
        elif differs := tuple(api.post(api.path("subscriptions", name, "comparisons"), body)["differs"]):
            change = {"kinds": body["kinds"], **(body if "target" in differs else {})}
            yield Change(Action.UPDATE, "hook", name, entry, differs, _change(api, name, change))
        else:
            yield Change(Action.UNCHANGED, "hook", name, entry)


def _target(entry: Entry, channel: str) -> dict[str, Any]:
    wanted, other = ("addresses", "url") if channel == EMAIL else ("url", "addresses")
    if wanted not in entry.fields or other in entry.fields:
        raise Invalid(f"{entry.where()}: a hook by {channel} has `{wanted}`, and no `{other}`.")
    value = entry.fields[wanted]
    if isinstance(value, str) and value.startswith(ENV):
        variable = value.removeprefix(ENV)
        value = os.environ.get(variable)
        if not value:
            raise Invalid(
                f"{entry.where(wanted)}: the environment variable {variable} is not set.",
                remedy="Set it to the URL, where `assent apply` runs.",
            )
    return {wanted: value}


def _add(api: Api, name: str, channel: str, body: dict[str, Any]) -> Callable[[], None]:
    def make() -> None:
        api.post(api.path("subscriptions"), {"name": name, "channel": channel, **body})
        if channel == WEBHOOK:
            note(f"{name}: its signing secret: assent hook rotate {name} --overlap-hours 0")

    return make


def _change(api: Api, name: str, body: dict[str, Any]) -> Callable[[], None]:
    def make() -> None:
        api.patch(api.path("subscriptions", name), body)

    return make
