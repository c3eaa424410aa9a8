"""Which policies of an assent.yaml environments ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from assent_client.api import Api
from assent_client.cli.apply.plan import Action, Change, Entry, Made
from assent_client.errors import Conflict, NotFound

__all__ = ["bindings", "content"]


def bindings(api: Api, entries: list[Entry]) -> Iterator[Change]:
    """Plan the bindings that the entries' `environments` ask for; other environments keep theirs."""
    for entry in entries:
        for environment in entry.fields.get("environments", []):
            name = f"{environment} → {entry.fields['name']}"
            wanted, bound = _digest(api, entry), _bound(api, environment)
            if wanted is not None and bound is not None and bound["policy_digest"] == wanted:
                yield Change(Action.UNCHANGED, "binding", name, entry)
                continue
            if wanted is not None and bound is not None and bound["proposed_digest"] == wanted:
                # A second person binds it: assent policy confirm.
                yield Change(Action.UNCHANGED, "binding", f"{name} (waits for a second person)", entry)
                continue
            is_new = bound is None or not bound["bound"]
            differs = () if bound is None or is_new else (f"- {bound['policy']}",)
            action = Action.CREATE if is_new else Action.UPDATE
            yield Change(action, "binding", name, entry, differs, _bind(api, entry, environment))


def content(entry: Entry) -> dict[str, Any]:
    """Give what the server reads of a policy's entry."""
    return {key: value for key, value in entry.fields.items() if key != "environments"}


def _digest(api: Api, entry: Entry) -> str | None:
    """Give the digest that the policy has or will have; None where its project is still to be made."""
    try:
        preview = api.post(api.path("policies"), content(entry), check=True)
    except (NotFound, Conflict):  # the plan of the versions says so already
        return None
    return str(preview["digest"])


def _bound(api: Api, environment: str) -> Any:
    """Give what an environment asks for now; None where it is still to be made."""
    try:
        return api.get(api.path("environments", environment, "policy"))
    except NotFound:
        return None


def _bind(api: Api, entry: Entry, environment: str) -> Callable[[], Made]:
    def make() -> Made:
        registered = api.post(api.path("policies"), content(entry))
        path = api.path("environments", environment, "policy")
        found = api.put(path, {"policy": registered["digest"]})
        return Made(warnings=found["warnings"])

    return make
