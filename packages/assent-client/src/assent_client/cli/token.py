"""`assent token`: tokens of people and service accounts."""

from __future__ import annotations

from typing import Annotated

import typer

from assent_client.cli.connection import connect
from assent_client.cli.output import Column, Columns, emit, note

__all__ = ["app"]

app = typer.Typer()

COLUMNS: Columns = [
    "id",
    "name",
    "scopes",
    Column("used_at", "last used"),
    Column("expires_at", "expires"),
    Column("revoked_at", "revoked"),
]


@app.command("list")
def list_() -> None:
    """List your own tokens, without their secrets."""
    with connect() as api:
        emit(list(api.pages("/v1/tokens")), COLUMNS, empty="You have no tokens.")


@app.command()
def issue(
    name: str,
    owner: Annotated[str | None, typer.Option("--for", metavar="SERVICE", help="A service account.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="A permission; else all of the owner's.")] = None,
    days: Annotated[float, typer.Option(min=0.001, max=366, help="How long it lives.")] = 30,
) -> None:
    """Issue a token, for yourself or a service account; its secret is shown once."""
    body = {"name": name, "owner": owner, "scopes": scope or None, "days": days}
    with connect() as api:
        emit(api.post("/v1/tokens", body), ["token", Column("expires_at", "expires")])
    note("Keep it now: it is not shown again.")


@app.command()
def revoke(token: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Revoke a token of yours; an administrator may revoke any."""
    with connect() as api:
        api.delete(api.join("v1", "tokens", token))
    emit({"id": token, "revoked": True})


@app.command()
def permissions() -> None:
    """List the permissions that you hold: what a scope may name."""
    with connect() as api:
        emit(api.get("/v1/me")["permissions"])
