"""`assent label`: people sort answers of a run into labels, blind; what they say feeds a judge's passport."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from assent_client.cli.connection import OPTIONS, connect
from assent_client.cli.dataset import read_rows
from assent_client.cli.output import Column, emit, note, print_text
from assent_client.errors import Invalid

__all__ = ["app"]

app = typer.Typer()
LIST = [
    Column("id", "labelling"),
    Column("run"),
    Column("question"),
    Column("labels", show=", ".join),
    Column("n_answers", "answers", right=True),
    Column("opened_at", "opened"),
]
PAIRS = [
    Column("first"),
    Column("second"),
    Column("n", "both labelled", right=True),
    Column("n_agreed", "agreed", right=True),
    Column("kappa", right=True),
    Column("low", right=True),
    Column("high", right=True),
]
Which = Annotated[str, typer.Argument(metavar="LABELLING")]
Side = Annotated[str, typer.Option("--side", help="candidate or baseline: whose answers.")]


@app.command("open")
def open_(
    run: Annotated[str, typer.Argument(metavar="RUN")],
    *,
    question: Annotated[str, typer.Option("--question", "-q", help="What people decide of each answer.")],
    labels: Annotated[list[str], typer.Option("--label", "-l", help="One of the labels; give 2 to 9.")],
    n: Annotated[int, typer.Option("--n", help="How many answers.")] = 200,
) -> None:
    """Ask people to label answers of a closed run.

    Example: assent label open RUN -q "Is this a refusal?" -l refusal -l answer
    """
    with connect() as api:
        emit(
            api.post(api.path("labellings"), {"run": run, "question": question, "labels": labels, "n": n}),
            LIST,
        )


@app.command("list")
def list_() -> None:
    """List labellings, newest first."""
    with connect() as api:
        emit(list(api.pages(api.path("labellings"))), LIST, empty="No labellings.")


@app.command("next")
def next_(labelling: Which) -> None:
    """Show the next answer that you have not labelled; neither whose it is nor what others said."""
    with connect() as api:
        emit(api.get(api.path("labellings", labelling, "next")), _print_next)


@app.command()
def give(
    labelling: Which,
    answer: Annotated[str, typer.Argument(metavar="ANSWER", help="Its key, as `next` shows it.")],
    label: Annotated[str, typer.Argument(metavar="LABEL")],
) -> None:
    """Label an answer and show the next one; a later label takes the place of an earlier."""
    with connect() as api:
        path = api.path("labellings", labelling, "labels")
        emit(api.post(path, {"answer": answer, "label": label}), _print_next)


@app.command()
def undo(labelling: Which) -> None:
    """Take your newest label back; its answer comes again."""
    with connect() as api:
        emit(api.post(api.path("labellings", labelling, "withdrawals")), _print_next)


@app.command()
def agreement(labelling: Which) -> None:
    """Show how far each two people agree: Cohen's kappa with its 95 % interval."""
    with connect() as api:
        found = api.get(api.path("labellings", labelling, "agreement"))
    emit(found, lambda said: emit(said["pairs"], PAIRS, empty="No two people labelled the same answer yet."))


@app.command()
def export(
    labelling: Which,
    *,
    replies: Annotated[
        Path | None, typer.Option("--replies", help="The judge's: a line {id, reply} for each answer.")
    ] = None,
    side: Side = "candidate",
) -> None:
    """Write what most people say as JSONL: with --replies the cases that `assent judge calibrate` takes.

    Where people are split evenly an answer is left out.
    """
    with connect() as api:
        if replies is None:
            found = api.get(api.path("labellings", labelling, "labels"), side=side)["items"]
        else:
            body = {"replies": _replies(replies), "side": side}
            found = api.post(api.path("labellings", labelling, "passport-cases"), body)["items"]
    agreed = [one for one in found if one["human"] is not None]
    if OPTIONS.json:
        emit(agreed)
        return
    for one in agreed:
        print_text(json.dumps(one, ensure_ascii=False))
    note(f"{len(agreed)} answers; {len(found) - len(agreed)} left out, on which people are split.")


def _replies(path: Path) -> dict[str, str]:
    rows = read_rows(path)
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("id", "reply")):
            raise Invalid(f"{path}: line {number} is no {{id, reply}}.", remedy="Write one object a line.")
    return {row["id"]: row["reply"] for row in rows}


def _print_next(at: Any) -> None:
    note(f"{at['n_done']} of {at['n_answers']} labelled.")
    if at["answer"] is None:
        emit({"labelling": at["labelling"], "left": "nothing"})
        return
    asked = at["input"] if isinstance(at["input"], str) else json.dumps(at["input"], ensure_ascii=False)
    emit(
        {
            "question": at["question"],
            "labels": ", ".join(at["labels"]),
            "asked": asked,
            "answered": at["text"],
            "answer": at["answer"],
        }
    )
