"""`assent env`: what each environment serves, and the switch that turns a name off."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.flag_forms import read_file
from assent_client.cli.flag_look import in_batches, print_preview
from assent_client.cli.output import Column, cell, emit, note
from assent_client.cli.rollout import confirm

__all__ = ["app"]

app = typer.Typer()

ROUTES = [
    Column("name"),
    Column("stable_ref", "version"),
    Column("canary_ref", "canary"),
    Column("share", right=True, show=lambda share: f"{share:.6g}"),
    Column("enabled", "on"),
    Column("rollout"),
    Column("changed_at", "changed"),
    Column("generation", right=True),
]
ROUTE = [
    Column("name"),
    Column("kind"),
    Column("stable_ref", "version"),
    Column("canary_ref", "canary"),
    Column("share", show=lambda share: f"{share:.6g}"),
    Column("unit"),
    Column("rollout"),
    Column("enabled", "on"),
    Column("cut"),
    Column("generation"),
]
GATEWAYS = [Column("replica"), Column("epoch"), Column("serial"), Column("acknowledged_at", "acknowledged")]
DRILLS = [
    Column("id"),
    Column("name"),
    Column("drilled_at", "drilled"),
    Column("slowest_ms", "slowest replica (ms)", right=True),
    Column("silent"),
]
DRILL_PATIENCE_S = 40.0
DRILL_LOOK_S = 0.25

Environment = Annotated[str, typer.Argument(metavar="ENVIRONMENT")]
Name = Annotated[str, typer.Argument(help="Name of the model or prompt.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept on record.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("list")
def list_() -> None:
    """List the environments of the project."""
    with connect() as api:
        emit(list(api.pages(api.path("environments"))), ["name", "protected"], empty="No environments.")


@app.command()
def create(
    environment: Environment,
    *,
    protected: Annotated[bool, typer.Option(help="Reach it through a policy only.")] = True,
) -> None:
    """Create an environment."""
    with connect() as api:
        emit(api.post(api.path("environments"), {"name": environment, "protected": protected}))


@app.command()
def show(environment: Environment) -> None:
    """Show what an environment serves, and which snapshot its gateways run on."""
    with connect() as api:
        emit(api.get(api.path("environments", environment, "live")), _print_live)


@app.command()
def adopt(
    environment: Environment,
    version: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="The version that is live already.")],
    reason: Reason,
    unit: Annotated[str, typer.Option(help="What sticks: user, conversation or organisation.")] = "user",
    *,
    yes: Yes = False,
) -> None:
    """Take over a version that was live before; without a review, so only where nothing is routed yet."""
    confirm(f"Let {environment} serve {version} without a review?", yes=yes)
    body = {"subject": version, "reason": reason, "unit": unit}
    with connect() as api:
        emit(api.post(api.path("environments", environment, "adoptions"), body), ROUTE)


@app.command()
def preview(
    environment: Environment,
    name: Name,
    contexts: Annotated[
        Path, typer.Argument(metavar="FILE", help="Contexts: JSON lines, or CSV with a header.")
    ],
    *,
    lines: Annotated[bool, typer.Option("--lines", help="Show every line, not counts only.")] = False,
) -> None:
    """Say who would get which version of what is live, for a file of contexts.

    Example: assent env preview production customer-support-assistant users.csv --lines
    """
    with connect() as api:
        path = api.path("environments", environment, "routes", name)
        given = read_file(contexts, api.get(path)["unit"])
        found = in_batches(api, f"{path}/previews", given, None)
    emit(found, lambda shown: print_preview(shown, lines=lines))


@app.command()
def kill(
    environment: Environment,
    name: Name,
    reason: Reason,
    *,
    cut: Annotated[bool, typer.Option("--cut", help="End calls that are under way, too.")] = False,
    yes: Yes = False,
) -> None:
    """Switch a name off at once: it answers nobody, and a rollout on it is taken back.

    Calls under way end as they began; with --cut gateways break them off: callers see no whole answer.

    Example: assent env kill production assistant --reason "it leaks addresses" --cut
    """
    also = ", and break off its calls under way" if cut else ""
    confirm(f"Switch {name} off in {environment} for everybody{also}?", yes=yes)
    _switch("kills", environment, name, reason, **({"cut": True} if cut else {}))


@app.command()
def restore(environment: Environment, name: Name, reason: Reason) -> None:
    """Let a name answer again, with its stable version."""
    _switch("restorations", environment, name, reason)


@app.command()
def drill(
    environment: Environment,
    name: Name,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; it is kept on record.")] = None,
) -> None:
    """Measure how long a rollback would take to reach every replica; what is served stays as it is.

    Exits 0 when every replica answered, 1 when one was silent.
    """
    with connect() as api:
        route = api.get(api.path("environments", environment, "routes", name))
        path = api.path("environments", environment, "routes", name, "drills")
        found = api.post(path, {"reason": reason}, if_match=str(route["generation"]))
        until = time.monotonic() + DRILL_PATIENCE_S
        while found["measured_at"] is None and time.monotonic() < until:
            time.sleep(DRILL_LOOK_S)
            found = api.get(api.path("environments", environment, "drills", found["id"]))
    emit(found, _print_drill)
    raise typer.Exit(1 if found["silent"] or found["measured_at"] is None else 0)


@app.command()
def drills(
    environment: Environment,
    name: Annotated[str | None, typer.Option("--name", help="Only of this model or prompt.")] = None,
) -> None:
    """List the newest drills: when, of what, and the slowest replica."""
    with connect() as api:
        found = list(api.pages(api.path("environments", environment, "drills"), name=name))
        emit(found, DRILLS, empty="No drills.")


@app.command()
def snapshot(
    environment: Environment,
    audience: Annotated[str, typer.Option(help="sdk or gateway.")] = "sdk",
    out: Annotated[Path | None, typer.Option("--out", help="File to write; standard output without.")] = None,
) -> None:
    """Fetch the signed snapshot that gateways and SDKs run on."""
    with connect() as api:
        envelope = api.read(api.path("environments", environment, "snapshot"), audience=audience)
    if out is None:
        sys.stdout.write(envelope.decode() + "\n")
        return
    out.write_bytes(envelope)
    note(f"Written to {out} ({len(envelope):,} bytes).")


def _switch(action: str, environment: str, name: str, reason: str, **more: bool) -> None:
    with connect() as api:
        route = api.get(api.path("environments", environment, "routes", name))
        path = api.path("environments", environment, "routes", name, action)
        emit(api.post(path, {"reason": reason, **more}, if_match=str(route["generation"])), ROUTE)


def _print_drill(found: Any) -> None:
    if found["measured_at"] is None:
        note("The figures are not there yet: is a worker running? `assent env drills` shows them later.")
        return
    rows = [{"replica": name, "ms": ms} for name, ms in found["replicas"]]
    emit(rows, [Column("replica"), Column("ms", "served it after (ms)", right=True)])
    for name in found["silent"]:
        note(f"{name} did not serve it in time.")


def _print_live(live: Any) -> None:
    protected = "protected" if live["protected"] else "open"
    emit(
        live["routes"],
        ROUTES,
        title=f"{cell(live['environment'])} ({protected})",
        empty="It serves nothing yet.",
    )
    if live["gateways"]:
        emit(live["gateways"], GATEWAYS, title="Gateways")
