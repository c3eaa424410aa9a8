"""What the command line prints: tables for people, JSON for programs, errors with their remedies."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from assent_client.cli.connection import OPTIONS
from assent_client.errors import AssentError, Internal

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "Column",
    "Columns",
    "ask_secret",
    "cell",
    "emit",
    "note",
    "plain",
    "print_error",
    "print_json",
    "print_text",
    "progress",
    "warn",
]


ABSENT = "-"
GAP = 2
SHORT = 12
_WHOLE = re.compile(r"[a-z]+_[0-9a-f]{20,}|sha256:[0-9a-f]{64}|\d{4}-\d\d-\d\dT[\d:]+Z")
_FIGURE = re.compile(r"-?\d+(\.\d{7,}|(\.\d+)?e[+-]\d+)")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+(?:Z|\+00:00)")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table or one line of a view: where its value is, and how it reads.

    `key` is a dotted path into the item; `show` turns the value into text.
    """

    key: str
    title: str | None = None
    right: bool = False
    show: Callable[[Any], str] | None = None

    def text(self, item: Any) -> str:
        """Give what this column says of an item."""
        value = _dig(item, self.key)
        return plain(self.show(value)) if self.show else cell(value)

    def heading(self) -> str:
        """Give the column's title."""
        return self.title or self.key.rpartition(".")[2].replace("_", " ")


Columns = Sequence[str | Column]
"""Columns of a table or lines of a view; a plain text is the key of one."""


def emit(
    value: Any,
    table: Columns | Callable[[Any], None] | None = None,
    *,
    title: str | None = None,
    empty: str = "None.",
) -> None:
    """Print a command's result: as JSON with --json, else a list as a table and a mapping as a view.

    `table` names the columns (of a list) or lines (of a mapping), or prints the value itself; without
    it every field is shown. A page (`{"items": …}`) is printed as its items.
    """
    if OPTIONS.json:
        print_json(value)
        return
    if callable(table):
        table(value)
        return
    columns = [Column(one) if isinstance(one, str) else one for one in table or ()]
    shown = value["items"] if isinstance(value, dict) and isinstance(value.get("items"), list) else value
    if isinstance(shown, Mapping):
        _print_view(shown, columns or [Column(key) for key in shown], title)
    elif isinstance(shown, list | tuple):
        _print_table(shown, columns, title, empty)
    elif shown is not None:
        print_text(cell(shown))


def print_json(value: Any) -> None:
    """Print a value as JSON to standard output."""
    _write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def print_text(text: str) -> None:
    """Print text that is the result itself (a template, a card), without control characters."""
    _write(plain(text).rstrip("\n") + "\n")


def note(text: str) -> None:
    """Tell a person what happened, on standard error, so that results stay clean; silent with --json."""
    if not OPTIONS.json:
        _console(stderr=True).print(plain(text), markup=False, highlight=False, soft_wrap=True)


def warn(warnings: Sequence[Mapping[str, Any]]) -> None:
    """Tell a person what the server warns of, and what to do, as notes."""
    for one in warnings:
        note(f"Warning: {one['message']} {one['remedy']}")


def ask_secret(what: str) -> str:
    """Ask a person for a secret without showing it; a pipe gives it as its next line."""
    if sys.stdin.isatty():
        import typer  # noqa: PLC0415 -- only where somebody types

        typed: str = typer.prompt(what, hide_input=True)
        return typed.strip()
    return sys.stdin.readline().strip()


def print_error(error: AssentError | Internal) -> None:
    """Print an error with all its reasons and remedies; the problem document with --json."""
    if OPTIONS.json:
        sys.stderr.write(json.dumps(_problem(error), indent=2, ensure_ascii=False, default=str) + "\n")
        return
    console = _console(stderr=True)
    for text, style in _error_lines(error):
        console.print(plain(text), style=style, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress(description: str, total: float | None = None) -> Iterator[Callable[[float], None]]:
    """Show progress on a terminal while the block runs; call the given function with what is done so far."""
    console = _console(stderr=True)
    if OPTIONS.json or not console.is_terminal:
        yield lambda _: None
        return
    from rich.progress import Progress  # noqa: PLC0415 -- loaded only where something moves

    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(plain(description), total=total)
        yield lambda done: bar.update(task, completed=done)


def cell(value: Any) -> str:
    """Give a JSON value as the text of one cell: figures to six digits, moments to the second."""
    if value is None:
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple) and all(isinstance(one, str | int | float) for one in value):
        return plain(", ".join(cell(one) for one in value)) or ABSENT
    if value == {}:
        return ABSENT
    if isinstance(value, Mapping | list | tuple):
        return plain(json.dumps(value, ensure_ascii=False, default=str))
    return plain(_shortened(str(value)))


def _shortened(text: str) -> str:
    if _FIGURE.fullmatch(text):
        return f"{float(text):.6g}"
    return _MOMENT.sub(r"\1Z", text) if _MOMENT.fullmatch(text) else text


def plain(text: str) -> str:
    """Make control characters visible: a name must not move the cursor, colour or reorder a terminal."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if one in "\n\t" or not _is_control(one) else f"\\u{ord(one):04x}" for one in text)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and character != "\u200d"


def _dig(item: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(item, Mapping):
            return None
        item = item.get(part)
    return item


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console  # noqa: PLC0415 -- --json and --help need no Rich

    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = 10_000  # a table in a pipe keeps every word
    return console


def _print_table(items: Sequence[Any], columns: list[Column], title: str | None, empty: str) -> None:
    if not items:
        note(empty)
        return
    from rich.table import Table  # noqa: PLC0415 -- see _console
    from rich.text import Text  # noqa: PLC0415 -- see _console

    if not all(isinstance(item, Mapping) for item in items):
        for item in items:
            print_text(cell(item))
        return
    columns = columns or [Column(key) for key in dict.fromkeys(key for item in items for key in item)]
    widths = _widths(items, columns)
    if widths is None:
        _print_records(items, columns, title)
        return
    table = Table(title=plain(title) if title else None, box=None, pad_edge=False, title_justify="left")
    for column, width in zip(columns, widths, strict=True):
        side: Literal["left", "right"] = "right" if column.right else "left"
        table.add_column(column.heading().upper(), justify=side, overflow="fold", width=width)
    for item in items:
        table.add_row(*(Text(column.text(item)) for column in columns))
    _print_lines(table)


def _widths(items: Sequence[Any], columns: Sequence[Column]) -> list[int] | None:
    """Give the columns' widths for this terminal; None where not even ids and moments would stay whole."""
    from rich.cells import cell_len  # noqa: PLC0415 -- see _console

    console = _console()
    texts = [[column.heading(), *(column.text(item) for item in items)] for column in columns]
    words = [[word for text in column for word in text.split()] or [""] for column in texts]
    widths = [max(cell_len(line) for text in column for line in text.split("\n")) for column in texts]
    if not console.is_terminal:
        return widths
    room = console.width - GAP * (len(columns) - 1)
    floors = [max(map(cell_len, column)) for column in words]
    if sum(floors) > room:  # then other words may be broken, to no less than SHORT
        floors = [
            max(cell_len(word) if _WHOLE.fullmatch(word) else min(cell_len(word), SHORT) for word in column)
            for column in words
        ]
    return _shrunk(widths, floors, room)


def _shrunk(widths: Sequence[int], floors: Sequence[int], room: int) -> list[int] | None:
    """Take from the widest column, one by one, until all fit; None where the floors do not."""
    if sum(floors) > room:
        return None
    shrunk = list(widths)
    for _ in range(sum(widths) - room):
        shrunk[max(range(len(shrunk)), key=lambda at: (shrunk[at] > floors[at], shrunk[at]))] -= 1
    return shrunk


def _print_records(items: Sequence[Any], columns: list[Column], title: str | None) -> None:
    """Print each item as lines of its own; what it does not have is left out."""
    for at, item in enumerate(items):
        if at:
            print_text("")
        known = [column for column in columns if column.text(item) not in {ABSENT, ""}]
        _print_view(item, known or columns, None if at else title)


def _print_view(item: Mapping[str, Any], lines: list[Column], title: str | None) -> None:
    from rich.table import Table  # noqa: PLC0415 -- see _console
    from rich.text import Text  # noqa: PLC0415 -- see _console

    table = Table(
        title=plain(title) if title else None,
        box=None,
        show_header=False,
        pad_edge=False,
        title_justify="left",
    )
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for line in lines:
        table.add_row(Text(line.heading()), Text(line.text(item)))
    _print_lines(table)


def _print_lines(table: Any) -> None:
    console = _console()
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    _write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def _error_lines(error: AssentError | Internal) -> Iterator[tuple[str, str]]:
    yield f"error: {error.message}", "bold red"
    if isinstance(error, AssentError):
        for reason in error.reasons:
            if reason.message == error.message and not reason.remedy:
                continue  # it says nothing that the line above has not said
            yield f"  ✗ {reason.id}: {reason.message}", ""
            if reason.have is not None or reason.need is not None:
                yield f"      have: {cell(reason.have)}   need: {cell(reason.need)}", ""
            if reason.remedy:
                yield f"      to do: {reason.remedy}", ""
        if error.remedy:
            yield f"to do: {error.remedy}", ""
    if error.request_id and isinstance(error, Internal):
        yield f"request: {error.request_id}", "dim"


def _problem(error: AssentError | Internal) -> dict[str, Any]:
    if isinstance(error, AssentError):
        return error.to_wire(error.request_id)
    return {"code": "internal", "status": 500, "detail": error.message, "request_id": error.request_id}


def _write(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
