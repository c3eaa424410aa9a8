"""Project, environments, people, service accounts, groups and keys of an assent.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from assent_client.api import Api
from assent_client.cli.apply.plan import Action, Change, Entry, Made, listed
from assent_client.cli.output import note
from assent_client.errors import NotFound

__all__ = ["accounts", "environments", "groups", "keys", "project"]


def project(api: Api, entry: Entry) -> Iterator[Change]:
    """Plan the project itself."""
    name, title = entry.fields["name"], entry.fields.get("title", "")
    try:
        have = api.get(api.path())
    except NotFound:
        body = {"name": name, "title": title}
        yield Change(Action.CREATE, "project", name, entry, make=lambda: _post(api, "/v1/projects", body))
        return
    if title and have["title"] != title:
        yield Change(Action.IMPOSSIBLE, "project", name, entry, ("title",))
    else:
        yield Change(Action.UNCHANGED, "project", name, entry)


def environments(api: Api, entries: list[Entry]) -> Iterator[Change]:
    """Plan the environments."""
    if not entries:
        return  # who may not read them can still apply a file without them
    have = {one["name"]: one for one in listed(api, api.path("environments"))}
    for entry in entries:
        name, protected = entry.fields["name"], entry.fields.get("protected", True)
        if name not in have:
            yield _create(
                api, "environment", entry, api.path("environments"), {"name": name, "protected": protected}
            )
        elif have[name]["protected"] is not protected:
            yield Change(Action.IMPOSSIBLE, "environment", name, entry, ("protected",))
        else:
            yield Change(Action.UNCHANGED, "environment", name, entry)


def accounts(api: Api, entries: list[Entry], *, kind: str) -> Iterator[Change]:
    """Plan people or service accounts and their roles in this project; roles elsewhere stay."""
    if not entries:
        return
    have = {one["name"]: one for one in api.pages("/v1/accounts")}
    for entry in entries:
        name, roles = entry.fields["name"], entry.fields.get("roles", [])
        account = have.get(name)
        held = {
            one["role"] for one in (account or {}).get("roles", []) if one["project"] in {"*", api.project}
        }
        missing = [role for role in roles if role not in held]
        if account is None:
            yield Change(Action.CREATE, kind, name, entry, make=_account(api, kind, entry, missing))
        elif account["kind"] != kind:
            yield Change(Action.IMPOSSIBLE, kind, name, entry, (f"it is a {account['kind']}",))
        elif missing:
            made = _account(api, None, entry, missing)
            yield Change(Action.UPDATE, kind, name, entry, tuple(f"+ {role}" for role in missing), made)
        else:
            yield Change(Action.UNCHANGED, kind, name, entry)


def groups(api: Api, entries: list[Entry]) -> Iterator[Change]:
    """Plan the groups; a group has exactly the members that the file names."""
    if not entries:
        return  # who may not read them can still apply a file without them
    have = {one["name"]: one for one in listed(api, api.path("groups"))}
    for entry in entries:
        name, want = entry.fields["name"], entry.fields.get("members", [])
        held = [member["name"] for member in have.get(name, {"members": []})["members"]]
        joins = [one for one in want if one not in held]
        leaves = [one for one in held if one not in want] if "members" in entry.fields else []
        differs = (*(f"+ {one}" for one in joins), *(f"- {one}" for one in leaves))
        action = Action.CREATE if name not in have else Action.UPDATE if differs else Action.UNCHANGED
        make = _group(api, name, is_new=name not in have, joins=joins, leaves=leaves)
        yield Change(action, "group", name, entry, differs, make)


def keys(api: Api, entries: list[Entry]) -> Iterator[Change]:
    """Plan the keys of applications; a key in force is kept, a new one's secret is shown once."""
    if not entries:
        return  # who may not read them can still apply a file without them
    have = {
        (one["environment"], one["name"]): one
        for one in listed(api, api.path("keys"))
        if one.get("revoked_at") is None
    }
    for entry in entries:
        name, environment = entry.fields["name"], entry.fields["environment"]
        models = entry.fields.get("models", ["*"])
        shown, held = f"{environment}/{name}", have.get((environment, name))
        if held is None:
            body = {"environment": environment, "name": name, "names": models}
            yield Change(Action.CREATE, "key", shown, entry, make=_key(api, body))
        elif sorted(held["names"]) != sorted(models):
            yield Change(Action.IMPOSSIBLE, "key", shown, entry, ("models",))
        else:
            yield Change(Action.UNCHANGED, "key", shown, entry)


def _post(api: Api, path: str, body: dict[str, Any]) -> None:
    api.post(path, body)


def _create(api: Api, kind: str, entry: Entry, path: str, body: dict[str, Any]) -> Change:
    return Change(Action.CREATE, kind, body["name"], entry, make=lambda: _post(api, path, body))


def _account(api: Api, kind: str | None, entry: Entry, roles: list[str]) -> Any:
    name = entry.fields["name"]

    def make() -> None:
        if kind is not None:
            body = {"name": name, "display_name": entry.fields.get("called", "")}
            api.post("/v1/people" if kind == "person" else "/v1/services", body)
        for role in roles:
            api.post("/v1/bindings", {"account": name, "role": role, "project": api.project})

    return make


def _group(api: Api, name: str, *, is_new: bool, joins: list[str], leaves: list[str]) -> Any:
    def make() -> None:
        if is_new:
            api.post(api.path("groups"), {"name": name})
        answers = [api.put(api.path("groups", name, "members", person)) for person in joins]
        answers += [api.delete(api.path("groups", name, "members", person)) for person in leaves]
        for change in answers:
            if isinstance(change, dict):
                note(f"{name}: a second person confirms it: assent group confirm {change['id']}")

    return make


def _key(api: Api, body: dict[str, Any]) -> Any:
    def make() -> Made:
        return Made(secret=api.post(api.path("keys"), body)["key"])

    return make
