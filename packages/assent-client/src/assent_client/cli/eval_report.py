"""`assent eval report` and `compare`: what a run found, and two runs beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.output import Column, emit, note
from assent_client.errors import Invalid

__all__ = ["add_to", "print_more"]

SLICES = [
    Column("name", "tag"),
    Column("value", right=True),
    Column("low", right=True),
    Column("high", right=True),
    Column("n", right=True),
    Column("adjusted", "p (Holm)", right=True),
]
JUDGES = [
    Column("metric"),
    Column("model", "judge"),
    Column("state", "may decide"),
    Column("judged", right=True),
    Column("corrected", show=lambda found: found if isinstance(found, str) else _interval(found)),
    Column("self_agreement", show=lambda found: _interval(found) if found else "not measured"),
    Column("order_bias", show=lambda found: _interval(found) if found else "not measured"),
    Column("warnings", show="; ".join),
]
CATEGORIES = [
    Column("name", "category"),
    Column("field", "by"),
    Column("at_1", "hits at the first attempt", show=lambda found: found["says"]),
    Column("attempts", right=True),
    Column("at_k", "hits at any attempt", show=lambda found: found["says"]),
]
GAPS = [
    Column("name", "group or pair"),
    Column("value", "estimate or difference", right=True),
    Column("low", right=True),
    Column("high", right=True),
    Column("n", "clusters", right=True),
    Column("adjusted", "p (Holm)", right=True),
]
METRICS = [
    Column("name", "metric"),
    Column("value", "difference", right=True),
    Column("low", right=True),
    Column("high", right=True),
    Column("n", right=True),
    Column("gained", right=True),
    Column("lost", right=True),
    Column("adjusted", "p (Holm)", right=True),
]
Which = Annotated[str, typer.Argument(metavar="RUN")]


def _interval(found: Any) -> str:
    """Write an estimate with its interval."""
    return f"{found['value']} [{found['low']}, {found['high']}]"


def print_more(result: Any) -> None:
    """Print what a result says beside its gate: judges, categories."""
    for name, columns in (("judges", JUDGES), ("categories", CATEGORIES)):
        if result.get(name):
            emit(result[name], columns)
    for gap in result.get("gaps", ()):
        note(f"Groups: {gap['metric']}")
        emit([*gap["groups"], *gap["pairs"]], GAPS)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("report")(_report)
    app.command("compare")(_compare)


def _report(
    run_id: Which,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write it as one page that needs nothing else.")
    ] = None,
) -> None:
    """Show what a closed run found: verdict, slices by tag, flips."""
    with connect() as api:
        if html is not None:
            page = api.read(api.path("runs", run_id, "report.html"))
            try:
                html.write_bytes(page)
            except OSError as error:
                raise Invalid(f"{html} cannot be written: {error.strerror}.") from error
            note(f"Written to {html}.")
            return
        emit(api.get(api.path("runs", run_id, "report")), _print_report)


def _compare(
    first: Annotated[str, typer.Argument(metavar="RUN")],
    second: Annotated[str, typer.Argument(metavar="RUN")],
) -> None:
    """Compare two closed runs on the samples that both asked: second minus first."""
    with connect() as api:
        found = api.get(api.path("runs", first, "comparison"), other=second)
    emit(found, _print_comparison)


def _print_report(found: Any) -> None:
    result = found["result"]
    emit(
        {
            "run": found["run"],
            "suite": found["suite"],
            "subject": found["subject"],
            "verdict": result["verdict"],
            "estimate": f"{result['estimate']} [{result['low']}, {result['high']}], n = {result['n']}",
            "flips": f"{found['n_gained']} gained, {found['n_lost']} lost",
        }
    )
    print_more(result)
    if found["slices"]:
        emit(found["slices"], SLICES)
    if found["flips"]:
        emit(found["flips"], ["flip", "id", "tags"])


def _print_comparison(found: Any) -> None:
    for place in ("first", "second"):
        one = found[place]
        emit({place: f"{one['run']}: {one['suite']} on {one['subject']}, {one['verdict']}"})
    emit(found["metrics"], METRICS)
    note(
        f"{found['n_shared']} samples in both, {found['n_only_first']} only in the first, "
        f"{found['n_only_second']} only in the second."
    )
