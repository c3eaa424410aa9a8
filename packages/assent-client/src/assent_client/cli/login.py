"""`assent login`: save the address and token that later commands use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from assent_client.cli.connection import DEFAULT_URL, OPTIONS, connect, load_login, save_login
from assent_client.cli.output import ask_secret, emit, note
from assent_client.errors import Forbidden, Invalid, NotFound

if TYPE_CHECKING:
    from assent_client.api import Api

__all__ = ["app"]

app = typer.Typer()


@app.command()
def login(
    address: Annotated[
        str | None,
        typer.Argument(metavar="URL", help=f"The server; else the link's, else {DEFAULT_URL}."),
    ] = None,
    link: Annotated[
        str | None,
        typer.Option(help="Sign in by this one-time link or its code: it gives a token of 12 hours."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Sign in by your password and your authenticator's code: a token of 12 hours."),
    ] = None,
) -> None:
    """Save the address, the token and the project (--project) that later commands use.

    Without --link and --name the token is asked for, or read from standard input.

    Votes ask for a sign-in not older than ten minutes: sign in by a link or by --name just before.
    With --name, password and code are asked for; from a pipe they are the first and second line.
    Where you belong to one project only, later commands speak of it; else say --project.

    Example: assent login http://desk:8400 --name ada
    Example: assent login --link http://desk:8400/sign-in/CODE
    """
    OPTIONS.url = OPTIONS.url or address or _server_of(link or "") or DEFAULT_URL
    if link is not None and name is not None:
        raise Invalid("Sign in by a link or by a name, not by both.", remedy="Leave one out.")
    if link is not None:
        with connect() as api:
            OPTIONS.token = api.post("/v1/sign-ins", {"code": link.rstrip("/").rpartition("/")[2]})["token"]
    if name is not None:
        body = {"name": name, "password": ask_secret("Password"), "code": ask_secret("Code")}
        with connect() as api:
            OPTIONS.token = api.post("/v1/sign-ins/password", body)["token"]
    OPTIONS.token = OPTIONS.token or os.environ.get("ASSENT_TOKEN") or ask_secret("Token")
    with connect() as api:
        api.get("/healthz")
        url = api.url
        project = OPTIONS.project or _project(api)
    path = save_login(url, OPTIONS.token, project)
    emit({"url": url, "project": project, "saved": str(path)})


def _project(api: Api) -> str | None:
    """Give the project that later commands speak of: the one chosen before, else the caller's only one."""
    saved = load_login()
    if saved.get("project") and saved.get("url") == api.url:
        return saved["project"]
    try:
        mine = [one["name"] for one in api.pages("/v1/projects")]
    except (Forbidden, NotFound):  # a token of few permissions may not ask; its commands name a project
        return None
    if len(mine) > 1:
        note(f"Name one of your projects with --project or ASSENT_PROJECT: {', '.join(mine)}.")
    return mine[0] if len(mine) == 1 else None


def _server_of(link: str) -> str:
    """Give the address of the server that a link leads to; nothing for a bare code."""
    server, found, _ = link.rpartition("/sign-in/")
    return server if found and server.startswith(("http://", "https://")) else ""
