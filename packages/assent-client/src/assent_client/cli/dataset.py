"""`assent dataset`: the cases that evaluations ask."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.output import Column, cell, emit, note
from assent_client.cli.strict_yaml import read
from assent_client.errors import Invalid, Reason, TooLarge

__all__ = ["app", "glimpse", "read_rows", "split_ref"]

app = typer.Typer()

MAX_BYTES = 64_000_000
MAX_REASONS = 20


def glimpse(value: Any) -> str:
    """Give a value as one short line."""
    text = cell(value).replace("\n", " ")
    return text if len(text) <= 80 else text[:79] + "…"  # noqa: PLR2004 -- one line of a terminal


LIST = [
    Column("ref", "dataset"),
    Column("n_rows", "rows", right=True),
    Column("digest"),
    Column("registered_at", "registered"),
]
ROWS = [
    Column("id"),
    Column("input", show=glimpse),
    Column("target", show=glimpse),
    Column("cluster"),
    Column("tags"),
]  # fmt: skip

Name = Annotated[str, typer.Argument(help="Name of the dataset.")]
Version = Annotated[
    str | None, typer.Option("--version", "-v", help="Its number; without one, the next minor.")
]


@app.command()
def register(
    name: Name,
    file: Annotated[Path, typer.Argument(help="Rows: .jsonl, .json, .csv or .yaml.")],
    version: Version = None,
) -> None:
    """Register rows as a version; the same rows again give the version that exists."""
    body = {"name": name, "rows": read_rows(file)} | ({"version": version} if version else {})
    with connect() as api:
        found = api.post(api.path("datasets"), body)
    note("Registered." if found["created"] else "These rows are registered already.")
    emit(found, LIST)


@app.command("list")
def list_(name: Annotated[str | None, typer.Option("--name", help="Only of this name.")] = None) -> None:
    """List dataset versions, newest first."""
    with connect() as api:
        emit(list(api.pages(api.path("datasets"), name=name)), LIST, empty="No datasets.")


@app.command()
def show(
    dataset: Annotated[str, typer.Argument(metavar="NAME[@VERSION]")],
    rows: Annotated[int, typer.Option("--rows", min=0, help="How many rows to show.")] = 10,
) -> None:
    """Show a dataset version and its first rows."""
    name, version = split_ref(dataset)
    with connect() as api:
        found = api.get(api.path("datasets", name, version))
        page = (
            api.get(api.path("datasets", name, found["version"], "rows"), limit=min(rows, 200))
            if rows
            else None
        )
    emit({**found, **({"rows": page["items"]} if page else {})}, _print_dataset)


def _print_dataset(found: Any) -> None:
    emit({key: value for key, value in found.items() if key != "rows"})
    if found.get("rows"):
        emit(found["rows"], ROWS)


def split_ref(ref: str) -> tuple[str, str]:
    """Split `name@1.2.0`; a name alone means its latest version."""
    name, at, version = ref.partition("@")
    if not name or (at and not version):
        raise Invalid(f"{ref!r} names nothing.", remedy="Write NAME or NAME@VERSION, as in support@1.2.0.")
    return name, version or "latest"


def read_rows(path: Path) -> list[Any]:
    """Read rows from a file. Raises: Invalid, with the line of each mistake; TooLarge."""
    kind = path.suffix.lower()
    if kind in {".yaml", ".yml"}:
        value = read(path).value
        return _listed(value, path)
    text = _text(path)
    if kind == ".jsonl":
        return _json_lines(text, path)
    if kind == ".json":
        return _listed(_json(text, f"{path}"), path)
    if kind == ".csv":
        return _csv(text, path)
    raise Invalid(f"{path} is of no kind that is read here.", remedy="Give .jsonl, .json, .csv or .yaml.")


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise TooLarge(f"{path} is larger than {MAX_BYTES:,} bytes.", remedy="Split the dataset.")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.", remedy="Check the path.") from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}.") from error


def _listed(value: Any, path: Path) -> list[Any]:
    rows = value.get("rows") if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise Invalid(f"{path} holds no list of rows.", remedy="Write a list, or a mapping with `rows`.")
    return rows


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{where}: this is not JSON: {error}.") from error


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _json_lines(text: str, path: Path) -> list[Any]:
    rows, mistakes = [], list[Reason]()
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(_json(line, f"{path}:{number}"))
        except Invalid as error:
            mistakes.append(Reason(f"line {number}", error.message))
            if len(mistakes) >= MAX_REASONS:
                break
    if mistakes:
        raise Invalid(f"{path} has lines that are not JSON.", reasons=mistakes)
    return rows


def _csv(text: str, path: Path) -> list[Any]:
    """Read a table; columns beyond the known ones become metadata, tags are split at semicolons."""
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    if "input" not in (reader.fieldnames or ()):
        raise Invalid(f"{path}:1: there is no column `input`.", remedy="Name the columns in the first line.")
    rows = []
    try:
        for line in reader:
            if None in line or None in line.values():
                raise Invalid(
                    f"{path}:{reader.line_num}: this line has another number of columns than the first."
                )
            rows.append(_csv_row(line))
    except csv.Error as error:
        raise Invalid(f"{path}:{reader.line_num}: {error}.") from error
    return rows


def _csv_row(line: dict[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {key: line[key] for key in ("id", "input", "target", "cluster") if line.get(key)}
    row["tags"] = [tag.strip() for tag in line.get("tags", "").split(";") if tag.strip()]
    row["metadata"] = {
        key: value for key, value in line.items() if key not in {"id", "input", "target", "cluster", "tags"}
    }
    return row
