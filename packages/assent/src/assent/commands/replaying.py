"""Run a replay server from the command line: announce it, end it in order."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assent.providers.replay import Drill, Player, Replay, read_recordings, serve
from assent_client.cli.connection import OPTIONS
from assent_client.cli.output import emit

if sys.platform != "win32":
    from uvloop import run
else:
    from asyncio import run


@dataclass(frozen=True, slots=True)
class Plan:
    """What to replay, where and how; `parent` is the process whose end ends it."""

    files: Sequence[Path]
    host: str
    port: int
    drill: Drill
    is_logging: bool = False
    parent: int | None = None


def run_replay(plan: Plan) -> None:
    """Serve until SIGTERM or SIGINT; say where once it listens. Raises: Invalid, Conflict."""
    recordings = read_recordings(plan.files)
    if plan.is_logging:
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    replay = Replay(Player(recordings, plan.drill), plan.is_logging)

    def ready(base_url: str) -> None:
        n_completions, n_models = recordings.n_completions, len(recordings.by_model)
        if OPTIONS.json:
            emit({"base_url": base_url, "n_completions": n_completions, "n_models": n_models})
        else:
            sys.stdout.write(f"replaying {n_completions} completions of {n_models} models on {base_url}\n")
        sys.stdout.flush()

    async def main() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await serve(replay, plan.host, plan.port, ready, stop, with_parent=plan.parent)

    run(main())
