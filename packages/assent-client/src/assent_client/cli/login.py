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
def login(
    address: Annotated[str, typer.Argument(metavar="URL", help="The server.")] = DEFAULT_URL,
    link: Annotated[
        str | None,
        typer.Option(help="Sign in by this one-time link or its code: it gives a token of 12 hours."),
    ] = None,
) -> None:
    """Save the address and token that later commands use; standard input or you give the token.

    Votes ask for a sign-in not older than ten minutes: sign in by a link just before.

    Example: assent login http://desk:8400 --link http://desk:8400/sign-in/CODE
    """
    OPTIONS.url = OPTIONS.url or address
    if link is not None:
        with connect() as api:
            OPTIONS.token = api.post("/v1/sign-ins", {"code": link.rstrip("/").rpartition("/")[2]})["token"]
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
