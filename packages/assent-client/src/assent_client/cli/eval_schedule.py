"""`assent eval schedule`: what is live is evaluated again and again."""

from __future__ import annotations

from typing import Annotated

import typer

from assent_client.cli.connection import connect
from assent_client.cli.output import Column, emit, note
from assent_client.errors import Invalid

__all__ = ["add_to", "schedule", "schedules", "unschedule"]

UNITS = {"h": 3600, "d": 86_400}
COLUMNS = [Column("suite_ref", "suite"), Column("name"), Column("environment"), Column("every_s", right=True)]

Suite = Annotated[str, typer.Argument(metavar="SUITE[@VERSION]")]
Name = Annotated[str, typer.Option(help="The model whose live version is evaluated.")]
Environment = Annotated[str, typer.Option(help="Where it is live.")]


def schedule(
    suite: Suite,
    name: Name,
    environment: Environment = "production",
    every: Annotated[str, typer.Option(help="How often: 6h, 24h, 7d.")] = "24h",
) -> None:
    """Evaluate what is live every so often, asking each case again; the verdict is evidence.

    Example: assent eval schedule quality --name support --environment production --every 24h
    """
    if not every[:-1].isdecimal() or every[-1:] not in UNITS:
        raise Invalid(f"{every!r} is no length of time.", remedy="Write 6h, 24h or 7d.")
    body = {"suite": suite, "name": name, "environment": environment}
    with connect() as api:
        emit(
            api.post(api.path("schedules"), {**body, "every_s": int(every[:-1]) * UNITS[every[-1]]}), COLUMNS
        )


def schedules() -> None:
    """List what is evaluated again and again."""
    with connect() as api:
        emit(list(api.pages(api.path("schedules"))), COLUMNS, empty="Nothing is scheduled.")


def unschedule(suite: Suite, name: Name, environment: Environment = "production") -> None:
    """Evaluate it by itself no longer."""
    with connect() as api:
        api.delete(api.path("schedules", environment, name, suite))
    note(f"{suite} is scheduled for {name} in {environment} no longer.")


def add_to(app: typer.Typer) -> None:
    """Add the commands to `assent eval`."""
    for command in (schedule, schedules, unschedule):
        app.command()(command)
