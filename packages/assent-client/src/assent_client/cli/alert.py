"""`assent alert`: what is watched, what fires, and who is silent for how long."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.output import Column, emit, note
from assent_client.errors import Invalid

__all__ = ["app"]

FAILED = 1

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the alert.")]

_LENGTH = re.compile(r"([0-9]{1,7})(s|m|h|d)\Z")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_COLUMNS = [
    Column("name"),
    Column("state"),
    Column("environment"),
    Column("route", "name watched"),
    Column("condition.kind", "kind"),
    Column("condition.metric", "metric"),
    Column("says"),
    Column("fired_at", "fired"),
    Column("silenced_until"),
]


@app.command("list")
def list_() -> None:
    """List the alerts of the project with where each stands; exit code 1 where one fires."""
    with connect() as api:
        found = list(api.pages(api.path("alerts")))
    emit(found, _COLUMNS, empty="Nothing is watched: assent alert set adds an alert.")
    if any(one["state"] == "firing" for one in found):
        raise typer.Exit(FAILED)


@app.command()
def show(name: Name) -> None:
    """Show an alert: its condition, the last look at it, and what was told."""
    with connect() as api:
        emit(api.get(api.path("alerts", name)))


@app.command("set")
def set_(
    name: Name,
    condition: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE…", help="The condition: kind=threshold metric=error_rate above=0.05 …"
        ),
    ],
    *,
    environment: Annotated[str, typer.Option(help="Environment that it watches.")],
    route: Annotated[str | None, typer.Option("--name", help="The name that it watches; else all.")] = None,
) -> None:
    """Add an alert, or change it. Keys whose name ends in _s take lengths of time (window_s=5m).

    Example: assent alert set errors --environment production kind=threshold metric=error_rate above=0.05

    Example: assent alert set silence-of-the-line --environment production kind=no_traffic window_s=15m
    """
    body = {"environment": environment, "route": route, "condition": dict(map(_field, condition))}
    with connect() as api:
        emit(api.put(api.path("alerts", name), body))


def _field(text: str) -> tuple[str, Any]:
    """Read one KEY=VALUE; the server says what a key means. Raises: Invalid."""
    key, equals, value = text.partition("=")
    if not equals:
        raise Invalid(f"{text!r} is no KEY=VALUE.", remedy="Write for example above=0.05.")
    if key.endswith("_s"):
        return key, int(value) if value.isdecimal() else _seconds(value)
    if value in {"true", "false"}:
        return key, value == "true"
    return key, int(value) if value.isdecimal() else value


@app.command()
def remove(name: Name) -> None:
    """Remove an alert."""
    with connect() as api:
        api.delete(api.path("alerts", name))
    note(f"{name} watches no longer.")
    emit({"name": name, "removed": True})


@app.command()
def silence(
    name: Name,
    length: Annotated[str, typer.Option("--for", help="For how long: 30m, 2h, 3d; 30 days at most.")],
    reason: Annotated[str, typer.Option(help="Why; it stays on record.")],
) -> None:
    """Have an alert tell nothing for a while; what still holds then is told then."""
    until = datetime.now(UTC) + timedelta(seconds=_seconds(length))
    with connect() as api:
        emit(api.put(api.path("alerts", name, "silence"), {"until": until.isoformat(), "reason": reason}))


@app.command()
def unsilence(name: Name) -> None:
    """End a silence before its time."""
    with connect() as api:
        emit(api.delete(api.path("alerts", name, "silence")))


def _seconds(text: str) -> int:
    found = _LENGTH.match(text)
    if not found:
        raise Invalid(f"{text!r} is no length of time.", remedy="Write 90s, 5m, 2h or 7d.")
    return int(found.group(1)) * _UNITS[found.group(2)]
