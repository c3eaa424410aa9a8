"""Labels: names that point to a version and move; how they read, and where a rollback leads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from assent.kernel.errors import Invalid

KINDS = ("model", "prompt")
LATEST = "latest"
"""Not a label: it means the highest number."""
_LABEL = re.compile(r"[a-z][a-z0-9._-]{0,62}\Z")


@dataclass(frozen=True, slots=True)
class Step:
    """What a move did: where the label came to (None: nowhere), and whether that was a rollback."""

    after: str | None
    rolled_back: bool


def parse_label(text: str) -> str:
    """Read a label; it begins with a letter, so it is never a number. Raises: Invalid."""
    if not _LABEL.match(text) or text == LATEST:
        raise Invalid(
            f"{text[:80]!r} is not a label.",
            remedy="Use 1 to 63 of a-z, 0-9, dot, underscore, hyphen, beginning with a letter; not `latest`.",
        )
    return text


def previous(steps: Sequence[Step]) -> str | None:
    """Give the version that a rollback leads to, from all steps of a label, oldest first; None where to none.

    A rollback takes steps back, so a second one goes further back instead of to and fro.
    """
    trail: list[str | None] = []
    for step in steps:
        if step.rolled_back:
            while trail and trail[-1] != step.after:
                trail.pop()
        else:
            trail.append(step.after)
    return next((after for after in reversed(trail[:-1]) if after is not None and after != trail[-1]), None)
