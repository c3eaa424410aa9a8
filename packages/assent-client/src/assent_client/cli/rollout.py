"""`assent rollout`: file a release with its plan, start it, watch it, end it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.output import Column, cell, emit, note
from assent_client.cli.strict_yaml import read
from assent_client.cli.verdict import print_slices, print_verdict
from assent_client.errors import Invalid, NotFound

if TYPE_CHECKING:
    from assent_client.api import Api

__all__ = ["app", "confirm", "file_release"]

app = typer.Typer()

LOOK_EVERY_S = 1.0
EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 3}
ENDS = {"promoted": 0, "concluded": 0, "aborted": 1, "rolled_back": 1}


def _share(value: Any) -> str:
    return cell(value) if value is None else f"{value:.6g}"


def _step(value: Any) -> str:
    """Count from 1; none has begun in a rollout that waits."""
    return cell(None) if value < 0 else str(value + 1)


LIST = [
    Column("id"),
    Column("ref", "version"),
    Column("environment"),
    Column("strategy"),
    Column("state"),
    Column("share", right=True, show=_share),
    Column("planned_at", "filed"),
]
VIEW = [
    *LIST[:5],
    Column("because"),
    Column("step", show=_step),
    Column("n_steps", "steps"),
    Column("share", show=_share),
    Column("stable_ref", "goes back to"),
    Column("request"),
    Column("winner"),
    Column("guard"),
    Column("e_value"),
    Column("started_at", "started"),
    Column("ended_at", "ended"),
    Column("reason"),
    Column("generation"),
]

Which = Annotated[str, typer.Argument(metavar="ROLLOUT", help="Its id, or name@version for the newest one.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Why; it is kept on record.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("request")
def request_release(
    version: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="What is to go out.")],
    environment: Annotated[str, typer.Argument(help="Where to.")],
    plan: Annotated[Path, typer.Option("--plan", help="File with the rollout plan (YAML or JSON).")],
    reason: Reason = None,
) -> None:
    """File a rollout with its plan, and with it the request for approval."""
    with connect() as api:
        emit(file_release(api, version, environment, plan, reason), VIEW)


@app.command("plan")
def check(plan: Annotated[Path, typer.Argument(help="File with the rollout plan (YAML or JSON).")]) -> None:
    """Check a plan file: every fault at once, and which harm each step could find."""
    with connect() as api:
        found = api.post(api.path("plan-checks"), {"plan": _plan(plan)})
    emit(found, _print_check)
    raise typer.Exit({True: 0, False: 1}.get(found["detectability"]["ok"], 3))


@app.command("list")
def list_(
    environment: Annotated[str | None, typer.Option("--env", help="Only of this environment.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Only of this model or prompt.")] = None,
    state: Annotated[list[str] | None, typer.Option("--state", help="Only in this state; repeat it.")] = None,
) -> None:
    """List rollouts, newest first."""
    with connect() as api:
        found = api.pages(api.path("rollouts"), environment=environment, name=name, state=state)
        emit(list(found), LIST, empty="No rollouts.")


@app.command()
def show(rollout: Which) -> None:
    """Show a rollout."""
    with connect() as api:
        emit(_find(api, rollout), VIEW)


@app.command()
def verdict(rollout: Which) -> None:
    """Show the verdict on the step that runs; exits 0 pass, 1 fail, 3 inconclusive."""
    with connect() as api:
        found = api.get(api.path("rollouts", _find(api, rollout)["id"], "verdict"))
    emit(found, print_verdict)
    raise typer.Exit(EXIT_CODES[found["verdict"]])


@app.command()
def slices(rollout: Which) -> None:
    """Show an A/B test by application and language; exploratory, a slice decides nothing.

    Example: assent rollout slices customer-support-assistant@2.2.0 --json
    """
    with connect() as api:
        emit(api.get(api.path("rollouts", _find(api, rollout)["id"], "slices")), print_slices)


@app.command()
def start(
    rollout: Which,
    reason: Reason = None,
    *,
    break_glass: Annotated[
        bool, typer.Option("--break-glass", help="Before its policy is fulfilled; leaves a debt of review.")
    ] = False,
    incident: Annotated[
        str | None, typer.Option("--incident", help="With --break-glass: where the emergency is kept.")
    ] = None,
    hours: Annotated[
        float, typer.Option("--hours", help="With --break-glass: for how long, at most 24.")
    ] = 4.0,
    yes: Yes = False,
) -> None:
    """Start it; a refusal lists every reason.

    In an emergency: assent rollout start ROLLOUT --break-glass --incident INC-7 --reason "refunds are wrong".
    It needs a second person within 15 minutes (assent breakglass second) and is taken back at its end.
    """
    if not break_glass:
        if incident is not None:
            raise Invalid("--incident goes with --break-glass.")
        _act("starts", rollout, reason)
        return
    if not reason or not incident:
        raise Invalid("--break-glass needs --reason and --incident.", remedy="Say why, and where it is kept.")
    confirm(f"Start {rollout} before its policy is fulfilled? It must be reviewed afterwards.", yes=yes)
    _act("emergency-starts", rollout, reason, incident=incident, hours=hours)


@app.command()
def pause(rollout: Which, reason: Reason = None) -> None:
    """Let the ramp stand still; the share stays."""
    _act("pauses", rollout, reason)


@app.command()
def resume(rollout: Which, reason: Reason = None) -> None:
    """Let the ramp go on."""
    _act("resumptions", rollout, reason)


@app.command()
def promote(rollout: Which, reason: Reason = None) -> None:
    """Go on to the next step, or, at the last, make the version the stable one."""
    _act("promotions", rollout, reason)


@app.command()
def conclude(
    rollout: Which,
    winner: Annotated[str, typer.Option(help="canary, stable, or none: what you read from the figures.")],
    plan: Annotated[
        Path | None, typer.Option("--plan", help="With --winner canary: file its release by this plan too.")
    ] = None,
    reason: Reason = None,
) -> None:
    """End an A/B test with what you read from it; the stable version serves everybody again.

    A winner goes out by a release of its own: assent rollout conclude RO --winner canary --plan canary.yaml
    """
    more: dict[str, Any] = {"winner": winner}
    if plan is not None:
        more["plan"] = _plan(plan)
    with connect() as api:
        found = _find(api, rollout)
        path = api.path("rollouts", found["id"], "conclusions")
        done = api.post(path, {"reason": reason, **more}, if_match=str(found["generation"]))
    emit(done, VIEW)
    if "release" in done:
        note(f"Filed: {done['release']['id']}, request {done['release']['request']}.")


@app.command()
def abort(rollout: Which, reason: Reason = None, *, yes: Yes = False) -> None:
    """End it and give its traffic back; it cannot be started again."""
    confirm(f"End the rollout {rollout} for good?", yes=yes)
    _act("aborts", rollout, reason)


@app.command()
def rollback(rollout: Which, reason: Reason = None, *, yes: Yes = False) -> None:
    """Go back to what was served before it; after a promotion too."""
    confirm(f"Take {rollout} back for good?", yes=yes)
    _act("rollbacks", rollout, reason)


@app.command()
def watch(rollout: Which) -> None:
    """Follow a rollout until it ends; exits 0 when promoted, 1 when aborted or rolled back."""
    seen = None
    with connect() as api:
        which = _find(api, rollout)["id"]
        while True:
            found = api.get(api.path("rollouts", which))
            now = (found["state"], found["step"], found["because"])
            if now != seen:
                seen = now
                note(_line(found))
            if found["state"] in ENDS:
                emit(found, VIEW)
                raise typer.Exit(ENDS[found["state"]])
            time.sleep(LOOK_EVERY_S)


def confirm(question: str, *, yes: bool) -> None:
    """Ask a person before what cannot be undone; without a person to ask, --yes must say it.

    Raises: Invalid.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise Invalid("This cannot be undone and nobody is here to ask.", remedy="Add --yes.")
    typer.confirm(question, abort=True, err=True)


def file_release(api: Api, version: str, environment: str, plan: Path, reason: str | None) -> Any:
    """File a rollout with its plan; gives the rollout, which names the request for its approval."""
    body = {"subject": version, "environment": environment, "plan": _plan(plan), "reason": reason}
    return api.post(api.path("rollouts"), body)


def _act(action: str, rollout: str, reason: str | None, **more: Any) -> None:
    with connect() as api:
        found = _find(api, rollout)
        path = api.path("rollouts", found["id"], action)
        emit(api.post(path, {"reason": reason, **more}, if_match=str(found["generation"])), VIEW)


def _find(api: Api, rollout: str) -> Any:
    name, at, _ = rollout.partition("@")
    if not at:
        return api.get(api.path("rollouts", rollout))
    for found in api.pages(api.path("rollouts"), name=name):
        if found["ref"] == rollout:
            return found
    raise NotFound(f"There is no rollout of {rollout}.", remedy="`assent rollout list` shows them.")


def _plan(path: Path) -> Any:
    value = read(path).value
    # A file may hold the plan itself, or name it `plan` or `rollout` as assent.yaml does.
    for key in ("plan", "rollout"):
        if isinstance(value, dict) and set(value) == {key}:
            return value[key]
    return value


def _line(found: Any) -> str:
    state = found["state"].replace("_", " ")
    because = f" ({found['because']})" if found["because"] else ""
    step = f"step {found['step'] + 1} of {found['n_steps']}, share {found['share']:g}"
    return f"{found['ref']}: {state}{because}, {step}"


def _print_check(found: Any) -> None:
    detectability = found["detectability"]
    needed, rate = detectability["units_needed"], detectability["units_per_s"]
    if needed is None:
        told = "All traffic moves by one switch." if found["plan"].get("strategy") else "All moves at once."
        note(f"The plan compares nothing. {told}")
        return
    detect = found["plan"]["detect"]
    harm = f"{detect['metric']} {detect['from']:g} → {detect['to']:g}"
    note(f"To find {harm} takes {needed} canary units on average.")
    note(f"Traffic: {'unknown; give expected_units_per_s' if rate is None else f'{rate:g} units/s'}.")
    columns = [
        Column("step", show=lambda step: str(step + 1)),
        Column("share", right=True, show=_share),
        Column("units", "units seen by its end", right=True),
        Column("reaches", "finds it"),
        Column("expected_s", "mean seconds", right=True),
    ]
    emit(detectability["steps"], columns)
