"""The stage of a story: one at a time, from nothing, with everything stopped at the end."""

from __future__ import annotations

import argparse
import fcntl
import json
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from assent_client.api import Api
from examples.story import desk as desks
from examples.story.cli import Narrator
from examples.story.processes import Children, StoryFailed, children
from examples.story.release import Cast
from examples.story.traffic import Traffic

MIN_RATE = 150.0
MIN_RETURNING = 0.30
PEOPLE = (("ada", "author"), ("rita", "reviewer"), ("otto", "operator"), ("admin", "administrator"))


@dataclass(slots=True)
class Story:
    """What the chapters share."""

    cast: Cast
    desk: desks.Desk
    narrator: Narrator
    traffic: Traffic | None
    gateway: str
    folder: Path
    stays: bool = False
    """Whether the system is left running; then traffic slower than promised is told only."""


@dataclass(frozen=True, slots=True)
class Play:
    """A story to perform: its name, its first line, how it begins, and its chapters."""

    name: str
    first_line: str
    folder: Path
    begin: Callable[[Narrator, Children], Story]
    tell: Callable[[Story], None]


def perform(play: Play, options: argparse.Namespace) -> int:
    """Perform it; 0 when everything held. The last line says `<name>: passed` or why it failed."""
    narrator = Narrator()
    print(play.first_line)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    lock = play.folder.with_name(play.folder.name + ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"{play.name}: failed: another one runs in this folder; end it first")
        return 1
    try:
        _perform(play, options, narrator)
    except StoryFailed as failure:
        print(f"\n{play.name}: failed: {failure}")
        return 1
    finally:
        narrator.keep("seconds", round(time.monotonic() - narrator.began, 1))
        if options.json:
            options.json.write_text(json.dumps(narrator.figures, indent=2, default=str) + "\n")
        lock.close()
    print(f"\n{narrator.figures['seconds']} s; data and logs are in {play.folder.name}/")
    print(f"{play.name}: passed")
    return 0


def _perform(play: Play, options: argparse.Namespace, narrator: Narrator) -> None:
    desks.fresh(play.folder)
    port = options.port or desks.free_port()
    with children(play.folder / "logs", desks.environment(play.folder, port)) as running:
        story = play.begin(narrator, running)
        story.stays = options.stay
        try:
            play.tell(story)
        finally:
            if story.traffic is not None:
                story.traffic.stop()
        if options.stay:
            _stay(story)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what every story takes."""
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument("--stay", action="store_true", help="leave the system running afterwards")
    parser.add_argument("--port", type=int, default=0, help="port of the server; by default a free one")


def prove(story: Story) -> None:
    """Verify the ledger, replay it, and have the replay find an edited row in a copy."""
    narrator, desk = story.narrator, story.desk
    narrator.chapter("The ledger verifies, and its replay gives the same tables")
    root = story.folder / "root.json"
    with Api(desk.url) as api:
        root.write_text(json.dumps(api.get("/ledger/root")))
    verified = desk.admin("ledger", "verify", "--trust", str(root)).value
    narrator.say(f"{verified['verdict']}: {verified['size']} leaves, root {verified['root']}")
    here = {"ASSENT_DATA_DIR": str(desk.data_dir), "ASSENT_DATABASE_URL": ""}
    replayed = desk.admin("ledger", "replay", "--check", env=here).value
    narrator.say(f"{replayed['verdict']}: {replayed['n_leaves']} leaves, {replayed['n_rows']} rows")
    narrator.keep("ledger", {"size": verified["size"], "replayed_rows": replayed["n_rows"]})

    narrator.chapter("Somebody edits one row behind the product's back, in a copy: the replay finds it")
    copy = story.folder / "copy"
    _copy(desk.data_dir, copy)
    with sqlite3.connect(copy / "assent.db") as edited:
        edited.execute("UPDATE identity_members SET since = '2020-01-01T00:00:00.000000Z'")
    edited.close()
    elsewhere = {**here, "ASSENT_DATA_DIR": str(copy)}
    first = desk.admin("ledger", "replay", "--check", ends=(1,), env=elsewhere).value["differences"][0]
    narrator.say(f"table {first['table']}, row {first['key']}, column {first['column']}:")
    narrator.say(f"  expected {first['expected']}, found {first['found']}")
    narrator.keep("edited_row", first)


def _copy(data: Path, copy: Path) -> None:
    """Copy a data directory while its server runs: the database by its own backup."""
    shutil.copytree(data, copy, ignore=shutil.ignore_patterns("assent.db*", "journals"))
    with sqlite3.connect(data / "assent.db") as source, sqlite3.connect(copy / "assent.db") as target:
        source.backup(target)
    source.close()
    target.close()


def end_traffic(story: Story) -> None:
    """End the traffic and hold it against what was promised of it. Raises: StoryFailed."""
    if story.traffic is None:
        raise StoryFailed("this story has no traffic to end")
    seen = story.traffic.stop()
    returning = seen.n_returning / max(1, seen.n)
    served = ", ".join(f"{version}: {n}" for version, n in sorted(seen.by_version.items()))
    story.narrator.chapter("The traffic")
    story.narrator.say(
        f"{seen.n} requests, {seen.rate:.0f}/s, {100 * returning:.0f} % from returning users, "
        f"{seen.n_failed} failed; {served}"
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
        short = (
            f"the traffic was {seen.rate:.0f} requests/s with {100 * returning:.0f} % from returning users; "
            f"it takes {MIN_RATE:.0f} and {100 * MIN_RETURNING:.0f} %. Is the machine busy otherwise?"
        )
        if not story.stays:
            raise StoryFailed(short)
        story.narrator.say(short)


def _key(story: Story) -> str:
    key: str = story.desk.admin("key", "issue", "production", "visitor", "--model", story.cast.system).value[
        "key"
    ]
    return key


def _link(story: Story, who: str) -> str:
    url: str = story.desk.admin("user", "link", who).value["url"]
    return url


def _to_paste(story: Story, links: Mapping[str, str]) -> list[str]:
    """Give the lines that make a terminal one of this system: `as otto rollout list`."""
    gateway = story.gateway.removesuffix("/v1")
    return [
        ". .venv/bin/activate",
        f"export ASSENT_URL={story.desk.url} ASSENT_PROJECT={story.desk.project}",
        f"export ASSENT_GATEWAY={gateway} ASSENT_KEY={_key(story)}",
        f'as() {{ who=$1; shift; XDG_CONFIG_HOME="{story.desk.folder}/people/$who" assent "$@"; }}',
        """sign_in() { as "$1" login --link "$(as admin user link "$1" | sed 's/.* //')"; }""",
        *(f"as {who} login --link {link}" for who, link in links.items()),
    ]


def _stay(story: Story) -> None:
    narrator = story.narrator
    narrator.chapter("The system stays up; each link works once and lives 15 minutes")
    browser, terminal = ({who: _link(story, who) for who, _ in PEOPLE} for _ in range(2))
    narrator.say(
        "\n".join(["", f"console: {story.desk.url}", *(f"{role:13} {browser[who]}" for who, role in PEOPLE)])
    )
    lines = _to_paste(story, terminal)
    narrator.say(f"\nfor a terminal of your own, in this folder ({', '.join(browser)} are who acts):\n")
    print("\n".join(lines), flush=True)
    narrator.say(
        "\nvotes and confirmations take a sign-in at most 10 minutes old: `sign_in rita` signs in again"
    )
    narrator.say("\nCtrl-C ends it.")
    while True:
        story.cast.children.check()
        time.sleep(1)
