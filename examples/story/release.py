"""One release as its people make it: evaluate, publish the card, ask, vote, start, watch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from assent_client.api import Api
from examples.story.cli import Answer, Cli, Narrator
from examples.story.processes import Children, StoryFailed

OPEN = {"planned", "waiting", "running", "paused"}
LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class People:
    """Who takes part."""

    author: Cli
    reviewer: Cli
    operator: Cli


@dataclass(frozen=True, slots=True)
class Cast:
    """A story's people, processes and system."""

    narrator: Narrator
    children: Children
    people: People
    system: str
    environment: str = "production"

    def ref(self, number: str) -> str:
        """Give name@version."""
        return f"{self.system}@{number}"


def evaluate(cast: Cast, number: str, suite: str, ends: Sequence[int] = (0,)) -> Mapping[str, Any]:
    """Run a suite on a version and tell its verdict with its figures."""
    answer = cast.people.author(
        "eval", "run", suite, "--subject", cast.ref(number), "--env", cast.environment, ends=ends
    )
    run = answer.value
    result = run["result"]
    metric = result["levels"][0]["metric"]
    shares = {level["side"]: level["value"] for level in result["levels"] if level["metric"] == metric}
    cast.narrator.say(
        f"{suite}: {result['verdict']}; estimate {result['estimate']}, "
        f"interval {result['low']} … {result['high']}, "
        f"n={result['n']} ({result['method']}); "
        + ", ".join(f"{side} {share}" for side, share in shares.items())
    )
    cast.children.check()
    return dict(run)


def refused(cast: Cast, answer: Answer, what: str) -> list[Mapping[str, Any]]:
    """Tell every reason of a refusal; gives them. Raises: StoryFailed when nothing was refused."""
    problem = answer.problem
    if answer.code == 0 or not isinstance(problem, dict):
        raise StoryFailed(f"{what} should have been refused")
    cast.narrator.say(f"refused: {problem['detail']}")
    for reason in problem["reasons"]:
        cast.narrator.say(f"  - {reason['message']}\n      to do: {reason['remedy'] or '-'}")
    return list(problem["reasons"])


def file_release(cast: Cast, number: str, plan: Path) -> Mapping[str, Any]:
    """File the rollout and with it the request for approval."""
    command = ("rollout", "request", cast.ref(number), cast.environment, "--plan", str(plan))
    filed = cast.people.author(*command).value
    cast.narrator.say(f"filed: rollout {filed['id']}, request {filed['request']}")
    return dict(filed)


def publish_card(cast: Cast, number: str, form: Path) -> Mapping[str, Any]:
    """Generate the card from records, complete it by the form, and have it published by a vote."""
    author, reviewer = cast.people.author, cast.people.reviewer
    author("card", "complete", cast.ref(number), "-f", str(form))
    author("card", "submit", cast.ref(number))
    published = reviewer("card", "approve", cast.ref(number), "--comment", "complete and true").value
    cast.narrator.say(f"card of {cast.ref(number)}: {published['state']}, complete: {published['complete']}")
    return dict(published)


def approve(cast: Cast, request: str) -> Mapping[str, Any]:
    """Have the reviewer approve a request."""
    shown = cast.people.reviewer("request", "approve", request, "--comment", "evidence read").value
    cast.narrator.say(f"request {request}: {shown['state']}")
    return dict(shown)


def start(cast: Cast, rollout: str) -> None:
    """Have the operator start an approved rollout."""
    cast.people.operator("rollout", "start", rollout)


def watch(
    cast: Cast, rollout: str, limit_s: float, look: Callable[[Mapping[str, Any]], None] | None = None
) -> Mapping[str, Any]:
    """Follow a rollout to its end, telling each step once. Raises: StoryFailed when it does not end."""
    operator, told = cast.people.operator, None
    with Api(operator.url, operator.token, operator.project) as api:
        until = time.monotonic() + limit_s
        while time.monotonic() < until:
            cast.children.check()
            found: Mapping[str, Any] = api.get(api.path("rollouts", rollout))
            stage = (found["state"], found["step"], found["share"])
            if stage != told:
                told = stage
                cast.narrator.say(
                    f"rollout {found['state']}: step {found['step'] + 1} of {found['n_steps']}, "
                    f"{100 * (found['share'] or 0):g} % of units"
                )
            if look is not None:
                look(found)
            if found["state"] not in OPEN:
                return found
            time.sleep(LOOK_EVERY_S)
    raise StoryFailed(f"the rollout {rollout} did not end within {limit_s:.0f} s: {told}")


def moment(text: str) -> float:
    """Give an RFC 3339 time as seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()
