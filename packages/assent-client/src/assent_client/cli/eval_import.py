"""`assent eval import`: results that other tools measured, as evidence."""

from __future__ import annotations

import io
import re
import zipfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.output import Column, emit, note
from assent_client.errors import Invalid, TooLarge

__all__ = ["add_to"]

MAX_BYTES = 64_000_000
_STAMP = re.compile(r"_(\d{4}-\d\d-\d\dT[\d.-]+)\.json\Z")
FIGURES = [
    Column("task"),
    Column("metric"),
    Column("value", right=True),
    Column("low", right=True),
    Column("high", right=True),
    Column("n", right=True),
    Column("coverage", right=True),
]
LIST = [
    Column("id", "import"),
    Column("suite"),
    Column("subject_ref", "subject"),
    Column("tool"),
    Column("n_rows", "rows", right=True),
    Column("complete"),
    Column("imported_at", "imported"),
]


class _Format(StrEnum):
    """Who wrote the file."""

    INSPECT = "inspect"
    LM_EVAL = "lm-eval"
    PROMPTFOO = "promptfoo"
    DEEPEVAL = "deepeval"
    JUNIT = "junit"
    JSONL = "jsonl"


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("import")(_import)
    app.command("imports")(_imports)
    app.command("verify-import")(_verify_import)


def _import(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="For lm-eval: results and samples.")],
    format_: Annotated[_Format, typer.Option("--format", "-f", help="The tool that wrote it.")],
    subject: Annotated[
        str | None, typer.Option("--subject", "-s", metavar="NAME@VERSION", help="What was measured.")
    ] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="NAME", help="What the measurement is called.")
    ] = None,
) -> None:
    """Take a result over as evidence, its figures computed anew; without --subject only check it.

    A file whose totals contradict its rows is refused with both numbers.
    """
    name, content = _content(files, format_)
    with connect() as api:
        found = api.post(
            api.path("imports"), content, format=format_.value, name=name, subject=subject, suite=suite
        )
    emit(found, _print)


def _imports(
    subject: Annotated[str | None, typer.Option("--subject", "-s", help="NAME@VERSION or digest.")] = None,
    suite: Annotated[str | None, typer.Option("--suite", help="Name of the measurement.")] = None,
) -> None:
    """List imported results, newest first."""
    with connect() as api:
        emit(list(api.pages(api.path("imports"), subject=subject, suite=suite)), LIST, empty="No imports.")


def _verify_import(import_id: Annotated[str, typer.Argument(metavar="IMPORT")]) -> None:
    """Compute an import's figures again from the rows that were kept; exits 1 where one differs."""
    with connect() as api:
        found = api.get(api.path("imports", import_id, "verification"))
    wrong = [check for check in found["checks"] if not check["ok"]]
    note(f"{len(found['checks']) - len(wrong)} of {len(found['checks'])} figures came out again.")
    emit(wrong, ["id", "published", "computed"], empty="Everything agrees.")
    raise typer.Exit(0 if found["ok"] else 1)


def _print(found: Any) -> None:
    lines = {
        "tool": found["tool"],
        "importer": found["importer"],
        "rows": found["n_rows"],
        "totals proven": found["n_totals"],
        "complete": {True: "yes", False: "no", None: "the file does not say"}[found["complete"]],
        "not taken over": ", ".join(found["unchecked"]) or None,
        "notes": "; ".join(found["notes"]) or None,
        "import": found["id"],
    }
    emit({name: value for name, value in lines.items() if value is not None})
    emit(found["figures"], FIGURES)
    if found["id"] is None:
        note("Checked; nothing was recorded. With --subject and --suite it becomes evidence.")


def _content(files: list[Path], format_: _Format) -> tuple[str, bytes]:
    """Read the file, or pack those of one lm-eval run together."""
    if format_ is _Format.LM_EVAL and files[0].suffix != ".zip":
        return _packed(_lm_eval_files(files))
    if len(files) != 1:
        raise Invalid("Give one file.", remedy="Only lm-eval writes several that belong together.")
    return files[0].name, _read(files[0])


def _lm_eval_files(files: list[Path]) -> list[Path]:
    """Find the samples beside a results file that was given alone; by its time stamp where it has one."""
    if len(files) > 1 or files[0].suffix != ".json":
        return files
    stamp = _STAMP.search(files[0].name)
    beside = sorted(files[0].parent.glob(f"*samples_*{stamp[1] if stamp else ''}.jsonl"))
    return [*files, *beside]


def _packed(files: list[Path]) -> tuple[str, bytes]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.writestr(zipfile.ZipInfo(path.name), _read(path), zipfile.ZIP_DEFLATED)
    return f"{files[0].stem}.zip", packed.getvalue()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.", remedy="Check the path.") from error
    if len(content) > MAX_BYTES:
        raise TooLarge(f"{path} is larger than {MAX_BYTES:,} bytes.", remedy="Export it in parts.")
    return content
