"""`assent project`: what is governed together."""

from __future__ import annotations

from typing import Annotated

import typer

from assent_client.cli.connection import connect
from assent_client.cli.connection import project as chosen
from assent_client.cli.output import Column, Columns, emit

__all__ = ["app"]

app = typer.Typer()

COLUMNS: Columns = ["name", "title", Column("created_at", "created")]


@app.command("list")
def list_() -> None:
    """List the projects in which you hold a role."""
    with connect() as api:
        emit(list(api.pages("/v1/projects")), COLUMNS, empty="You hold no role in a project.")


@app.command()
def get(name: Annotated[str | None, typer.Argument(help="The project; else the one in use.")] = None) -> None:
    """Show a project."""
    with connect() as api:
        emit(api.get(api.within(name or chosen())))


@app.command()
def create(name: str, title: Annotated[str, typer.Option(help="What people call it.")] = "") -> None:
    """Create a project."""
    with connect() as api:
        emit(api.post("/v1/projects", {"name": name, "title": title}))
