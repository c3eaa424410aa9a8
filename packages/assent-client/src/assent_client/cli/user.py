"""`assent user`: people and service accounts."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from assent_client.api import Api
from assent_client.cli.connection import connect
from assent_client.cli.output import Column, Columns, emit

__all__ = ["app"]

app = typer.Typer()

EVERYWHERE = "*"
Where = Annotated[str, typer.Option("--in", metavar="PROJECT", help="The project; `*` is everywhere.")]


def _roles(roles: list[dict[str, str]]) -> str:
    named = (r["role"] if r["project"] == EVERYWHERE else f"{r['role']} in {r['project']}" for r in roles)
    return ", ".join(named)


ROLES = Column("roles", show=_roles)
COLUMNS: Columns = ["name", "kind", Column("display_name", "called"), ROLES, "id"]


@app.command("list")
def list_() -> None:
    """List people and service accounts with their roles."""
    with connect() as api:
        emit(list(api.pages("/v1/accounts")), COLUMNS)


@app.command()
def get(name: str) -> None:
    """Show an account."""
    with connect() as api:
        emit(api.get(api.join("v1", "accounts", name)), COLUMNS)


@app.command()
def me() -> None:
    """Show who you are to the server, and what you may."""
    with connect() as api:
        emit(api.get("/v1/me"), [*COLUMNS, "permissions", Column("auth_at", "signed in")])


@app.command()
def add(
    name: str,
    called: Annotated[str, typer.Option("--called", metavar="NAME", help="The name that people see.")] = "",
    role: Annotated[list[str] | None, typer.Option(help="A role to begin with; may be given again.")] = None,
    within: Where = EVERYWHERE,
    *,
    service: Annotated[bool, typer.Option("--service", help="A service account, not a person.")] = False,
) -> None:
    """Add a person or service account, with roles."""
    kind = "services" if service else "people"
    with connect() as api:
        account = api.post(f"/v1/{kind}", {"name": name, "display_name": called})
        for one in role or ():
            account = _bind(api, name, one, within)
        emit(account, COLUMNS)


@app.command()
def bind(name: str, role: str, within: Where = EVERYWHERE) -> None:
    """Give an account a role, everywhere or in one project."""
    with connect() as api:
        emit(_bind(api, name, role, within), COLUMNS)


@app.command()
def unbind(name: str, role: str, within: Where = EVERYWHERE) -> None:
    """Take a role from an account."""
    with connect() as api:
        api.delete("/v1/bindings", account=name, role=role, project=within)
        emit(api.get(api.join("v1", "accounts", name)), COLUMNS)


@app.command()
def link(name: str) -> None:
    """Make a one-time sign-in link to the console for a person; it lives 15 minutes."""
    with connect() as api:
        emit(api.post(api.join("v1", "people", name, "links")), ["url"])


def _bind(api: Api, name: str, role: str, within: str) -> dict[str, Any]:
    account: dict[str, Any] = api.post("/v1/bindings", {"account": name, "role": role, "project": within})
    return account
