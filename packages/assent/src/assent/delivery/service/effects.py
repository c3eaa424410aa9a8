"""What follows from a move in lower slices, in the same transaction: what is live, labels, and stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assent.delivery import store
from assent.delivery.domain import Rollout, events, read_route
from assent.evidence import service as evidence
from assent.evidence.domain import LIVE
from assent.kernel.events import Event, Recorded
from assent.kernel.tx import Tx
from assent.prompts import service as prompts
from assent.registry import service as registry

PLAN = "rollout.plan"
STAGES: Mapping[type[Event], str] = {
    events.RolloutPlanned: "approval",
    events.RolloutStarted: "deployment",
    events.RolloutPromoted: "monitoring",
    events.RolloutAborted: "evaluation",
    events.RolloutRolledBack: "evaluation",
    events.RolloutConcluded: "evaluation",
}
"""The stage that each move brings a version to, unless it is stable somewhere."""


def claim_plan(tx: Tx, project: str, subject: str, value: Mapping[str, Any]) -> None:
    """Record what the plan says, for the policy to read."""
    evidence.record(tx, project=project, kind=PLAN, subject=subject, value=value)


def adopted(tx: Tx, event: events.VersionAdopted, because: str) -> None:
    """Say that a version that was taken over is live."""
    pointer = registry.Pointer(
        project=event.project, name=event.name, label=event.environment, kind=event.kind
    )
    _live(tx, pointer, event.subject, because)
    if event.kind == "model":
        registry.advance(tx, event.subject, "monitoring", because)
    elif event.kind == "prompt":
        prompts.advance(tx, event.subject, "approved", because)


def moved(tx: Tx, rollout: Rollout, recorded: Recorded[Event]) -> None:
    """Say what a move has made live, and which stage it has brought the version to."""
    event = recorded.event
    pointer = registry.Pointer(
        project=rollout.project, name=rollout.name, label=rollout.environment, kind=rollout.kind
    )
    if isinstance(event, events.RolloutPromoted):
        _live(tx, pointer, rollout.subject, recorded.id)
    if isinstance(event, events.RolloutRolledBack):
        _live(tx, pointer, event.stable, recorded.id)
    stage = STAGES.get(type(event))
    if stage is not None and rollout.kind == "model":
        # What is stable somewhere stays so, whatever becomes of it elsewhere.
        routes = store.list_routes(tx.conn, rollout.project)
        stable = any(read_route(row.document).stable == rollout.subject for row in routes)
        registry.advance(tx, rollout.subject, "monitoring" if stable else stage, recorded.id)


def _live(tx: Tx, pointer: registry.Pointer, subject: str, because: str) -> None:
    """Record what an environment serves now, and let the environment's label point to it."""
    value = {"environment": pointer.label, "name": pointer.name}
    evidence.record(tx, project=pointer.project, kind=LIVE, subject=subject, value=value)
    registry.mark_live(tx, pointer, subject, because)
