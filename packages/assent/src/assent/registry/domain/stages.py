"""The six stages of a version's life, and the status that follows from each."""

from __future__ import annotations

from enum import StrEnum

from assent.kernel.errors import Invalid


class Stage(StrEnum):
    """Where a version is in its life; what happens to it moves it, nobody sets it."""

    DEVELOPMENT = "development"
    EVALUATION = "evaluation"
    APPROVAL = "approval"
    DEPLOYMENT = "deployment"
    MONITORING = "monitoring"
    RETIREMENT = "retirement"


class Status(StrEnum):
    """What may be done with a version."""

    DRAFT = "draft"
    REVIEW = "review"
    APPROVED = "approved"
    DEPRECATED = "deprecated"
    RETIRED = "retired"
    DELETED = "deleted"
    """A draft that was deleted: its row is the tombstone."""


_STATUS = {
    Stage.DEVELOPMENT: Status.DRAFT,
    Stage.EVALUATION: Status.DRAFT,
    Stage.APPROVAL: Status.REVIEW,
    Stage.DEPLOYMENT: Status.APPROVED,
    Stage.MONITORING: Status.APPROVED,
    Stage.RETIREMENT: Status.RETIRED,
}


def parse_stage(text: str) -> Stage:
    """Read a stage. Raises: Invalid."""
    if text not in set(Stage):
        raise Invalid(f"{text!r} is no stage.", remedy=f"The stages are {', '.join(Stage)}.")
    return Stage(text)


def parse_status(text: str | None, stage: Stage) -> Status:
    """Read a status; None is the one that follows from the stage. Raises: Invalid."""
    if text is None:
        return _STATUS[stage]
    if text not in set(Status):
        raise Invalid(f"{text!r} is no status.", remedy=f"There are {', '.join(Status)}.")
    return Status(text)
