"""`assent check`: find models that are pinned in source instead of released."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from assent_client.cli.check.report import REMEDY, line_of, to_sarif, to_wire
from assent_client.cli.check.scan import scan
from assent_client.cli.connection import OPTIONS
from assent_client.cli.output import emit, note, print_text
from assent_client.errors import Invalid

__all__ = ["app"]

FOUND, NOT_ALL_READ = 1, 3
FORMATS = ("text", "json", "sarif")

app = typer.Typer()


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="A file or folder.")] = Path(),
    form: Annotated[str, typer.Option("--format", help="text, json or sarif.")] = "text",
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", metavar="GLOB", help="Leave out, as in tests/**; repeat it."),
    ] = None,
    limit_s: Annotated[float, typer.Option("--limit-s", min=0, help="Stop after so many seconds.")] = 120,
) -> None:
    """Find names and snapshots of models in source; exit 1 if there are any, 3 if not all could be read.

    What a .gitignore leaves out is not read. A comment `assent: allow` on the line, or alone above it, lets a
    name stand; in Assent's own documents (base_model, upstream_model) it belongs.

    Example: assent check src --format sarif > models.sarif
    """
    if form not in FORMATS:
        raise Invalid(f"{form!r} is no format.", remedy=f"Give one of {', '.join(FORMATS)}.")
    if not path.exists():
        raise Invalid(f"There is no {path}.", remedy="Give a file or a folder.")
    found = scan(path, excluded=exclude or [], limit_s=limit_s)
    if form == "sarif":
        sarif = to_sarif(found, metadata.version("assent-client"))
        sys.stdout.write(json.dumps(sarif, indent=2) + "\n")
    elif form == "json" or OPTIONS.json:
        OPTIONS.json = True
        emit(to_wire(found))
    else:
        for one in found.findings:
            print_text(line_of(one))
        note(
            f"{len(found.findings)} found in {found.n_files} files."
            + (f" {REMEDY}" if found.findings else "")
        )
    if found.stopped:
        note(f"Not everything was read: {found.stopped}.")
    if found.findings:
        raise typer.Exit(FOUND)
    if found.stopped:
        raise typer.Exit(NOT_ALL_READ)
