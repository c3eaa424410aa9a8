"""`assent group`: whose votes count for what."""

from __future__ import annotations

from typing import Any

import typer

from assent_client.api import Api
from assent_client.cli.connection import connect
from assent_client.cli.output import Column, Columns, emit
from assent_client.errors import NotFound

__all__ = ["app"]

app = typer.Typer()


def _names(members: list[dict[str, Any]]) -> str:
    return ", ".join(member["name"] for member in members)


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
    """Put a person into a group; requests filed before do not count their vote."""
    with connect() as api:
        api.put(api.path("groups", name, "members", person))
        emit(_get(api, name), COLUMNS)


@app.command()
def remove(name: str, person: str) -> None:
    """Take a person out of a group."""
    with connect() as api:
        api.delete(api.path("groups", name, "members", person))
        emit(_get(api, name), COLUMNS)


def _get(api: Api, name: str) -> Any:
    for group in api.pages(api.path("groups")):
        if group["name"] == name:
            return group
    raise NotFound(f"There is no group {name!r} in {api.project}.", remedy="`assent group list` lists them.")
