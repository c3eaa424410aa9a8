"""The actions on a rollout: their words, what they lead to, who may, and why not now."""

from collections.abc import Callable
from dataclasses import dataclass

from assent.console.parts import ActionButton
from assent.console.visit import Visit
from assent.delivery import service as delivery
from assent.delivery.domain import EXPOSED, Facts, Rollout, State, moves
from assent.identity.domain import Permission
from assent.kernel.errors import AssentError, NotFound, Reason
from assent.kernel.tx import Reader, Tx
from assent.web.charts import percent


@dataclass(frozen=True, slots=True)
class Action:
    """One action; `path` is the noun in its address."""

    path: str
    verb: str
    permission: Permission
    states: frozenset[State]
    run: Callable[[Tx, delivery.Ask], Rollout]
    rule: Callable[..., object]
    dangerous: bool = False


ACTIONS = (
    Action(
        "start",
        "Start",
        Permission.ROLLOUT_START,
        frozenset({State.PLANNED, State.WAITING}),
        delivery.start,
        moves.start,
    ),
    Action(
        "pause", "Pause", Permission.ROLLOUT_PAUSE, frozenset({State.RUNNING}), delivery.pause, moves.pause
    ),
    Action(
        "resumption",
        "Resume",
        Permission.ROLLOUT_PAUSE,
        frozenset({State.PAUSED}),
        delivery.resume,
        moves.resume,
    ),
    Action("promotion", "Promote", Permission.ROLLOUT_PROMOTE, EXPOSED, delivery.promote, moves.promote),
    Action(
        "abort",
        "Abort",
        Permission.ROLLOUT_ABORT,
        frozenset({State.PLANNED, State.WAITING, *EXPOSED}),
        delivery.abort,
        moves.abort,
        dangerous=True,
    ),
    Action(
        "rollback",
        "Roll back",
        Permission.ROLLOUT_ROLL_BACK,
        frozenset({*EXPOSED, State.PROMOTED}),
        delivery.roll_back,
        moves.roll_back,
        dangerous=True,
    ),
)


def find_action(path: str) -> Action:
    """Get an action by its noun. Raises: NotFound."""
    for action in ACTIONS:
        if action.path == path:
            return action
    raise NotFound(f"A rollout has no action {path!r}.")


def words(action: Action, rollout: Rollout) -> str:
    """Name the action as it stands on its button."""
    if action.path != "promotion":
        return action.verb
    if rollout.is_last_step:
        return "Promote: make it the stable version"
    return f"Promote to {percent(rollout.plan.steps[rollout.step + 1].share)}"


def consequence(action: Action, rollout: Rollout, stable: str) -> str:
    """Say what the action leads to."""
    name, place = rollout.ref, rollout.environment
    going_back = f"All traffic of {rollout.name} in {place} goes to {stable}"
    if action.path == "promotion" and rollout.is_last_step:
        return f"{name} becomes the stable version of {place}. It can be rolled back until the next change."
    told = {
        "start": f"{percent(rollout.plan.first_share)} of the units of {place} go to {name}; "
        "guards may take it back at any time. Policy and votes are checked once more now.",
        "pause": "The share stays as it is; nothing advances until somebody resumes. Guards stay on.",
        "resumption": "The ramp goes on at the present share; the time of this step begins anew.",
        "promotion": f"{words(action, rollout).removeprefix('Promote to ')} of the units go to {name}.",
        "abort": f"{going_back} within a second. Conversations that began on {name} end on it."
        if rollout.state in EXPOSED
        else f"{name} is not rolled out; its request can start no other rollout.",
        "rollback": f"{going_back} within a second. Conversations on {name} move at their next request.",
    }
    return told[action.path]


def refusals(visit: Visit, reader: Reader, rollout: Rollout, action: Action) -> tuple[Reason, ...]:
    """List why the visitor may not do this now; nothing if they may. A start asks the policy too."""
    reasons = list(visit.lacks(action.permission))
    place = delivery.Place(project=rollout.project, environment=rollout.environment, name=rollout.name)
    _, judgement, _ = delivery.verdict(reader, rollout)
    try:
        facts = Facts(route=delivery.get_route(reader, place), judgement=judgement)
        rule = moves.advance if action.path == "promotion" and not rollout.is_last_step else action.rule
        rule(rollout, facts, reader.now())
    except AssentError as error:
        reasons += error.reasons or (Reason(error.code, error.message, error.remedy or ""),)
    return tuple(reasons)


def buttons(visit: Visit, reader: Reader, rollout: Rollout, address: str) -> tuple[ActionButton, ...]:
    """Give the actions that this state knows, each with the reasons that speak against it."""
    return tuple(
        ActionButton(
            word=words(action, rollout),
            address=f"{address}/{action.path}",
            dangerous=action.dangerous,
            reasons=refusals(visit, reader, rollout, action),
        )
        for action in ACTIONS
        if rollout.state in action.states
    )
