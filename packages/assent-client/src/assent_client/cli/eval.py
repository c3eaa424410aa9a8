"""`assent eval`: run suites, read verdicts, compute them again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assent_client.cli import eval_estimate, eval_import, eval_report, eval_schedule
from assent_client.cli.connection import connect
from assent_client.cli.dataset import glimpse
from assent_client.cli.output import Column, cell, emit, note, progress
from assent_client.errors import Conflict, Unavailable

if TYPE_CHECKING:
    from assent_client.api import Api

__all__ = ["app"]

app = typer.Typer()
eval_estimate.add_to(app)
eval_import.add_to(app)
eval_report.add_to(app)
eval_schedule.add_to(app)

EXIT_CODES = {"pass": 0, "fail": 1, "inconclusive": 3}
LOOK_EVERY_S = 0.5
LIST = [
    Column("id", "run"),
    Column("suite_ref", "suite"),
    Column("subject_ref", "subject"),
    Column("baseline_ref", "baseline"),
    Column("state"),
    Column("verdict"),
    Column("submitted_at", "submitted"),
]
CASES = [
    Column("id", "case"),
    Column("side"),
    Column("outcome"),
    Column("scores", show=lambda scores: ", ".join(f"{k} {cell(v)}" for k, v in (scores or {}).items())),
    Column("answer", show=glimpse),
    Column("error", show=glimpse),
]  # fmt: skip

Which = Annotated[str, typer.Argument(metavar="RUN")]


@app.command()
def run(
    suite: Annotated[str, typer.Argument(metavar="SUITE[@VERSION]")],
    subject: Annotated[
        str, typer.Option("--subject", "-s", metavar="NAME@VERSION", help="What is evaluated.")
    ],
    environment: Annotated[
        str, typer.Option("--env", help="Whose live version a gate against `live` compares with.")
    ] = "production",
    *,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ask every case again; use no earlier answer.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Stay until there is a verdict.")] = True,
    through: Annotated[
        str | None, typer.Option("--through", metavar="MODEL@VERSION", help="What answers for a prompt.")
    ] = None,
) -> None:
    """Run a suite on a version; exits 0 pass, 1 fail, 3 inconclusive."""
    body = {"suite": suite, "subject": subject, "environment": environment, "fresh": fresh}
    body |= {"through": through} if through else {}
    with connect() as api:
        found = api.post(api.path("runs"), body)
        if not wait:
            emit(found, LIST)
            return
        _end(_follow(api, found["id"]))


@app.command()
def watch(run_id: Which) -> None:
    """Follow a run to its verdict; exits 0 pass, 1 fail, 3 inconclusive."""
    with connect() as api:
        _end(_follow(api, run_id))


@app.command("list")
def list_(
    subject: Annotated[str | None, typer.Option("--subject", "-s", help="NAME@VERSION or digest.")] = None,
    suite: Annotated[str | None, typer.Option("--suite", help="NAME@VERSION or digest.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="submitted, closed or cancelled.")] = None,
    verdict: Annotated[str | None, typer.Option("--verdict", help="pass, fail or inconclusive.")] = None,
) -> None:
    """List runs, newest first."""
    with connect() as api:
        found = api.pages(api.path("runs"), subject=subject, suite=suite, state=state, verdict=verdict)
        emit(list(found), LIST, empty="No runs.")


@app.command()
def show(run_id: Which) -> None:
    """Show a run: its verdict with every figure, or how far it is."""
    with connect() as api:
        emit(api.get(api.path("runs", run_id)), _print_run)


@app.command()
def cases(
    run_id: Which,
    outcome: Annotated[
        str | None, typer.Option("--outcome", help="scored, refused, unscorable or error.")
    ] = None,
    side: Annotated[str | None, typer.Option("--side", help="candidate or baseline.")] = None,
    flip: Annotated[str | None, typer.Option("--flip", help="gained or lost: what changed.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="How many at most.")] = 50,
) -> None:
    """List the cases of a closed run."""
    with connect() as api:
        found = api.get(api.path("runs", run_id, "cases"), outcome=outcome, side=side, flip=flip, limit=limit)
    emit(found, CASES, empty="No such cases.")
    if found["next"]:
        note("There are more; raise --limit.")


@app.command()
def verify(run_id: Which) -> None:
    """Compute every published number again from the journal; exits 1 where one differs."""
    with connect() as api:
        found = api.get(api.path("runs", run_id, "verification"))
    emit(found, _print_checks)
    raise typer.Exit(0 if found["ok"] else 1)


@app.command()
def resume(
    run_id: Which,
    *,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Stay until there is a verdict.")] = True,
) -> None:
    """Let a run that stopped go on where it was; what was answered is not asked again."""
    with connect() as api:
        found = api.post(api.path("runs", run_id, "resumptions"))
        if not wait:
            emit(found, LIST)
            return
        _end(_follow(api, run_id))


@app.command()
def cancel(run_id: Which) -> None:
    """Give a run up; it will say nothing."""
    with connect() as api:
        emit(api.post(api.path("runs", run_id, "cancellations")), LIST)


def _follow(api: Api, run_id: str) -> Any:
    """Wait for the end, showing how far it is. Raises: Unavailable (stopped), Conflict (cancelled)."""
    found = api.get(api.path("runs", run_id))
    total = (found["progress"] or {}).get("n_planned") or None
    with progress(f"{found['suite_ref']} on {found['subject_ref']}", total) as tell:
        while found["state"] == "submitted":
            _tell(tell, found["progress"])
            _check(found)
            time.sleep(LOOK_EVERY_S)
            found = api.get(api.path("runs", run_id))
    if found["state"] == "cancelled":
        raise Conflict(f"The run {run_id} was cancelled.", remedy="Submit a new one.")
    return found


def _tell(tell: Callable[[float], None], step: Any) -> None:
    if step and step["n_planned"]:
        tell(step["n_done"])


def _check(found: Any) -> None:
    step = found["progress"] or {}
    if step.get("state") == "stopped":
        done = f"{step['n_done']} of {step['n_planned']} cases"
        raise Unavailable(
            f"The run {found['id']} stopped after {done}: {step['note']}",
            remedy=f"Put that right, then: assent eval resume {found['id']}",
        )


def _end(found: Any) -> None:
    emit(found, _print_run)
    raise typer.Exit(EXIT_CODES[found["verdict"]])


def _print_run(found: Any) -> None:
    emit({column.heading(): column.text(found) for column in LIST})
    result, step = found.get("result"), found.get("progress")
    if result is None:
        if step:
            emit(
                {
                    "progress": f"{step['n_done']} of {step['n_planned']}",
                    "now": step["state"],
                    "note": step["note"] or None,
                }
            )
        return
    emit(_verdict_lines(found, result))
    emit(result["usage"], eval_estimate.USAGE)
    emit(
        result["levels"],
        [
            "metric",
            "side",
            Column("value", right=True),
            Column("low", right=True),
            Column("high", right=True),
            Column("n", right=True),
            Column("coverage", right=True),
            Column("worst", "if missing: 0", right=True),
            Column("best", "if missing: 1", right=True),
        ],
    )
    eval_report.print_more(result)
    if any(of["error"] for of in result["outcomes"].values()):
        note(f"What went wrong: assent eval cases {found['id']} --outcome error")


def _verdict_lines(found: Any, result: Any) -> dict[str, Any]:
    lines = {
        "metric": f"{found['figures']['metric']} ({found['figures']['rule'].replace('_', ' ')})",
        "estimate": f"{cell(result['estimate'])} [{cell(result['low'])}, {cell(result['high'])}]",
        "method": f"{result['method']}, n = {result['n']}, coverage {result['coverage']}",
        "exact McNemar p": result["p_value"],
        "cases": "; ".join(f"{side} {_counts(of)}" for side, of in result["outcomes"].items()),
        "flips": f"{len(result['gained'])} gained, {len(result['lost'])} lost",
        "why": "; ".join(result["reasons"]) or None,
        "more cases would decide": result["more_samples"],
        "digest": result["digest"],
    }
    return {name: value for name, value in lines.items() if value is not None}


def _counts(outcomes: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in outcomes.items() if n) or "none"


def _print_checks(found: Any) -> None:
    wrong = [check for check in found["checks"] if not check["ok"]]
    note(f"{len(found['checks']) - len(wrong)} of {len(found['checks'])} published numbers came out again.")
    emit(wrong, ["id", "published", "computed"], empty="Everything agrees.")
