"""`assent provider replay`: an upstream that answers from recorded completions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@app.command()
def replay(  # noqa: PLR0913 -- each is one option
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help='JSONL: {"model", "prompt", "completion"} a line.')
    ],
    *,
    host: Annotated[str, typer.Option(help="Address to bind.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 0,
    latency_ms: Annotated[float, typer.Option(min=0, max=600_000, help="Wait before each answer.")] = 20,
    latency_jitter_ms: Annotated[
        float, typer.Option(min=0, max=600_000, help="Wait up to so much more or less, evenly.")
    ] = 0,
    error_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the calls that fail with 500.")
    ] = 0,
    seed: Annotated[int | None, typer.Option(help="Repeat the same waits and errors.")] = None,
    log: Annotated[bool, typer.Option("--log", help="Write a line for each call to standard error.")] = False,
    exit_with_parent: Annotated[
        bool, typer.Option("--exit-with-parent", help="End when the process that started it ends.")
    ] = False,
) -> None:
    """Answer chat completions from recorded ones, as an OpenAI-compatible upstream.

    The key is the model and the last user message, exactly; anything else is 404 `recording_not_found`.
    It asks for no key of its callers: bind it to loopback, or to a network that you trust.

    Example: assent provider replay answers.jsonl --port 8409 --error-rate 0.05 --seed 1
    """
    parent = os.getppid() if exit_with_parent else None  # first of all: a parent may die while files are read
    from assent.commands.replaying import Plan, run_replay  # noqa: PLC0415 -- commands start fast: load when called
    from assent.providers.replay import Drill  # noqa: PLC0415 -- as above

    drill = Drill(latency_ms / 1000, latency_jitter_ms / 1000, error_rate, seed)
    run_replay(Plan(files, host, port, drill, log, parent))
