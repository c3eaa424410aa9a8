"""Routes of rollouts: filing, the actions as nouns, and the verdict."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import pydantic
from fastapi import APIRouter, Query, Response

from assent.delivery import service
from assent.delivery.domain import Rollout, State, Winner, detectability, parse_plan
from assent.delivery.http.wire import Reason, Wire, changing, detectability_wire, plan_wire, rollout_wire
from assent.identity.domain import Permission
from assent.kernel.tx import Reader, Tx
from assent.web.api import MAX_PAGE, Call, Expected, page, requires

router = APIRouter()


class NewRollout(Wire):
    """What is to go out, where, and how; `subject` is name@version or a digest."""

    environment: str
    subject: str
    plan: dict[str, Any]
    reason: str | None = None


class Emergency(Wire):
    """Why it cannot wait for its policy, where the emergency is kept, and for how many hours it goes out."""

    reason: str = pydantic.Field(min_length=1, max_length=2000)
    incident: str = pydantic.Field(min_length=1, max_length=200)
    hours: float = pydantic.Field(4, gt=0, le=24)


class Conclusion(Reason):
    """What is read from an A/B test; with `plan`, the winner's release is filed at once."""

    winner: Winner
    plan: dict[str, Any] | None = None


class PlanToCheck(Wire):
    """A plan that is looked at and not filed."""

    plan: dict[str, Any]


@router.post("/rollouts", status_code=201)
def request_release(
    body: NewRollout, call: Annotated[Call, requires(Permission.REQUEST_SUBMIT)], response: Response
) -> dict[str, Any]:
    """File a rollout with its plan, and with it the request for approval."""
    wanted = service.Release(
        project=call.project,
        environment=body.environment,
        subject=body.subject,
        plan=body.plan,
        reason=body.reason,
    )
    with changing(call) as tx:
        filed = service.request_release(tx, wanted)
        shown = _shown(tx, filed)
    response.headers["location"] = f"/v1/projects/{call.project}/rollouts/{filed.id}"
    return shown


@router.get("/rollouts")
def list_rollouts(
    call: Annotated[Call, requires(Permission.ROLLOUT_READ)],
    environment: str | None = None,
    name: str | None = None,
    state: Annotated[list[State] | None, Query()] = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> dict[str, Any]:
    """List rollouts, newest first."""
    states = [one.value for one in state] if state else None
    where = {"environment": environment, "name": name, "state": states}
    with call.read() as reader:
        found, following = service.list_(reader, call.project, where, cursor, limit)
        return page([_shown(reader, one) for one in found], following)


@router.get("/rollouts/{rollout}")
def get_rollout(
    rollout: str, call: Annotated[Call, requires(Permission.ROLLOUT_READ)], response: Response
) -> dict[str, Any]:
    """Show a rollout; its ETag is its generation."""
    with call.read() as reader:
        found = service.get(reader, rollout, call.project)
        response.headers["etag"] = f'"{found.generation}"'
        return _shown(reader, found)


@router.get("/rollouts/{rollout}/verdict")
def get_verdict(rollout: str, call: Annotated[Call, requires(Permission.ROLLOUT_READ)]) -> dict[str, Any]:
    """Judge the step that runs: pass, fail or inconclusive, with the figures and what is missing."""
    with call.read() as reader:
        found = service.get(reader, rollout, call.project)
        verdict, judgement, lacking = service.verdict(reader, found)
    return {
        "verdict": verdict,
        "state": found.state.value,
        "step": found.step,
        "share": found.share,
        "guard": judgement.guard,
        "e_value": f"{judgement.e_value:.12g}",
        "threshold": 1 / found.plan.alpha,
        "n_canary_units": judgement.n_canary_units,
        "n_stable_units": judgement.n_stable_units,
        "slo_kept": judgement.slo_kept,
        "unknown": list(judgement.unknown),
        "figures": judgement.figures,
        "lacking": [reason.to_wire() for reason in lacking],
    }


@router.post("/plan-checks")
def check_plan(body: PlanToCheck, call: Annotated[Call, requires(Permission.ROLLOUT_READ)]) -> dict[str, Any]:
    """Read a plan with every fault at once, and say which harm each step could find. Nothing is kept."""
    plan = parse_plan(body.plan)
    del call
    return {"plan": plan_wire(plan), "detectability": detectability_wire(detectability(plan))}


@router.post("/rollouts/{rollout}/starts", status_code=201)
def start(
    rollout: str, body: Reason, call: Annotated[Call, requires(Permission.ROLLOUT_START)], expected: Expected
) -> dict[str, Any]:
    """Start: policy, votes and plan are checked now; a refusal lists every reason."""
    return _do(call, expected, service.start, rollout, body)


@router.post("/rollouts/{rollout}/emergency-starts", status_code=201)
def start_by_break_glass(
    rollout: str,
    body: Emergency,
    call: Annotated[Call, requires(Permission.BREAK_GLASS_OPEN)],
    expected: Expected,
) -> dict[str, Any]:
    """Start before the policy is fulfilled: flagged on every answer, seconded within minutes, reviewed."""
    wanted = service.EmergencyStart(
        ask=service.Ask(rollout=rollout, project=call.project, reason=body.reason, generation=expected),
        incident=body.incident,
        life=timedelta(hours=body.hours),
        step_up_s=call.runtime.settings.step_up_s,
    )
    with changing(call) as tx:
        return _shown(tx, service.start_by_break_glass(tx, wanted))


@router.post("/rollouts/{rollout}/pauses", status_code=201)
def pause(
    rollout: str, body: Reason, call: Annotated[Call, requires(Permission.ROLLOUT_PAUSE)], expected: Expected
) -> dict[str, Any]:
    """Let the ramp stand still; the share stays."""
    return _do(call, expected, service.pause, rollout, body)


@router.post("/rollouts/{rollout}/resumptions", status_code=201)
def resume(
    rollout: str, body: Reason, call: Annotated[Call, requires(Permission.ROLLOUT_PAUSE)], expected: Expected
) -> dict[str, Any]:
    """Let the ramp go on; the step's time begins anew."""
    return _do(call, expected, service.resume, rollout, body)


@router.post("/rollouts/{rollout}/promotions", status_code=201)
def promote(
    rollout: str,
    body: Reason,
    call: Annotated[Call, requires(Permission.ROLLOUT_PROMOTE)],
    expected: Expected,
) -> dict[str, Any]:
    """Go on to the next step, or, at the last, make the version the stable one."""
    return _do(call, expected, service.promote, rollout, body)


@router.post("/rollouts/{rollout}/aborts", status_code=201)
def abort(
    rollout: str, body: Reason, call: Annotated[Call, requires(Permission.ROLLOUT_ABORT)], expected: Expected
) -> dict[str, Any]:
    """End it and give its traffic back."""
    return _do(call, expected, service.abort, rollout, body)


@router.post("/rollouts/{rollout}/conclusions", status_code=201)
def conclude(
    rollout: str,
    body: Conclusion,
    call: Annotated[Call, requires(Permission.ROLLOUT_PROMOTE)],
    expected: Expected,
) -> dict[str, Any]:
    """End an A/B test: what a person reads from it is recorded, and a winner's release is filed with it."""
    ask = service.Ask(rollout=rollout, project=call.project, reason=body.reason, generation=expected)
    with changing(call) as tx:
        concluded = service.conclude(tx, ask, body.winner)
        shown = _shown(tx, concluded)
        if body.plan is not None:
            shown["release"] = _shown(tx, service.release_winner(tx, concluded, body.plan, body.reason))
    return shown


@router.post("/rollouts/{rollout}/rollbacks", status_code=201)
def roll_back(
    rollout: str,
    body: Reason,
    call: Annotated[Call, requires(Permission.ROLLOUT_ROLL_BACK)],
    expected: Expected,
) -> dict[str, Any]:
    """Go back to the route from before the rollout; after a promotion too."""
    return _do(call, expected, service.roll_back, rollout, body)


Action = Callable[[Tx, service.Ask], Rollout]


def _do(call: Call, expected: int | None, action: Action, rollout: str, body: Reason) -> dict[str, Any]:
    ask = service.Ask(rollout=rollout, project=call.project, reason=body.reason, generation=expected)
    with changing(call) as tx:
        return _shown(tx, action(tx, ask))


def _shown(reader: Reader, rollout: Rollout) -> dict[str, Any]:
    return rollout_wire(reader, service.get_row(reader, rollout.id), rollout)
