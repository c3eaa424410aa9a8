"""The shapes that delivery speaks on the wire, and the transaction that wakes the feed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import pydantic

from assent.delivery import service
from assent.delivery.domain import Detectability, Plan, Rollout, Route, audience_document, plan_document
from assent.kernel.tx import Reader, Tx
from assent.web.api import Call


class Wire(pydantic.BaseModel):
    """Bodies are strict: unknown fields are errors."""

    model_config = pydantic.ConfigDict(extra="forbid")


class Reason(Wire):
    """Why somebody does it."""

    reason: str | None = pydantic.Field(None, max_length=2000)


@contextmanager
def changing(call: Call) -> Iterator[Tx]:
    """Open a transaction; once it is durable, wake what pushes snapshots."""
    with call.begin() as tx:
        yield tx
        tx.after_commit(lambda: call.runtime.signals.notify(service.TOPIC))


def plan_wire(plan: Plan) -> dict[str, Any]:
    """Write a plan with numbers as numbers."""
    document = plan_document(plan)
    numbers = {"share", "margin", "weight", "from", "to", "alpha", "expected_units_per_s", "max"}

    def read(key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: read(name, item) for name, item in value.items()}
        if isinstance(value, list):
            return [read(key, item) for item in value]
        return float(value) if key in numbers and isinstance(value, str) else value

    return {key: read(key, value) for key, value in document.items()}


def detectability_wire(found: Detectability) -> dict[str, Any]:
    """Write what a plan can find."""
    return asdict(found)


def route_wire(route: Route) -> dict[str, Any]:
    """Write a route as people ask for it."""
    return {
        "name": route.key,
        "kind": route.kind,
        "stable": route.stable,
        "canary": route.canary,
        "share": route.share,
        "audience": audience_document(route.audience),
        "previous": route.previous,
        "unit": route.unit,
        "rollout": route.rollout,
        "enabled": route.enabled,
        "cut": route.cut,
        "generation": route.generation,
    }


def rollout_wire(reader: Reader, row: dict[str, Any], rollout: Rollout) -> dict[str, Any]:
    """Write a rollout, its step and why it stands where it stands."""
    return {
        "id": rollout.id,
        "environment": rollout.environment,
        "name": rollout.name,
        "kind": rollout.kind,
        "subject": rollout.subject,
        "ref": rollout.ref,
        "stable": rollout.stable,
        "stable_ref": None
        if rollout.stable is None
        else service.ref_of(reader, rollout.project, rollout.stable),
        "request": rollout.request,
        "state": rollout.state.value,
        "step": rollout.step,
        "n_steps": len(rollout.plan.steps),
        "share": rollout.share,
        "step_started_at": rollout.step_started_at,
        "because": rollout.because,
        "strategy": rollout.plan.strategy.value,
        "winner": row["winner"],
        "guard": row["guard"],
        "e_value": row["e_value"],
        "figures": row["figures"],
        "generation": rollout.generation,
        "plan": plan_wire(rollout.plan),
        "plan_digest": row["plan_digest"],
        "planned_by": row["planned_by"],
        "planned_at": row["planned_at"],
        "started_by": row["started_by"],
        "started_at": row["started_at"],
        "ended_by": row["ended_by"],
        "ended_at": row["ended_at"],
        "reason": service.reason_text(reader, row["reason"]),
    }
