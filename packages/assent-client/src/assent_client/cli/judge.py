"""`assent judge`: calibrate automatic judges against people, read their passports."""

from __future__ import annotations

import json
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


def _labelled(case: Any) -> Any:
    return {key: case[key] for key in case if key not in TOLD} if isinstance(case, dict) else case


def _share(found: Any, without: str) -> str:
    return without if found is None else f"{_interval(found)}, n = {found['n']}"


LIST = [
    Column("id", "passport"),
    Column("name", "judge"),
    Column("subject_ref", "subject"),
    Column("state"),
    Column("figures", "youden", show=lambda figures: _interval(figures["youden"])),
    Column("issued_at", "issued"),
]
TOLD = ("question", "answer", "reference")
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
    valid_days: Annotated[int, typer.Option("--valid-days", help="The passport ends after as many.")] = 180,
) -> None:
    """Measure a judge on half of the labels, check it on the other half, record its passport.

    Exits 0 where the passport says usable, 1 where it says not usable.
    """
    # A file of `assent judge cases` holds texts for people beside what a calibration takes.
    cases = [_labelled(case) for case in read_rows(labels)]
    body = {"name": name, "judge": read(file).value, "subject": subject, "cases": cases}
    body["valid_days"] = valid_days
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


@app.command()
def cases(
    run: Annotated[str, typer.Argument(metavar="RUN")],
    metric: Annotated[str, typer.Argument(metavar="SCORER", help="The judge, by its name in the suite.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write them (JSONL).")],
) -> None:
    """Write what a judge replied about each answer of a run, for people to fill in `human` beside it."""
    with connect() as api:
        found = api.get(api.path("runs", run, "judgements"), metric=metric)
    lines = [json.dumps(one, ensure_ascii=False, sort_keys=True) for one in found]
    out.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    emit({"file": str(out), "cases": len(lines)})


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
            "self-agreement": _share(figures.get("self_agreement"), "no question was asked twice"),
            "order bias": _share(figures.get("order_bias"), "it compares no pairs"),
            "ends": figures.get("ends_at", "never"),
        }
    )
    if found["state"] == "not usable":
        note("Not usable: Youden's J may be 0.2 or less, so nothing is corrected and it may decide no gate.")
