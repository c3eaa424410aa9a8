"""The actions on a rollout: their words, what they lead to, who may, and why not now."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from assent.console.parts import ActionButton
from assent.console.visit import Visit
from assent.delivery import service as delivery
from assent.delivery.domain import EXPOSED, Facts, Rollout, State, Strategy, Winner, moves
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
    strategies: frozenset[Strategy] = frozenset(Strategy)

    def suits(self, rollout: Rollout) -> bool:
        """Tell whether the rollout knows this action in its state."""
        return rollout.state in self.states and rollout.plan.strategy in self.strategies


CONCLUSIONS = {
    Winner.CANARY: "Conclude: the new version is better",
    Winner.STABLE: "Conclude: the stable version stays",
    Winner.NONE: "Conclude: no difference that matters",
}


def _conclude(tx: Tx, ask: delivery.Ask, *, winner: Winner) -> Rollout:
    return delivery.conclude(tx, ask, winner)


def _may_conclude(rollout: Rollout, facts: Facts, now: datetime, *, winner: Winner) -> object:
    return moves.conclude(rollout, facts, now, winner)


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
    Action(
        "promotion",
        "Promote",
        Permission.ROLLOUT_PROMOTE,
        EXPOSED,
        delivery.promote,
        moves.promote,
        strategies=frozenset({Strategy.CANARY, Strategy.BLUE_GREEN}),
    ),
    *(
        Action(
            f"conclusion-{winner.value}",
            word,
            Permission.ROLLOUT_PROMOTE,
            EXPOSED,
            partial(_conclude, winner=winner),
            partial(_may_conclude, winner=winner),
            strategies=frozenset({Strategy.AB_TEST}),
        )
        for winner, word in CONCLUSIONS.items()
    ),
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
    if rollout.plan.strategy is Strategy.BLUE_GREEN and not rollout.is_last_step:
        return "Switch all traffic"
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
        "start": f"{_first(rollout)} of {place} go to {name}; "
        "guards may take it back at any time. Policy and votes are checked once more now.",
        "pause": "The share stays as it is; nothing advances until somebody resumes. Guards stay on.",
        "resumption": "The ramp goes on at the present share; the time of this step begins anew.",
        "promotion": f"{_next(rollout)} go to {name}.",
        "conclusion-canary": f"{going_back} until {name} goes out by a release of its own. The figures are "
        "recorded with what you read from them.",
        "conclusion-stable": f"{going_back}. The figures are recorded with what you read from them.",
        "conclusion-none": f"{going_back}. The figures are recorded with what you read from them.",
        "abort": f"{going_back} within a second. Conversations that began on {name} end on it."
        if rollout.state in EXPOSED
        else f"{name} is not rolled out; its request can start no other rollout.",
        "rollback": f"{going_back} within a second. Conversations on {name} move at their next request.",
    }
    return told[action.path]


def _first(rollout: Rollout) -> str:
    return "The preview's users" if rollout.plan.first_share == 0 else _units(rollout.plan.first_share)


def _next(rollout: Rollout) -> str:
    return "" if rollout.is_last_step else _units(rollout.plan.steps[rollout.step + 1].share)


def _units(share: float) -> str:
    return f"{percent(share)} of the units"


def refusals(visit: Visit, reader: Reader, rollout: Rollout, action: Action) -> tuple[Reason, ...]:
    """List why the visitor may not do this now; nothing if they may. A start asks the policy too."""
    reasons = list(visit.lacks(action.permission))
    place = delivery.Place(project=rollout.project, environment=rollout.environment, name=rollout.name)
    _, judgement, _ = delivery.verdict(reader, rollout)
    try:
        judged = delivery.judged_by(
            reader, (rollout.project, rollout.environment, rollout.name), rollout.plan
        )
        facts = Facts(route=delivery.get_route(reader, place), judgement=judgement, judged=judged)
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
        if action.suits(rollout)
    )
