"""The command line as people use it: every step of a story is a command that could be typed."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from examples.story.processes import StoryFailed

LIMIT_S = 120.0


@dataclass(slots=True)
class Narrator:
    """Prints the story and keeps its figures."""

    began: float = field(default_factory=time.monotonic)
    figures: dict[str, Any] = field(default_factory=dict)

    def chapter(self, text: str) -> None:
        """Begin a part of the story."""
        print(f"\n[{time.monotonic() - self.began:5.1f} s] {text}", flush=True)

    def say(self, text: str) -> None:
        """Tell a line."""
        print("".join(f"    {line}\n" for line in text.splitlines() or [""]), end="", flush=True)

    def keep(self, name: str, value: Any) -> None:
        """Keep a figure for --json."""
        self.figures[name] = value


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed, parsed, and how it ended."""

    code: int
    value: Any
    problem: Any
    """The problem document of a command that was refused."""

    def value_text(self) -> str:
        """Give the output of a command that prints text."""
        return (
            self.value
            if isinstance(self.value, str)
            else json.dumps(self.value, indent=2, ensure_ascii=False)
        )


@dataclass(frozen=True, slots=True)
class Cli:
    """The command `assent` as one person: their token, one server, one project."""

    narrator: Narrator
    url: str
    token: str
    project: str
    who: str

    def __call__(
        self, *command: str, ends: Sequence[int] = (0,), env: Mapping[str, str] | None = None
    ) -> Answer:
        """Run `assent …`, tell it, and give its JSON. Raises: StoryFailed when it ends otherwise."""
        self.narrator.say(f"{self.who} $ assent {shlex.join(command)}")
        settings = {"ASSENT_URL": self.url, "ASSENT_TOKEN": self.token, "ASSENT_PROJECT": self.project}
        done = subprocess.run(
            [str(Path(sys.executable).with_name("assent")), "--json", *command],
            env={**os.environ, **settings, **(env or {})},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode not in ends:
            raise StoryFailed(
                f"`assent {shlex.join(command)}` ended with {done.returncode}, "
                f"not {' or '.join(map(str, ends))}:\n"
                f"{done.stdout}{done.stderr}"
            )
        return Answer(done.returncode, _parsed(done.stdout), _parsed(done.stderr))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
