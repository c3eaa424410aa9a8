"""`assent quality`: judges that grade a share of the live calls, and what they say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.monitor import since_params
from assent_client.cli.output import Column, emit, note

__all__ = ["app"]

FAILED = 1

app = typer.Typer(no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The governed name whose calls are graded.")]
Environment = Annotated[str, typer.Option(help="The environment.")]
Reason = Annotated[str, typer.Option(help="Why; it stays on record.")]
Only = Annotated[str | None, typer.Option("--environment", help="Only this environment.")]
OnlyName = Annotated[str | None, typer.Argument(metavar="[NAME]", help="A governed name; else all.")]


def _score(score: Mapping[str, Any]) -> str:
    low, high = score["interval"]["low"], score["interval"]["high"]
    return "none yet" if score["mean"] is None else f"{score['mean']:.3f} [{low:.3f}, {high:.3f}]"


_SAMPLINGS = [
    Column("name"),
    Column("environment"),
    Column("enabled", "on"),
    Column("judge"),
    Column("passport.state", "passport"),
    Column("share", right=True),
    Column("per_day", "a day", right=True),
    Column("left_today", "left", right=True),
    Column("keep_days", "days kept", right=True),
    Column("trouble"),
]
_JUDGED = [
    Column("ref", "version"),
    Column("variant"),
    Column("environment"),
    Column("score", "score, 95 %", right=True, show=_score),
    Column("score.n", "units", right=True),
    Column("n_judged", "judged", right=True),
    Column("n_unreadable", "off-format", right=True),
    Column("n_waiting", "waiting", right=True),
    Column("n_failed", "failed", right=True),
    Column("n_left_out", "left out", right=True),
    Column("n_cut", "cut", right=True),
]
_SAMPLES = [
    Column("id"),
    Column("at"),
    Column("route", "name"),
    Column("variant"),
    Column("state"),
    Column("score", right=True),
    Column("counted"),
    Column("has_contents", "contents"),
]


@app.command("set")
def set_(  # noqa: PLR0913 -- each is a part of the setting
    name: Name,
    *,
    environment: Environment,
    judge: Annotated[str, typer.Option(help="A judge with a usable passport: assent judge list.")],
    share: Annotated[float, typer.Option(help="Share of the units whose calls are sampled, above 0 to 1.")],
    per_day: Annotated[int, typer.Option(help="At most so many judgements a day (UTC).")],
    reason: Reason,
    keep_days: Annotated[int, typer.Option(help="Days after which contents are erased, 1 to 90.")] = 7,
) -> None:
    """Have a judge grade a share of a name's live calls, or change how.

    Example: assent quality set assistant --environment production --judge polite --share 0.05
    --per-day 500 --reason "watch politeness"
    """
    body = {"judge": judge, "share": share, "per_day": per_day, "keep_days": keep_days, "reason": reason}
    with connect() as api:
        emit(api.put(api.path("environments", environment, "samplings", name), body))


@app.command()
def off(name: Name, *, environment: Environment, reason: Reason) -> None:
    """Grade a name's live calls no more; contents that are kept are erased in their time."""
    with connect() as api:
        emit(api.post(api.path("environments", environment, "samplings", name, "stops"), {"reason": reason}))


@app.command("list")
def list_() -> None:
    """List which names are graded, by which judge, and what is wrong; exit code 1 where something is."""
    with connect() as api:
        found = list(api.pages(api.path("samplings")))
    emit(found, _SAMPLINGS, empty="No live calls are graded: assent quality set has a judge grade some.")
    if any(one["trouble"] for one in found):
        raise typer.Exit(FAILED)


@app.command()
def show(
    name: OnlyName = None,
    environment: Only = None,
    since: Annotated[str, typer.Option(help="How far back: 24h, 7d.")] = "24h",
) -> None:
    """Show what judges say of each version, a unit one score, with 95 % intervals; and what was left out.

    Example: assent quality show assistant --environment production --since 7d
    """
    with connect() as api:
        asked = {"name": name, "environment": environment, **since_params(since, None)}
        found = list(api.pages(api.path("quality", "judged"), **asked))
    emit(found, _JUDGED, empty="Nothing was sampled.")


@app.command()
def samples(
    name: OnlyName = None,
    environment: Only = None,
    state: Annotated[str | None, typer.Option(help="waiting, judged, unreadable, failed, left_out.")] = None,
) -> None:
    """List sampled calls, newest first: how each was judged, and not what was said in it."""
    with connect() as api:
        found = api.pages(api.path("samples"), name=name, environment=environment, state=state)
        emit(list(found), _SAMPLES, empty="Nothing was sampled.")


@app.command()
def read(
    sample: Annotated[str, typer.Argument(metavar="SAMPLE", help="Id of a sample: assent quality samples.")],
    reason: Reason,
) -> None:
    """Read question and answer of a sampled call; that you did, and why, stays on record.

    Example: assent quality read 0f3c… --reason "the judge and the users disagree"
    """
    with connect() as api:
        found = api.post(api.path("samples", sample, "openings"), {"reason": reason})
    emit(found)
    note("That you read this is on record.")
