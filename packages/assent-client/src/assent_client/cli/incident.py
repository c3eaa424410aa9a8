"""`assent incident`: what went wrong, in figures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.output import Column, emit, note, print_text
from assent_client.errors import Conflict, Invalid

__all__ = ["app"]

FAILED = 1
_ACTION = re.compile(r"([^:]{1,200}):\s*(\S.*?)(?: by (\d{4}-\d\d-\d\d))?\Z")

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
    Column("title"),
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
    Column("mitigated_at", "mitigated"),
    Column("severity"),
    Column("alert"),
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


@app.command("open")
def open_(
    title: Annotated[str, typer.Option(help="What is wrong, in a line.")],
    environment: Annotated[str, typer.Option(help="Where.")],
    *,
    severity: Annotated[str, typer.Option(help="low, high or critical.")] = "high",
    name: Annotated[str | None, typer.Option(help="The model, prompt or flag that it is about.")] = None,
    rollout: Annotated[str | None, typer.Option(help="The rollout that it is about.")] = None,
    alert: Annotated[str | None, typer.Option(help="The alert that told of it.")] = None,
) -> None:
    """Open an incident by hand.

    Example: assent incident open --environment production --name support --title "wrong language"
    """
    body = {
        "title": title, "environment": environment, "severity": severity,
        "name": name, "rollout": rollout, "alert": alert,
    }  # fmt: skip
    with connect() as api:
        emit(api.post(api.path("incidents"), body), _LINES)


@app.command("note")
def take_note(
    incident: Incident, text: Annotated[str, typer.Option("--text", help="What you see or do.")]
) -> None:
    """Write down what is seen or done; it stands in the timeline."""
    with connect() as api:
        emit(api.post(api.path("incidents", incident, "notes"), {"note": text}), _LINES)


@app.command()
def mitigate(incident: Incident) -> None:
    """Say that users are harmed no longer, whatever is left to mend."""
    with connect() as api:
        emit(api.post(api.path("incidents", incident, "mitigations")), _LINES)


@app.command()
def timeline(incident: Incident) -> None:
    """Show what the ledger holds of an incident, oldest first."""
    with connect() as api:
        found = api.get(api.path("incidents", incident, "timeline"))
    emit(found, ["at", Column("leaf", right=True), "type", Column("actor_name", "actor"), "text"])


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
    text: Annotated[str, typer.Option("--text", help="What happened, and what changes.")],
    cause: Annotated[list[str] | None, typer.Option(help="A cause; may be repeated.")] = None,
    action: Annotated[
        list[str] | None, typer.Option(help="OWNER: WHAT, or OWNER: WHAT by 2026-12-01; may be repeated.")
    ] = None,
) -> None:
    """Look back on a resolved incident: what happened, causes, actions with owners."""
    body = {"review": text, "causes": cause or [], "actions": [_action(one) for one in action or []]}
    with connect() as api:
        emit(api.post(api.path("incidents", incident, "reviews"), body), _LINES)


def _action(text: str) -> dict[str, str]:
    found = _ACTION.match(text)
    if not found:
        raise Invalid(f"{text!r} names no owner.", remedy='Write --action "ada: add such cases".')
    owner, what, due = found.groups()
    return {"owner": owner.strip(), "what": what.strip(), **({"due": due} if due else {})}


@app.command()
def replay(incident: Incident) -> None:
    """Compute the verdict again from the closed blocks; exit 1 unless it comes out the same to the bit."""
    with connect() as api:
        found = api.get(api.path("incidents", incident))
        if found["guard"] is None:
            raise Conflict(f"{incident} was opened by a person: there is no verdict to compute again.")
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
    _print_clock(found["clock"])
    for cause in found["causes"]:
        print_text(f"cause: {cause}")
    for action in found["actions"]:
        due = f", by {action['due']}" if action["due"] else ""
        print_text(f"action: {action['what']} ({action['owner']}{due})")
    _print_guards(found["guards"])


def _print_clock(clock: Mapping[str, Any]) -> None:
    words = {"to_acknowledge_s": "acknowledged", "to_mitigate_s": "mitigated", "to_resolve_s": "resolved"}
    parts = [f"{word} after {clock[key]:.0f} s" for key, word in words.items() if clock[key] is not None]
    print_text(f"clock: open for {clock['open_s']:.0f} s" + "".join(f", {part}" for part in parts))


def _print_evidence(evidence: Mapping[str, Any]) -> None:
    agrees = "as recorded, to the bit" if evidence["matches"] else "NOT as recorded"
    n = evidence["n_blocks"]
    print_text(f"{n} {'block' if n == 1 else 'blocks'} of {evidence['rollout']}: {agrees}")
    print_text(f"evidence: {evidence['total']} of {evidence['threshold']}")
    if evidence["failed_at_block"] is not None:
        numbers = [one["block"] for one in evidence["blocks"]]
        print_text(f"reached after block: {numbers.index(evidence['failed_at_block']) + 1} of {n}")
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
