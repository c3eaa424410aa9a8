"""`assent judge`: calibrate automatic judges against people, read their passports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.dataset import read_rows
from assent_client.cli.output import Column, emit, note
from assent_client.cli.strict_yaml import read

__all__ = ["app"]

app = typer.Typer()


def _interval(estimate: Any) -> str:
    if estimate is None:
        return "nothing corrected"
    value, low, high = (float(estimate[key]) for key in ("value", "low", "high"))
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


LIST = [
    Column("id", "passport"),
    Column("name", "judge"),
    Column("subject_ref", "subject"),
    Column("state"),
    Column("figures", "youden", show=lambda figures: _interval(figures["youden"])),
    Column("issued_at", "issued"),
]
Name = Annotated[str, typer.Argument(metavar="JUDGE", help="Its name.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="Model, prompt, parameters, parser (YAML).")]
Subject = Annotated[
    str, typer.Option("--subject", "-s", metavar="NAME@VERSION", help="Whose answers it judged.")
]


@app.command()
def calibrate(
    name: Name,
    file: File,
    subject: Subject,
    labels: Annotated[
        Path, typer.Option("--labels", help="Cases: id, human (the label of people), reply (the judge's).")
    ],
) -> None:
    """Measure a judge on half of the labels, check it on the other half, record its passport.

    Exits 0 where the passport says usable, 1 where it says not usable.
    """
    body = {"name": name, "judge": read(file).value, "subject": subject, "cases": read_rows(labels)}
    with connect() as api:
        found = api.post(api.path("judge-passports"), body)
    emit(found, _print)
    raise typer.Exit(0 if found["state"] == "usable" else 1)


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Option("--name", help="Only of this judge.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", "-s", help="NAME@VERSION or digest.")] = None,
) -> None:
    """List passports, newest first."""
    with connect() as api:
        found = api.pages(api.path("judge-passports"), name=name, subject=subject)
        emit(list(found), LIST, empty="No passports.")


@app.command()
def show(passport: Annotated[str, typer.Argument(metavar="PASSPORT")]) -> None:
    """Show a passport: how it stands, and every figure with its interval."""
    with connect() as api:
        emit(api.get(api.path("judge-passports", passport)), _print)


@app.command()
def check(name: Name, file: File, subject: Subject) -> None:
    """See whether this very judge may decide on a version; refused with the reason where it may not."""
    body = {"name": name, "judge": read(file).value, "subject": subject}
    with connect() as api:
        emit(api.post(api.path("judge-checks"), body), _print)


def _print(found: Any) -> None:
    figures, checked = found["figures"], found["figures"]["checked"]
    emit({key: found[key] for key in ("id", "name", "state", "subject_ref", "judge", "n_labels")})
    emit({key: _interval(figures[key]) for key in ("sensitivity", "specificity", "youden", "kappa")})
    emit(
        {
            "other half: people": f"{float(checked['human']):.3f}",
            "other half: judge": f"{float(checked['judged']):.3f}",
            "other half: corrected": _interval(checked["corrected"]),
            "off-format replies": figures["table"]["unscorable"] + checked["table"]["unscorable"],
        }
    )
    if found["state"] == "not usable":
        note("Not usable: Youden's J may be 0.2 or less, so nothing is corrected and it may decide no gate.")
