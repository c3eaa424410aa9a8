"""The processes of a story: started on free ports, watched, stopped."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

CHILD = Path(__file__).with_name("child.py")
READY_S = 30.0
STOP_S = 5.0


class StoryFailed(Exception):
    """The story cannot go on; the text says why and where to look."""


@dataclass(slots=True)
class Child:
    """One process, its log, and the first line that said it was ready."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    ready: re.Match[str]


@dataclass(frozen=True, slots=True)
class Start:
    """What to start: `assent <command>`, and the pattern of the line that says it is ready."""

    name: str
    command: Sequence[str]
    ready: str
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Children:
    """All processes of a story."""

    folder: Path
    env: Mapping[str, str]
    running: dict[str, Child] = field(default_factory=dict)

    def start(
        self, name: str, command: Sequence[str], ready: str, env: Mapping[str, str] | None = None
    ) -> Child:
        """Start `assent <command>` and wait for the line that matches `ready`."""
        return self.start_all(Start(name, command, ready, env or {}))[0]

    def start_all(self, *starts: Start) -> list[Child]:
        """Start several at once and wait until each is ready."""
        launched = [(start, *self._launch(start)) for start in starts]
        try:
            for start, process, log in launched:
                ready = _await(start.name, process, log, start.ready)
                self.running[start.name] = Child(start.name, process, log.path, ready)
        except BaseException:
            for start, process, _ in launched:
                if start.name not in self.running:
                    process.kill()
                    process.wait()
            raise
        return [self.running[start.name] for start in starts]

    def _launch(self, start: Start) -> tuple[subprocess.Popen[bytes], _Log]:
        log = self.folder / f"{start.name}.log"
        with log.open("ab") as out:
            before = out.tell()
            process = subprocess.Popen(
                [sys.executable, str(CHILD), *start.command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**self.env, **start.env, "STORY_PARENT": str(os.getpid())},
            )
        return process, _Log(log, before)

    def check(self) -> None:
        """See that everything still runs. Raises: StoryFailed, naming what ended."""
        for child in self.running.values():
            code = child.process.poll()
            if code is not None:
                raise StoryFailed(f"the process {child.name!r} ended {_how(code)}; its log is {child.log}")

    def kill(self, name: str) -> None:
        """End one by SIGKILL, as a crash would."""
        child = self.running.pop(name)
        child.process.kill()
        child.process.wait()

    def stop(self) -> None:
        """End all in order, then by force."""
        for child in self.running.values():
            child.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + STOP_S
        for child in self.running.values():
            try:
                child.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        self.running.clear()


@contextmanager
def children(folder: Path, env: Mapping[str, str]) -> Iterator[Children]:
    """Have processes for the length of the block; none outlives it."""
    folder.mkdir(parents=True, exist_ok=True)
    held = Children(folder, {**os.environ, **env})
    try:
        yield held
    finally:
        held.stop()


@dataclass(frozen=True, slots=True)
class _Log:
    """What a process has logged since its start; what an earlier one of its name logged is left out."""

    path: Path
    begins_at: int

    def text(self) -> str:
        return self.path.read_bytes()[self.begins_at :].decode(errors="replace")


def _await(name: str, process: subprocess.Popen[bytes], log: _Log, ready: str) -> re.Match[str]:
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        found = re.search(ready, log.text())
        if found:
            return found
        code = process.poll()
        if code is not None:
            tail = "\n".join(log.text().splitlines()[-12:])
            raise StoryFailed(f"the process {name!r} ended {_how(code)} before it was ready:\n{tail}")
        time.sleep(0.05)
    raise StoryFailed(f"the process {name!r} was not ready after {READY_S:.0f} s; its log is {log.path}")


def _how(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with exit code {code}"
