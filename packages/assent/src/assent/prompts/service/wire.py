"""Versions, and differences between them, in their JSON form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from assent.prompts.domain import InterfaceChange
from assent.prompts.service.versions import Comparison
from assent.prompts.store import PromptVersion
from assent.web.diff import Field, Line, Mark


def comparison_to_wire(comparison: Comparison) -> dict[str, Any]:
    """Give the refs, the bump that the difference demands, the interface, the fields and the text."""
    return {
        "before": comparison.before.ref,
        "after": comparison.after.ref,
        "bump": str(comparison.bump),
        "interface": [change_to_wire(change) for change in comparison.interface],
        "fields": fields_to_wire(comparison.fields),
        "text": [_line(line) for line in comparison.text],
    }


def change_to_wire(change: InterfaceChange) -> dict[str, str]:
    """Give where, what and bump."""
    return {"where": change.where, "what": change.what, "bump": str(change.bump)}


def fields_to_wire(fields: Iterable[Field]) -> list[dict[str, Any]]:
    """Give the fields that differ: path, mark, and the lines before and after."""
    return [
        {"path": field.path, "mark": str(field.mark), "lines": [_line(line) for line in field.lines]}
        for field in fields
        if field.mark is not Mark.SAME
    ]


def _line(line: Line) -> dict[str, Any]:
    return {
        "mark": str(line.mark),
        "before": line.before,
        "after": line.after,
        "pieces": [{"mark": str(piece.mark), "text": piece.text} for piece in line.pieces],
    }


def version_to_wire(version: PromptVersion) -> dict[str, Any]:
    """Give what stands in lists: no document."""
    return {
        "id": version.id,
        "name": version.name,
        "version": version.number,
        "ref": version.ref,
        "digest": version.digest,
        "format": version.format,
        "bump": version.bump,
        "status": version.status,
        "since": version.since,
        "successor": version.successor,
        "contributors": list(version.contributors),
        "registered_at": version.registered_at,
        "registered_by": version.registered_by,
    }
