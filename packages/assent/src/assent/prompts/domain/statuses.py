"""The status of a prompt version: requests and votes move it, nobody sets it."""

from __future__ import annotations

from enum import StrEnum

from assent.kernel.errors import Conflict, Invalid


class Status(StrEnum):
    """What may be done with a prompt version."""

    DRAFT = "draft"
    REVIEW = "review"
    APPROVED = "approved"
    DEPRECATED = "deprecated"


_WAYS = frozenset(
    {
        (Status.DRAFT, Status.REVIEW),  # a request was filed
        (Status.REVIEW, Status.DRAFT),  # it was rejected, withdrawn or ran out: a new one is needed
        (Status.REVIEW, Status.APPROVED),
        (Status.DRAFT, Status.APPROVED),  # adopted: it was live before
    }
)


def moves(now: str, wanted: str) -> bool:
    """Tell whether a version moves; one that was approved stays so, whatever becomes of it elsewhere.

    Raises: Invalid.
    """
    if wanted not in set(Status):
        raise Invalid(f"{wanted!r} is no status.", remedy=f"There are {', '.join(Status)}.")
    return (now, wanted) in _WAYS


def expect_deprecable(ref: str, now: str) -> None:
    """Check that a version can still be deprecated. Raises: Conflict."""
    if now == Status.DEPRECATED:
        raise Conflict(f"{ref} is deprecated already.")
