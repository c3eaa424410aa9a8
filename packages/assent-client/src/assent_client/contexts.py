"""Contexts in a text: who is asked about, one a line, as JSON objects or as CSV with a header."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any, Final

from assent_client.errors import Invalid, Reason
from assent_client.typed import read_value

MAX_NAMED: Final = 20
"""So many lines that are wrong are named, each with what is wrong."""

Row = dict[str, Any] | str
"""What a line says, or what is wrong with it."""


def read_contexts(text: str, unit: str, source: str = "the text") -> list[dict[str, Any]]:
    """Read `{"unit", "context"}` from each line: the unit is its field `unit`, or that of the given name.

    A text whose first character is a brace is JSON lines, any other CSV. Ids of units stay as they are
    written; other values of CSV are read as JSON where they are JSON.

    Raises: Invalid with every line that is wrong, the first 20 by name.
    """
    is_json = text.lstrip("\ufeff \t\r\n").startswith(("{", "["))
    found: list[dict[str, Any]] = []
    wrong: list[Reason] = []
    for number, row in _json_rows(text) if is_json else _csv_rows(text, {"unit", unit}):
        which = row if isinstance(row, str) else row.get("unit", row.get(unit))
        if isinstance(row, str):
            wrong.append(_reason(source, number, row))
        elif which is None or which == "" or isinstance(which, bool | float | list | dict):
            wrong.append(_reason(source, number, f"no field `unit` or `{unit}` with an id in it"))
        else:
            context = {name: value for name, value in row.items() if name != "unit"}
            found.append({"unit": str(which), "context": context})
    if wrong:
        raise _refusal(source, wrong)
    return found


def _reason(source: str, number: int, what: str) -> Reason:
    return Reason(f"line-{number}", f"{source}, line {number}: {what}.", "Correct the line, or leave it out.")


def _refusal(source: str, wrong: list[Reason]) -> Invalid:
    if len(wrong) == 1:
        return Invalid(wrong[0].message, remedy=wrong[0].remedy)
    more = f"; the first {MAX_NAMED} are named" if len(wrong) > MAX_NAMED else ""
    return Invalid(f"{len(wrong):,} lines of {source} cannot be read{more}.", reasons=wrong[:MAX_NAMED])


def _csv_rows(text: str, ids: set[str]) -> Iterator[tuple[int, Row]]:
    lines = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    header: list[str] = []
    while True:
        try:
            cells = next(lines, None)
        except csv.Error as error:
            yield lines.line_num, f"not CSV: {error}"
            return
        if cells is None:
            return
        if not any(cells):
            continue
        if not header:
            header = [name.strip() for name in cells]
            if not all(header) or len(set(header)) < len(header):
                yield lines.line_num, "the header has a name twice, or an empty one"
                return
        elif len(cells) != len(header):
            s = "" if len(cells) == 1 else "s"
            yield lines.line_num, f"{len(cells)} field{s}, the header has {len(header)}"
        else:
            pairs = zip(header, cells, strict=True)
            yield (
                lines.line_num,
                {name: cell if name in ids else read_value(cell) for name, cell in pairs if cell},
            )


def _json_rows(text: str) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, f"not JSON: {error}"
        else:
            yield number, row if isinstance(row, dict) else "not a JSON object"
