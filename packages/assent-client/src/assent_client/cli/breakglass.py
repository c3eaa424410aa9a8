"""`assent breakglass`: releases that went out before their policy was fulfilled, and their review.

One is opened by `assent rollout start --break-glass`.
"""

from __future__ import annotations

from typing import Annotated

import typer

from assent_client.cli.connection import connect
from assent_client.cli.output import Column, emit

__all__ = ["VIEW", "app"]

app = typer.Typer(no_args_is_help=True)

Which = Annotated[str, typer.Argument(metavar="BREAKGLASS", help="Its id, bg_….")]

LIST = [
    Column("id"),
    Column("ref", "version"),
    Column("environment"),
    Column("state"),
    Column("opened_by", "opened by"),
    Column("seconded_by", "seconded by"),
    Column("finding"),
    Column("overdue", "review overdue"),
]
VIEW = [
    *LIST[:4],
    Column("request"),
    Column("reason"),
    Column("opened_by", "opened by"),
    Column("opened_at", "opened"),
    Column("second_by", "to be seconded by"),
    Column("seconded_by", "seconded by"),
    Column("ends_at", "ends"),
    Column("ended_at", "ended"),
    Column("review_by", "to be reviewed by"),
    Column("overdue", "review overdue"),
    Column("reviewed_by", "reviewed by"),
    Column("finding"),
    Column("review"),
]


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Option("--name", help="Only of this model or prompt.")] = None,
    environment: Annotated[str | None, typer.Option("--env", help="Only of this environment.")] = None,
    *,
    is_open: Annotated[bool, typer.Option("--open", help="Only those that are out now.")] = False,
    owed: Annotated[bool, typer.Option("--owed", help="Only those that nobody has reviewed.")] = False,
) -> None:
    """List uses of break-glass, newest first."""
    where = {"name": name, "environment": environment, "open": is_open or None, "owed": owed or None}
    with connect() as api:
        emit(list(api.pages(api.path("break-glass"), **where)), LIST, empty="None.")


@app.command()
def show(which: Which) -> None:
    """Show one, with its reason and its review."""
    with connect() as api:
        emit(api.get(api.path("break-glass", which)), VIEW)


@app.command()
def second(which: Which) -> None:
    """Stand by it as a second person; without one it ends within minutes."""
    with connect() as api:
        emit(api.post(api.path("break-glass", which, "seconds")), VIEW)


@app.command()
def review(
    which: Which,
    finding: Annotated[str, typer.Option("--finding", help="justified or unjustified.")],
    text: Annotated[str, typer.Option("--text", help="What happened, and what changes.")],
) -> None:
    """Look back on it, as somebody who had no part in it; until then nothing more may go out in time."""
    with connect() as api:
        body = {"finding": finding, "text": text}
        emit(api.post(api.path("break-glass", which, "reviews"), body), VIEW)
