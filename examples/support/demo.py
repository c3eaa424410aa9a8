"""The main job, end to end, on free loopback ports: `make demo`.

2.0.0 is live; 2.1.0 is better and goes out in steps; 2.2.0 passes its evaluation, its users dislike it, and its
rollout takes itself back. All data are synthetic.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from assent_client.api import Api  # noqa: E402 -- the story's own folder comes first
from examples.story import desk as desks  # noqa: E402 -- as above
from examples.story import release  # noqa: E402 -- as above
from examples.story.cli import Narrator  # noqa: E402 -- as above
from examples.story.processes import StoryFailed, children  # noqa: E402 -- as above
from examples.story.release import Cast, People  # noqa: E402 -- as above
from examples.story.traffic import Audience, Seen, Traffic  # noqa: E402 -- as above

HERE = Path(__file__).parent
FOLDER = ROOT / ".demo"
SYSTEM = "customer-support-assistant"
PROJECT = "support"
RATE = 170.0
MIN_RATE = 150.0
MIN_RETURNING = 0.30
MIN_CANARY_UNITS = 30
UNHAPPY = {f"{SYSTEM}@2.2.0": 0.60}
USUALLY_UNHAPPY = 0.05


@dataclass(slots=True)
class Story:
    """What the chapters share."""

    cast: Cast
    desk: desks.Desk
    narrator: Narrator
    traffic: Traffic
    gateway: str


def main() -> int:
    """Run the story; 0 when everything held."""
    options = _options()
    narrator = Narrator()
    print(
        "Assent demo. Everything in it is synthetic: the company, its customers, the questions and the answers."
    )
    lock = (ROOT / ".demo.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("demo: failed: another demo runs in this folder; end it first")
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        desks.fresh(FOLDER)
        port = options.port or desks.free_port()
        with children(FOLDER / "logs", desks.environment(FOLDER, port)) as running:
            story = _begin(narrator, running)
            try:
                _tell(story)
            finally:
                story.traffic.stop()
            _check(story)
            if options.stay:
                _stay(story)
    except StoryFailed as failure:
        print(f"\ndemo: failed: {failure}")
        return 1
    finally:
        narrator.keep("seconds", round(time.monotonic() - narrator.began, 1))
        if options.json:
            options.json.write_text(json.dumps(narrator.figures, indent=2, default=str) + "\n")
    print(f"\n{narrator.figures['seconds']} s; data and logs are in {FOLDER.relative_to(ROOT)}/")
    print("demo: passed")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument(
        "--stay", action="store_true", help="leave the system running afterwards, until Ctrl-C"
    )
    parser.add_argument("--port", type=int, default=0, help="port of the server; by default a free one")
    return parser.parse_args()


def _begin(narrator: Narrator, running: Any) -> Story:
    narrator.chapter(
        "An installation: an upstream that replays recorded answers, a server, a worker, a gateway"
    )
    data = HERE / "data"
    provider = desks.start_provider(running, sorted(data.glob("answers-*.jsonl")))
    desk = desks.open_desk(narrator, running, FOLDER, PROJECT)
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
    return Story(cast, desk, narrator, Traffic(audience).start(), gateway)


def _described(provider: int) -> Path:
    """Copy the example's description with the port of this run's upstream."""
    folder = FOLDER / "project"
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("__pycache__", "demo.py"))
    described = folder / "assent.yaml"
    described.write_text(
        described.read_text().replace("http://127.0.0.1:8409", f"http://127.0.0.1:{provider}")
    )
    return folder


def _tell(story: Story) -> None:
    _better_version(story)
    _worse_version(story)
    _proof(story)


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


def _proof(story: Story) -> None:
    cast, narrator, desk = story.cast, story.narrator, story.desk
    narrator.chapter("The card of 2.1.0")
    narrator.say(cast.people.reviewer("card", "show", cast.ref("2.1.0"), "--format", "brief").value_text())

    narrator.chapter("The ledger verifies, and its replay gives the same tables")
    root = FOLDER / "root.json"
    with Api(desk.url) as api:
        root.write_text(json.dumps(api.get("/ledger/root")))
    verified = desk.admin("ledger", "verify", "--trust", str(root)).value
    narrator.say(f"{verified['verdict']}: {verified['size']} leaves, root {verified['root']}")
    here = {"ASSENT_DATA_DIR": str(desk.data_dir), "ASSENT_DATABASE_URL": ""}
    replayed = desk.admin("ledger", "replay", "--check", env=here).value
    narrator.say(f"{replayed['verdict']}: {replayed['n_leaves']} leaves, {replayed['n_rows']} rows")
    narrator.keep("ledger", {"size": verified["size"], "replayed_rows": replayed["n_rows"]})

    narrator.chapter("Somebody edits one row behind the product's back, in a copy: the replay finds it")
    copy = FOLDER / "copy"
    _copied(desk.data_dir, copy)
    with sqlite3.connect(copy / "assent.db") as edited:
        edited.execute("UPDATE identity_members SET since = '2020-01-01T00:00:00.000000Z'")
    edited.close()
    found = desk.admin(
        "ledger", "replay", "--check", ends=(1,), env={**here, "ASSENT_DATA_DIR": str(copy)}
    ).value
    first = found["differences"][0]
    narrator.say(
        f"{first['table']} {first['key']} {first['column']}: expected {first['expected']}, found {first['found']}"
    )
    narrator.keep("edited_row", first)


def _copied(data: Path, copy: Path) -> None:
    """Copy a data directory while its server runs: the database by its own backup."""
    shutil.copytree(data, copy, ignore=shutil.ignore_patterns("assent.db*", "journals"))
    with sqlite3.connect(data / "assent.db") as source, sqlite3.connect(copy / "assent.db") as target:
        source.backup(target)
    source.close()
    target.close()


def _check(story: Story) -> None:
    """Hold the traffic against what was promised of it. Raises: StoryFailed."""
    seen: Seen = story.traffic.seen
    returning = seen.n_returning / max(1, seen.n)
    story.narrator.chapter("The traffic")
    story.narrator.say(
        f"{seen.n} requests, {seen.rate:.0f}/s, {100 * returning:.0f} % from returning users, {seen.n_failed} failed; "
        + ", ".join(f"{version}: {n}" for version, n in sorted(seen.by_version.items()))
    )
    story.narrator.keep(
        "traffic",
        {
            "n": seen.n,
            "per_s": seen.rate,
            "returning": returning,
            "failed": seen.n_failed,
            "failures": dict(seen.failures),
            "by_version": dict(seen.by_version),
            "thumbs_down": dict(seen.thumbs_down),
        },
    )
    if seen.n_failed:
        raise StoryFailed(f"{seen.n_failed} requests failed: {dict(seen.failures)}")
    if seen.rate < MIN_RATE or returning < MIN_RETURNING:
        raise StoryFailed(
            f"the traffic was {seen.rate:.0f}/s with {100 * returning:.0f} % returning users: too little"
        )


def _stay(story: Story) -> None:
    admin, narrator = story.desk.admin, story.narrator
    narrator.chapter("The system stays up; the links work once and live 15 minutes")
    narrator.say(f"console: {story.desk.url}\ngateway: {story.gateway}")
    for who, role in (("ada", "author"), ("rita", "reviewer"), ("otto", "operator")):
        narrator.say(f"{role:9} {admin('user', 'link', who).value['url']}")
    narrator.say("Ctrl-C ends it.")
    while True:
        story.cast.children.check()
        time.sleep(1)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ndemo: ended by you")
        sys.exit(130)
