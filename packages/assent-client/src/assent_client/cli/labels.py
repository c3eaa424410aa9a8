"""`assent model label` and `assent prompt label`: names that point to versions, and their history."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from assent_client.cli.connection import connect
from assent_client.cli.dataset import split_ref
from assent_client.cli.output import Column, emit, note
from assent_client.errors import Invalid

__all__ = ["label_app"]

LIST = [
    Column("label"),
    Column("version"),
    Column("generation", right=True),
    Column("protected"),
    Column("moved_at", "moved"),
    Column("digest"),
]
VIEW = [Column("label"), Column("ref", "version"), *LIST[2:5], Column("moved_by"), Column("digest")]
HISTORY = [
    Column("generation", right=True),
    Column("from"),
    Column("to"),
    Column("moved_at", "moved"),
    Column("moved_by", "by"),
    Column("rolled_back"),
    Column("reason"),
]
Name = Annotated[str, typer.Argument(metavar="NAME")]
Label = Annotated[str, typer.Argument(metavar="LABEL", help="For example champion.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Why; it is kept on record.")]
Seen = Annotated[
    int | None,
    typer.Option("--generation", min=0, help="Move it only if it is at this generation; 0: only if new."),
]


def label_app(kind: str) -> typer.Typer:
    """Make the commands for the labels of models or of prompts."""
    app = typer.Typer(help=f"Labels of {kind}s: what they point to, and what they pointed to.")
    place = f"{kind}s"
    _reading(app, place)
    _moving(app, place)
    return app


def _reading(app: typer.Typer, place: str) -> None:
    @app.command("list")
    def list_(name: Name) -> None:
        """List the labels of a name.

        Example: assent model label list support-assistant
        """
        with connect() as api:
            emit(list(api.pages(api.path(place, name, "labels"))), LIST, empty="No labels.")

    @app.command()
    def show(name: Name, label: Label) -> None:
        """Show where a label points.

        Example: assent model label show support-assistant production
        """
        with connect() as api:
            emit(api.get(api.path(place, name, "labels", label)), VIEW)

    @app.command()
    def history(name: Name, label: Label) -> None:
        """List every move of a label, newest first.

        Example: assent model label history support-assistant production
        """
        with connect() as api:
            emit(list(api.pages(api.path(place, name, "labels", label, "history"))), HISTORY)

    @app.command()
    def at(
        name: Name,
        label: Label,
        time: Annotated[str, typer.Argument(metavar="TIME", help="2026-03-03, or 2026-03-03T12:00Z.")],
    ) -> None:
        """Say what a label pointed to at a time; a date alone means the end of that day, in UTC.

        Example: assent model label at support-assistant production 2026-03-03
        """
        with connect() as api:
            found = api.get(api.path(place, name, "labels", label, "at"), time=_time(time))
        emit(found, [Column("label"), Column("ref", "version"), *HISTORY[3:], Column("digest")])


def _moving(app: typer.Typer, place: str) -> None:
    @app.command()
    def move(
        version: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="Where it is to point.")],
        label: Label,
        reason: Reason = None,
        generation: Seen = None,
    ) -> None:
        """Let a label point to a version; the label of a protected environment moves by rollouts only.

        Example: assent model label move support-assistant@2.1.0 champion --reason "best on our cases"
        """
        name, number = split_ref(version)
        if "@" not in version:
            raise Invalid(f"{version!r} names no version.", remedy="Write NAME@VERSION.")
        body = {"version": number, "reason": reason}
        with connect() as api:
            path = api.path(place, name, "labels", label)
            emit(api.put(path, body, if_match=_match(generation)), VIEW)

    @app.command()
    def rollback(name: Name, label: Label, reason: Reason = None, generation: Seen = None) -> None:
        """Let a label point to the version before.

        Example: assent model label rollback support-assistant champion --reason "wrong tone"
        """
        with connect() as api:
            path = api.path(place, name, "labels", label, "rollbacks")
            emit(api.post(path, {"reason": reason}, if_match=_match(generation)), VIEW)

    @app.command()
    def remove(name: Name, label: Label, reason: Reason = None, generation: Seen = None) -> None:
        """Take a label away; its history stays.

        Example: assent model label remove support-assistant champion
        """
        with connect() as api:
            api.delete(api.path(place, name, "labels", label), if_match=_match(generation), reason=reason)
        note("Taken away.")


def _match(generation: int | None) -> str | None:
    return None if generation is None else str(generation)


def _time(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid(
            f"{text!r} is no time.", remedy="Write 2026-03-03, or 2026-03-03T12:00:00+01:00."
        ) from error
    return f"{text}T23:59:59.999999Z" if len(text) == len("2026-03-03") else text
