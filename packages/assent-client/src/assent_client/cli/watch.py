"""`assent watch`: whether what is live has become worse than it was when it was accepted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.output import Column, emit

__all__ = ["app"]

FAILED = 1

app = typer.Typer(no_args_is_help=True)

Watch = Annotated[str, typer.Argument(help="Id of the watch: wch_….")]


def _share(value: float) -> str:
    return f"{100 * value:.2f} %"


def _rate(figures: Mapping[str, Any]) -> str:
    if figures["rate"] is None:
        return "-"
    low, high = figures["interval"]["low"], figures["interval"]["high"]
    return f"{100 * figures['rate']:.2f} % [{100 * low:.2f}, {100 * high:.2f}]"


_NONE = (
    "Nothing is watched: assent alert set worse kind=regression; "
    "the watch begins when the worker looks next, within about ten seconds."
)
_WATCHES = [
    Column("watch"),
    Column("ref", "version"),
    Column("state"),
    Column("environment"),
    Column("started_at", "since"),
    Column("ended_at", "until"),
    Column("evidence_days", "evidence, days", right=True, show=lambda days: f"{days:.3g}"),
    Column("arl_days", "alarm at", right=True),
    Column("regressions", "found", right=True, show=lambda found: str(len(found))),
]
_METRICS = [
    Column("metric"),
    Column("reference", "when accepted", right=True, show=_rate),
    Column("limit", "allowed", right=True, show=_share),
    Column("live", "since it is live", right=True, show=_rate),
    Column("live.n", "units", right=True),
    Column("evidence_days", "evidence, days", right=True, show=lambda days: f"{days:.3g}"),
]
_FOUND = ["regression", "found_at", "says"]


@app.command("list")
def list_() -> None:
    """List the watches over live versions, newest first; alerts of the kind `regression` begin them.

    Example: assent alert set worse --environment production kind=regression && assent watch list
    """
    with connect() as api:
        found = list(api.pages(api.path("watches")))
    emit(found, _WATCHES, empty=_NONE)


@app.command()
def show(watch: Watch) -> None:
    """Show a watch: each metric beside its reference, 95 % intervals in brackets, and what was found."""
    with connect() as api:
        found = api.get(api.path("watches", watch))
    emit(found, _print)


def _print(found: Mapping[str, Any]) -> None:
    emit(found["metrics"], _METRICS)
    emit(found["regressions"], _FOUND, empty="Nothing has become worse.")


@app.command()
def replay(watch: Watch) -> None:
    """Compute what a watch says again from its blocks; exit code 1 where the ledger says otherwise."""
    with connect() as api:
        found = api.get(api.path("watches", watch, "evidence"))
    emit(found)
    if not found["matches"]:
        raise typer.Exit(FAILED)
