"""The end of a model version: `assent model deprecate`, `undeprecate`, `waive`, `retire`, `dependents`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.dataset import split_ref
from assent_client.cli.output import Column, emit, print_text
from assent_client.cli.rollout import confirm

__all__ = ["add_to", "dependents", "deprecate", "deprecations", "retire", "undeprecate", "waive"]

Ref = Annotated[str, typer.Argument(metavar="NAME@VERSION")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; kept beside the ledger.")]
Day = Annotated[datetime, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], metavar="DATE")]

DEPRECATIONS = [
    Column("ref", "version"),
    Column("state"),
    Column("successor"),
    Column("deprecated_at", "deprecated"),
    Column("sunset_at", "sunset"),
    Column("reason"),
]


def add_to(app: typer.Typer) -> None:
    """Add these commands to `assent model`."""
    for command in (deprecate, undeprecate, waive, retire, dependents, deprecations):
        app.command()(command)


def deprecate(
    ref: Ref,
    sunset: Day,
    reason: Reason,
    successor: Annotated[
        str | None, typer.Option(metavar="NAME@VERSION", help="What to use instead.")
    ] = None,
    *,
    no_brownouts: Annotated[
        bool, typer.Option("--no-brownouts", help="Refuse nothing before the sunset.")
    ] = False,
) -> None:
    """Announce that a version ends: its answers say so at once, and after the date it is refused.

    Example: assent model deprecate support@2.0.0 --successor support@2.1.0 --sunset 2027-01-31 -r "worse"

    Two short brown-outs show who still calls it: 14 days before for 5 minutes, 3 days before for 30.
    """
    body: dict[str, Any] = {"sunset_at": _utc(sunset), "reason": reason, "successor": successor}
    _post(ref, "deprecations", {**body, "brownouts": [] if no_brownouts else None})


def undeprecate(ref: Ref, reason: Reason) -> None:
    """Take a deprecation back, before its sunset."""
    _post(ref, "reinstatements", {"reason": reason})


def waive(
    ref: Ref,
    kind: Annotated[str, typer.Option(help="moves_later, accepts_outage or unreachable.")],
    until: Day,
    reason: Reason,
) -> None:
    """Let a version retire although somebody depends on it; not by who deprecated it."""
    _post(ref, "waivers", {"kind": kind, "expires_at": _utc(until), "reason": reason})


def retire(
    ref: Ref, reason: Reason, *, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> None:
    """End a version for good, after its sunset; refused while somebody depends on it."""
    confirm(f"Retire {ref}? It does not come back.", yes=yes)
    _post(ref, "retirements", {"reason": reason})


def dependents(ref: Ref) -> None:
    """Say who depends on a version: what is built from it, what serves it, who calls it, by day."""
    with connect() as api:
        found = api.get(api.path("models", *split_ref(ref), "dependents"))
    emit(found, _print_dependents)


def deprecations() -> None:
    """List what is deprecated, by sunset."""
    with connect() as api:
        emit(list(api.pages(api.path("deprecations"))), DEPRECATIONS, empty="Nothing is deprecated.")


def _post(ref: str, noun: str, body: Mapping[str, Any]) -> None:
    with connect() as api:
        emit(api.post(api.path("models", *split_ref(ref), noun), body), DEPRECATIONS)


def _utc(day: datetime) -> str:
    return day.replace(tzinfo=UTC).isoformat()


def _print_dependents(found: Mapping[str, Any]) -> None:
    for title, refs in (("Built from it", found["declared"]), ("Serving it", found["serving"])):
        print_text(f"{title}: {', '.join(refs) or 'nothing'}")
    for row in found["calls"]:
        who = f"{row['name']} ({row['application']})" if row.get("name") else row["application"]
        n = row["n_calls"]
        print_text(f"{row['day']}  {who}  {n} {'call' if n == 1 else 'calls'}")
    if not found["calls"]:
        print_text("Calling it lately: nobody")
