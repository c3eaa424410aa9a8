"""The processes of a story: one that ends is named, and none outlives the story."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from examples.story import stage
from examples.story.cli import Narrator
from examples.story.processes import StoryFailed, children
from examples.story.traffic import Seen

ROOT = Path(__file__).parents[2]
READY = r"replaying 1 completions of 1 models on (\S+)"
SCRIPT = """
import sys, time
from pathlib import Path
from examples.story.processes import children
folder = Path(sys.argv[1])
with children(folder, {}) as running:
    child = running.start("provider", ["provider", "replay", str(folder / "answers.jsonl")], "replaying 1")
    print(child.process.pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "answers.jsonl").write_text('{"model": "m", "prompt": "p", "completion": "c"}\n')
    return tmp_path


def until(observe, what, deadline_s):
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if value := observe():
            return value
        threading.Event().wait(0.02)
    raise AssertionError(f"{what} did not come within {deadline_s} s")


def is_gone(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def test_a_child_that_was_killed_is_named_with_its_log(folder):
    with children(folder, {}) as running:
        child = running.start("provider", ["provider", "replay", str(folder / "answers.jsonl")], READY)
        running.check()
        os.kill(child.process.pid, signal.SIGKILL)
        child.process.wait(5)
        with pytest.raises(StoryFailed, match="'provider' ended by signal 9") as failure:
            running.check()
        assert str(child.log) in str(failure.value)


def test_a_child_that_never_gets_ready_is_named_with_its_last_lines(folder):
    absent = str(folder / "absent.jsonl")
    with (
        children(folder, {}) as running,
        pytest.raises(StoryFailed, match=r"(?s)'provider' ended with exit code .*absent") as failure,
    ):
        running.start("provider", ["provider", "replay", absent], READY)
    assert "before it was ready" in str(failure.value)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to see whether a process of another ended")
def test_a_killed_story_takes_its_children_with_it(folder):
    story = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with story:
        child = int(story.stdout.readline())
        assert not is_gone(child)
        story.kill()
        story.wait(5)
        until(lambda: is_gone(child), "the end of the child", 5)


class Slow:
    """Traffic that has ended and was slower than promised."""

    def stop(self):
        return Seen(n=100, n_returning=40, began_at=0.0, ended_at=10.0)


@pytest.mark.parametrize("stays", [True, False])
def test_slow_traffic_fails_a_story_and_is_told_only_where_its_system_stays(stays, capsys):
    story = stage.Story(cast=None, desk=None, narrator=Narrator(), traffic=Slow(), gateway="", folder=ROOT)
    story.stays = stays
    if stays:
        stage.end_traffic(story)
        assert "it takes 150" in capsys.readouterr().out
    else:
        with pytest.raises(StoryFailed, match="it takes 150"):
            stage.end_traffic(story)
