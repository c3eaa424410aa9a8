"""`assent group`: whose votes count for what."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from assent_client.api import Api
from assent_client.cli.connection import connect
from assent_client.cli.output import Column, Columns, emit, note
from assent_client.errors import NotFound

__all__ = ["app"]

app = typer.Typer()


def _names(members: list[dict[str, Any]]) -> str:
    return ", ".join(member["name"] for member in members)


CHANGES: Columns = ["id", "verb", "person", "group", "state", "asked_by", Column("expires_at", "expires")]
COLUMNS: Columns = ["name", Column("members", show=_names)]


@app.command("list")
def list_() -> None:
    """List the groups of the project with their members."""
    with connect() as api:
        emit(list(api.pages(api.path("groups"))), COLUMNS, empty="The project has no groups.")


@app.command()
def get(name: str) -> None:
    """Show a group."""
    with connect() as api:
        emit(_get(api, name), COLUMNS)


@app.command()
def create(name: str) -> None:
    """Create a group."""
    with connect() as api:
        emit(api.post(api.path("groups"), {"name": name}), COLUMNS)


@app.command()
def add(name: str, person: str) -> None:
    """Put a person into a group; requests filed before do not count their vote.

    Where a policy names the group, a second person must confirm.
    """
    with connect() as api:
        _done_or_asked(api, name, api.put(api.path("groups", name, "members", person)))


@app.command()
def remove(name: str, person: str) -> None:
    """Take a person out of a group; where a policy names it, a second person must confirm."""
    with connect() as api:
        _done_or_asked(api, name, api.delete(api.path("groups", name, "members", person)))


@app.command()
def changes() -> None:
    """List the changes of groups that wait for a second person."""
    with connect() as api:
        emit(list(api.pages(api.path("group-changes"))), CHANGES, empty="No change waits.")


@app.command()
def confirm(change: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Confirm, as a second person, a change of a group that a policy names.

    Example: assent group confirm chg_019a
    """
    with connect() as api:
        emit(api.post(api.path("group-changes", change, "confirmation")), CHANGES)


@app.command()
def withdraw(change: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Withdraw a change that waits for a second person."""
    with connect() as api:
        emit(api.post(api.path("group-changes", change, "withdrawal")), CHANGES)


def _done_or_asked(api: Api, name: str, change: Any) -> None:
    """Show the group as it is now, or the change that waits for a second person."""
    if isinstance(change, dict):
        emit(change, CHANGES)
        note(f"A policy names {name}; another person confirms: assent group confirm {change['id']}")
    else:
        emit(_get(api, name), COLUMNS)


def _get(api: Api, name: str) -> Any:
    for group in api.pages(api.path("groups")):
        if group["name"] == name:
            return group
    raise NotFound(f"There is no group {name!r} in {api.project}.", remedy="`assent group list` lists them.")
