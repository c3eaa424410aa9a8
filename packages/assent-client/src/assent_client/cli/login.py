"""`assent login`: save the address and token that later commands use."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from assent_client.cli.connection import DEFAULT_URL, OPTIONS, connect, save_login
from assent_client.cli.output import emit

__all__ = ["app"]

app = typer.Typer()


@app.command()
def login(address: Annotated[str, typer.Argument(metavar="URL", help="The server.")] = DEFAULT_URL) -> None:
    """Save the address and token that later commands use; standard input or you give the token."""
    OPTIONS.url = OPTIONS.url or address
    OPTIONS.token = OPTIONS.token or os.environ.get("ASSENT_TOKEN") or _ask()
    with connect() as api:
        api.get("/healthz")
        url = api.url
    path = save_login(url, OPTIONS.token, OPTIONS.project)
    emit({"url": url, "saved": str(path)})


def _ask() -> str:
    if sys.stdin.isatty():
        token: str = typer.prompt("Token", hide_input=True)
        return token.strip()
    return sys.stdin.readline().strip()
