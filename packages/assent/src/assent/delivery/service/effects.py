"""What follows from a move in lower slices, in the same transaction: evidence of what is live, and stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assent.delivery.domain import Rollout, events
from assent.evidence import service as evidence
from assent.evidence.domain import LIVE
from assent.kernel.events import Event, Recorded
from assent.kernel.tx import Tx
from assent.registry import service as registry

PLAN = "rollout.plan"


def planned(tx: Tx, project: str, subject: str, value: Mapping[str, Any]) -> None:
    """Record what the plan says, for the policy to read."""
    evidence.record(tx, project=project, kind=PLAN, subject=subject, value=value)


def adopted(tx: Tx, event: events.VersionAdopted, because: str) -> None:
    """Say that a version that was taken over is live."""
    _live(tx, event.project, event.environment, (event.name, event.subject))
    _stage(tx, event.kind, event.subject, "monitoring", because)


def started(tx: Tx, rollout: Rollout, because: str) -> None:
    """Say that a version is being deployed."""
    _stage(tx, rollout.kind, rollout.subject, "deployment", because)


def moved(tx: Tx, rollout: Rollout, recorded: Recorded[Event]) -> None:
    """Say what a move has made live."""
    event = recorded.event
    if isinstance(event, events.RolloutPromoted):
        _live(tx, rollout.project, rollout.environment, (rollout.name, rollout.subject))
        _stage(tx, rollout.kind, rollout.subject, "monitoring", recorded.id)
    if isinstance(event, events.RolloutRolledBack):
        _live(tx, rollout.project, rollout.environment, (rollout.name, event.stable))
        _stage(tx, rollout.kind, rollout.subject, "evaluation", recorded.id)


def _live(tx: Tx, project: str, environment: str, what: tuple[str, str]) -> None:
    name, subject = what
    evidence.record(
        tx, project=project, kind=LIVE, subject=subject, value={"environment": environment, "name": name}
    )


def _stage(tx: Tx, kind: str, subject: str, stage: str, because: str) -> None:
    if kind == "model":
        registry.advance(tx, subject, stage, because)
