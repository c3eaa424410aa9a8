"""`assent monitor`: what is live, in figures, each estimate with its interval."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.output import Column, emit
from assent_client.errors import Frozen, Invalid

__all__ = ["Form", "app", "since_params"]

app = typer.Typer(no_args_is_help=True)

_LENGTH = re.compile(r"([0-9]{1,6})(s|min|m|h|d)\Z")
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}

_SHIFTS = [
    Column("kind"),
    Column("drifted"),
    Column("n_reference", "calls then", right=True),
    Column("n_present", "now", right=True),
    Column("psi", "stability index", right=True),
    Column("p", "p, corrected", right=True),
    Column("test"),
]


class Form(StrEnum):
    """What an export's file is."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


Environment = Annotated[str | None, typer.Option(help="Only this environment.")]
Since = Annotated[str, typer.Option(help="How far back (90s, 5m, 24h, 7d), or a moment in RFC 3339.")]
Until = Annotated[str | None, typer.Option(help="Until this moment, in RFC 3339; else until now.")]


@app.command()
def show(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A model, prompt or flag; else all.")
    ] = None,
    environment: Environment = None,
    since: Since = "1h",
    until: Until = None,
    *,
    variants: Annotated[bool, typer.Option(help="A row for each variant of each version.")] = False,
) -> None:
    """Show requests, errors, latency, tokens, cost and opinions by version; 95 % intervals in brackets."""
    with connect() as api:
        found = api.get(
            api.path("monitoring"), environment=environment, name=name, **since_params(since, until)
        )
    rows = found["variants" if variants else "versions"]
    emit(found, lambda _: emit(rows, _columns(variants=variants), empty="Nothing was served."))


@app.command()
def drift(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A model, prompt or flag.")] = None,
    environment: Environment = None,
    window: Annotated[str, typer.Option(help="How long both windows are.")] = "24h",
    back: Annotated[str, typer.Option(help="How much earlier the reference lies.")] = "7d",
    suite: Annotated[
        str | None,
        typer.Option(help="Compare with the newest run of this suite that it passed."),
    ] = None,
) -> None:
    """Compare inputs, outputs and latency with an earlier window; exit code 1 where something drifted.

    Example: assent monitor drift support --environment production --suite quality
    """
    asked = {"window_s": _seconds_of(window), "back_s": _seconds_of(back), "suite": suite}
    with connect() as api:
        found = api.get(api.path("drift"), environment=environment, name=name, **asked)
    emit(found, lambda _: emit(found["shifts"], _SHIFTS, empty="Nothing was served."))
    if found["drifted"]:
        raise typer.Exit(1)


@app.command()
def export(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A model, prompt or flag.")] = None,
    environment: Environment = None,
    since: Since = "1h",
    until: Until = None,
    form: Annotated[Form, typer.Option("--format", help="What the file is.")] = Form.JSONL,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file to write; else observations.FORMAT.")
    ] = None,
) -> None:
    """Write observed calls to a file, one row a call: at most a million, as far back as they are kept.

    Example: assent monitor export --format parquet --since 24h -o calls.parquet
    """
    path = out or Path(f"observations.{form.value}")
    asked = {"format": form.value, "environment": environment, "name": name, **since_params(since, until)}
    part = path.with_name(f".{path.name}.part")
    with connect() as api:
        try:
            with part.open("wb") as file:
                n_bytes = api.download(api.path("observations"), file, **asked)
            part.replace(path)
        except OSError as error:
            raise Frozen(
                f"{path} cannot be written: {error.strerror}.", remedy="Name a file that can, with --out."
            ) from error
        finally:
            part.unlink(missing_ok=True)
    emit({"file": str(path), "format": form.value, "bytes": n_bytes})


@app.command()
def spans() -> None:
    """Show how the sending of calls to the operator's OpenTelemetry collector goes.

    Exit code 1 where the newest attempt failed.

    Example: assent monitor spans --json
    """
    with connect() as api:
        found = api.get("/v1/span-export")
    emit(found)
    if found["n_failures"]:
        raise typer.Exit(1)


def _seconds_of(text: str) -> int:
    length = _LENGTH.match(text)
    if not length:
        raise Invalid(f"{text!r} is no length of time.", remedy="Write 5m, 24h or 7d.")
    return int(length.group(1)) * _UNITS[length.group(2)]


def since_params(since: str, until: str | None) -> dict[str, Any]:
    """Read a period as the API's parameters. Raises: Invalid."""
    length = _LENGTH.match(since)
    if length and until is None:
        return {"last_s": int(length.group(1)) * _UNITS[length.group(2)]}
    end = _moment(until) if until else datetime.now(UTC)
    start = (
        end - timedelta(seconds=int(length.group(1)) * _UNITS[length.group(2)]) if length else _moment(since)
    )
    return {"from_at": start.isoformat(), "to_at": end.isoformat() if until else None}


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"{text!r} is no time.", remedy="Write 24h, 7d or 2026-11-26T08:00:00Z.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _columns(*, variants: bool) -> list[Column]:
    return [
        Column("ref", "version"),
        Column("environment"),
        *([Column("variant")] if variants else []),
        Column("n_calls", "requests", right=True),
        Column("errors", right=True, show=_rate),
        Column("refusals", right=True, show=_rate),
        Column("guardrails", right=True, show=_rate),
        Column("thumbs_down", "thumbs-down of opinions", right=True, show=_rate),
        *(
            Column(f"latency_s.{name}", f"latency {name}", right=True, show=_seconds)
            for name in ("p50", "p95", "p99")
        ),
        Column("ttft_s.p50", "first token p50", right=True, show=_seconds),
        Column("tokens_in", right=True),
        Column("tokens_out", right=True),
        Column("cost", right=True, show=_cost),
    ]


def _rate(figures: Mapping[str, Any]) -> str:
    if figures["rate"] is None:
        return "-"
    low, high = figures["interval"]["low"], figures["interval"]["high"]
    return f"{100 * figures['rate']:.2f} % [{100 * low:.2f}, {100 * high:.2f}]"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g} s"


def _cost(cost: Mapping[str, Any] | None) -> str:
    if cost is None:
        return "unknown"
    return f"{cost['total']:.4f} {cost['currency']} (prices of {cost['price']['as_of']})"
