"""How differences between versions read on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from assent_client.cli.output import print_text

__all__ = ["print_fields", "print_interface", "print_lines"]

SIGNS = {"same": "  ", "removed": "- ", "added": "+ ", "changed": "~ "}
AROUND = 3
"""Lines shown before and after what differs."""


def print_fields(fields: Sequence[Mapping[str, Any]]) -> None:
    """Print the fields that differ, each with its lines."""
    for field in fields:
        print_text(f"{SIGNS[field['mark']]}{field['path']}")
        print_lines(field["lines"], indent="    ")


def print_lines(lines: Sequence[Mapping[str, Any]], indent: str = "") -> None:
    """Print lines with their marks; long runs that stayed are left out."""
    for text in _shortened(lines):
        print_text(indent + text)


def print_interface(comparison: Mapping[str, Any]) -> None:
    """Print what the change means to callers."""
    for change in comparison["interface"]:
        print_text(f"interface: {change['where']}: {change['what']} ({change['bump']})")
    print_text(f"This change needs a {comparison['bump']} version.")


def _shortened(lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    changed = [number for number, line in enumerate(lines) if line["mark"] != "same"]
    near = {n for one in changed for n in range(one - AROUND, one + AROUND + 1)}
    left_out = False
    for number, line in enumerate(lines):
        if number in near:
            yield SIGNS[line["mark"]] + "".join(piece["text"] for piece in line["pieces"])
        elif not left_out:
            yield "  …"
        left_out = number not in near
