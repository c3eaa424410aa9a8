"""The main job, end to end, on free loopback ports: `make demo`.

2.0.0 is live; 2.1.0 is better and goes out in steps; 2.2.0 passes its evaluation, its users dislike it, and
its rollout takes itself back. All data are synthetic.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from examples.story import desk as desks  # noqa: E402 -- the folder above comes first
from examples.story import release  # noqa: E402 -- as above
from examples.story.cli import Narrator  # noqa: E402 -- as above
from examples.story.processes import Children, StoryFailed  # noqa: E402 -- as above
from examples.story.release import Cast, People  # noqa: E402 -- as above
from examples.story.stage import Play, Story, add_options, end_traffic, perform, prove  # noqa: E402 -- as above
from examples.story.traffic import Audience, Traffic  # noqa: E402 -- as above

HERE = Path(__file__).parent
FOLDER = ROOT / ".demo"
SYSTEM = "customer-support-assistant"
PROJECT = "support"
RATE = 175.0
UNHAPPY = {f"{SYSTEM}@2.2.0": 0.60}
USUALLY_UNHAPPY = 0.05
FIRST_LINE = "Assent demo. All of it is synthetic: the company, its customers, the questions and the answers."


def main() -> int:
    """Run the story; 0 when everything held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add_options(parser)
    return perform(Play("demo", FIRST_LINE, FOLDER, begin, tell), parser.parse_args())


def begin(narrator: Narrator, running: Children) -> Story:
    narrator.chapter(
        "An installation: an upstream that replays recorded answers, a server, a worker, a gateway"
    )
    data = HERE / "data"
    upstream = desks.provider_of(sorted(data.glob("answers-*.jsonl")))
    desk, provider = desks.open_desk(narrator, running, FOLDER, PROJECT, upstream)
    described = _described(provider)
    desk.admin("apply", "-f", str(described / "assent.yaml"))
    people = People(desk.sign_in("ada"), desk.sign_in("rita"), desk.sign_in("otto"))
    cast = Cast(narrator, running, people, SYSTEM)

    narrator.chapter("2.0.0 is live already: it is adopted, with a reason, and answers through the gateway")
    people.operator(
        "env", "adopt", "production", cast.ref("2.0.0"), "--reason", "live since January", "--yes"
    )
    gateway = desks.start_gateway(desk)
    key = desk.admin("key", "issue", "production", "demo-traffic", "--model", SYSTEM).value["key"]
    questions = [json.loads(line)["input"] for line in (data / "questions.jsonl").read_text().splitlines()]
    audience = Audience(
        gateway, key, SYSTEM, questions, RATE, lambda version: UNHAPPY.get(version, USUALLY_UNHAPPY)
    )
    narrator.say(
        f"traffic: {RATE:.0f} requests/s by the openai client to {gateway}, a third from returning users"
    )
    return Story(cast, desk, narrator, Traffic(audience).start(), gateway, FOLDER)


def _described(provider: int) -> Path:
    """Copy the example's description with the port of this run's upstream."""
    folder = FOLDER / "project"
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("__pycache__", "demo.py"))
    described = folder / "assent.yaml"
    described.write_text(
        described.read_text().replace("http://127.0.0.1:8409", f"http://127.0.0.1:{provider}")
    )
    return folder


def tell(story: Story) -> None:
    """Tell every chapter."""
    _better_version(story)
    _worse_version(story)
    end_traffic(story)
    story.narrator.chapter("The card of 2.1.0")
    card = story.cast.people.reviewer("card", "show", story.cast.ref("2.1.0"), "--format", "brief")
    story.narrator.say(card.value_text())
    prove(story)


def _better_version(story: Story) -> None:
    cast, narrator = story.cast, story.narrator
    narrator.chapter(
        "2.1.0 is registered; its release is filed and, unproved as it is, refused with every reason"
    )
    cast.people.author("apply", "-f", str(HERE / "release-2.1.0.yaml"))
    filed = release.file_release(cast, "2.1.0", HERE / "plan.yaml")
    refusal = cast.people.operator("rollout", "start", filed["id"], ends=(16,))
    reasons = release.refused(cast, refusal, "a release without evidence")
    narrator.keep("refused_with", [reason["id"] for reason in reasons])

    narrator.chapter(
        "2.1.0 is evaluated against what is live, and for safety; its card is completed and published"
    )
    for suite in ("support-regression", "support-safety"):
        _keep_run(story, "2.1.0", suite)
    release.publish_card(cast, "2.1.0", HERE / "card-2.1.0.yaml")

    narrator.chapter("The author may not approve; the reviewer does; the operator starts")
    own = cast.people.author("request", "approve", filed["request"], ends=(16,))
    narrator.keep("own_vote_refused", [r["id"] for r in release.refused(cast, own, "the author's own vote")])
    release.approve(cast, filed["request"])
    release.start(cast, filed["id"])
    ended = release.watch(cast, filed["id"], 75)
    if ended["state"] != "promoted":
        raise StoryFailed(f"2.1.0 should have been promoted; it was {ended['state']}: {ended['because']}")
    narrator.keep("better_version", {"state": ended["state"], "figures": ended["figures"]})


def _keep_run(story: Story, number: str, suite: str) -> None:
    run = release.evaluate(story.cast, number, suite)
    story.narrator.keep(f"run_{suite}_{number}", run["result"])


def _worse_version(story: Story) -> None:
    cast, narrator = story.cast, story.narrator
    narrator.chapter("2.2.0 passes its evaluation and is approved; its users dislike it")
    cast.people.author("apply", "-f", str(HERE / "release-2.2.0.yaml"))
    for suite in ("support-regression", "support-safety"):
        _keep_run(story, "2.2.0", suite)
    release.publish_card(cast, "2.2.0", HERE / "card-2.2.0.yaml")
    filed = release.file_release(cast, "2.2.0", HERE / "plan.yaml")
    release.approve(cast, filed["request"])
    release.start(cast, filed["id"])
    ended = release.watch(cast, filed["id"], 60)
    if ended["state"] != "rolled_back":
        raise StoryFailed(f"2.2.0 should have been rolled back; it is {ended['state']}")
    time.sleep(2)  # what is still in flight ends, so that the last request started on 2.2.0 is known

    incident = cast.people.operator("incident", "list", "--rollout", filed["id"]).value[0]
    shown = cast.people.operator("incident", "show", incident["id"]).value
    narrator.say(json.dumps(shown, indent=2, ensure_ascii=False, default=str))
    committed = release.moment(ended["ended_at"])
    last = story.traffic.seen.last_start.get(cast.ref("2.2.0"), committed)
    delay_ms = max(0.0, 1000 * (last - committed))
    canary_s = committed - release.moment(ended["started_at"])
    narrator.say(f"taken back {canary_s:.1f} s after its start, at {100 * _share(ended):g} % of units")
    narrator.say(f"from the commit to the last request started on 2.2.0: {delay_ms:.0f} ms")
    narrator.keep(
        "rollback", {"canary_s": canary_s, "commit_to_last_request_ms": delay_ms, "incident": shown}
    )


def _share(ended: Mapping[str, Any]) -> float:
    """Give the share of the step at which a rollout ended."""
    share: float = ended["plan"]["steps"][ended["step"]]["share"]
    return share


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ndemo: ended by you")
        sys.exit(130)
