"""`assent incident`: what went wrong, in figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.output import Column, emit, note, print_text

__all__ = ["app"]

FAILED = 1

app = typer.Typer(no_args_is_help=True)

Incident = Annotated[str, typer.Argument(metavar="INCIDENT", help="Id of an incident, inc_….")]

_COLUMNS = [
    Column("id"),
    Column("state"),
    Column("opened_at", "opened"),
    Column("environment"),
    Column("route"),
    Column("guard"),
    Column("summary"),
]
_LINES = [
    *_COLUMNS,
    Column("rollout"),
    Column("subject"),
    Column("total", "evidence"),
    Column("threshold"),
    Column("acknowledged_at", "acknowledged"),
    Column("acknowledged_by"),
    Column("resolved_at", "resolved"),
    Column("resolved_by"),
    Column("note"),
    Column("reviewed_at", "reviewed"),
    Column("reviewed_by"),
    Column("review"),
]


@app.command("list")
def list_(
    rollout: Annotated[str | None, typer.Option(help="Only those of this rollout.")] = None,
) -> None:
    """List incidents, newest first."""
    with connect() as api:
        emit(list(api.pages(api.path("incidents"), rollout=rollout)), _COLUMNS, empty="No incidents.")


@app.command()
def show(incident: Incident) -> None:
    """Show an incident: which guard failed, on what figures, and what became of it."""
    with connect() as api:
        found = api.get(api.path("incidents", incident))
    emit(found, _print_incident)


@app.command()
def acknowledge(incident: Incident) -> None:
    """Say that you are on it."""
    with connect() as api:
        emit(api.post(api.path("incidents", incident, "acknowledgements")), _LINES)


@app.command()
def resolve(
    incident: Incident,
    text: Annotated[str, typer.Option("--note", help="What ended it.")],
) -> None:
    """Say that it is over, and what ended it."""
    with connect() as api:
        emit(api.post(api.path("incidents", incident, "resolutions"), {"note": text}), _LINES)


@app.command()
def review(
    incident: Incident,
    text: Annotated[str, typer.Option("--text", help="What happened, why, and what changes.")],
) -> None:
    """Look back on a resolved incident."""
    with connect() as api:
        emit(api.post(api.path("incidents", incident, "reviews"), {"review": text}), _LINES)


@app.command()
def replay(incident: Incident) -> None:
    """Compute the verdict again from the closed blocks; exit 1 unless it comes out the same to the bit."""
    with connect() as api:
        found = api.get(api.path("incidents", incident))
        evidence = api.get(api.path("rollouts", found["rollout"], "evidence"))
    emit(evidence, _print_evidence)
    if not evidence["matches"]:
        note("The blocks do not give the recorded verdict: the database was edited after the incident.")
        raise typer.Exit(FAILED)


def _print_incident(found: Mapping[str, Any]) -> None:
    shown = {key: found.get(key) for key in (line.key for line in _LINES)}
    for key, value in shown.items():
        if value is not None:
            print_text(f"{key.replace('_', ' ')}: {value}")
    _print_guards(found["guards"])


def _print_evidence(evidence: Mapping[str, Any]) -> None:
    agrees = "as recorded, to the bit" if evidence["matches"] else "NOT as recorded"
    print_text(f"{evidence['n_blocks']} blocks of {evidence['rollout']}: {agrees}")
    print_text(f"evidence: {evidence['total']} of {evidence['threshold']}")
    if evidence["failed_at_block"] is not None:
        print_text(f"reached after block: {evidence['failed_at_block']}")
    if evidence["wrong_digests"]:
        print_text(f"blocks whose digest is wrong: {', '.join(map(str, evidence['wrong_digests']))}")
    _print_guards(evidence["guards"])


def _print_guards(guards: list[Mapping[str, Any]]) -> None:
    for guard in guards:
        arms = "; ".join(_arm(guard, arm) for arm in ("canary", "stable"))
        print_text(f"{guard['metric']}: E {float(guard['e_value']):.4g} at weight {guard['weight']}; {arms}")


def _arm(guard: Mapping[str, Any], arm: str) -> str:
    low, high = (float(bound) for bound in guard[f"{arm}_interval"])
    return f"{arm} {float(guard[f'{arm}_rate']):.3f} ({low:.3f} to {high:.3f}) of {guard[f'n_{arm}']} units"
