"""`assent eval estimate`: what a run would take."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.output import Column, emit, note

__all__ = ["USAGE", "add_to", "money", "tokens"]

UNKNOWN = "unknown"


def tokens(found: Any) -> str:
    """Show a total with its interval and what it rests on."""
    if found is None:
        return UNKNOWN
    if found["value"] is None:
        return f"at most {found['high']:,} ({found['basis']})"
    interval = "" if found["low"] is None else f" [{found['low']:,}, {found['high']:,}]"
    return f"{found['value']:,}{interval} ({found['basis']})"


def money(cost: Any, currency: str | None) -> str:
    """Show an amount with its interval; without a price it is unknown."""
    if currency is None or (cost["value"] is None and cost["high"] is None):
        return UNKNOWN
    if cost["value"] is None:
        return f"at most {cost['high']} {currency}"
    interval = "" if cost["low"] is None else f" [{cost['low']}, {cost['high']}]"
    return f"{cost['value']}{interval} {currency}"


SIDES = [
    Column("side"),
    Column("ref", "version"),
    Column("n_to_ask", "to ask", right=True),
    Column("n_reused", "reused", right=True),
    Column("tokens_in", "tokens in", show=tokens),
    Column("tokens_out", "tokens out", show=tokens),
    Column("shown_cost", "cost"),
    Column("shown_price", "price as of"),
]
BUDGETS = [
    Column("budget"),
    Column("limit", right=True),
    Column("expected", show=lambda value: UNKNOWN if value is None else f"{value:,.6g}", right=True),
    Column("used_up", "used up", show=lambda value: UNKNOWN if value is None else "yes" if value else "no"),
]


def _bounded(found: Any) -> str:
    if found is None:
        return UNKNOWN
    return f"{_figure(found['value'])} [{_figure(found['low'])}, {_figure(found['high'])}]"


def _figure(value: str | None) -> str:
    return "open" if value is None else f"{float(value):.4g}"


USAGE = [
    Column("side"),
    Column("n", "answers", right=True),
    Column("latency_p50_ms", "latency p50, ms", show=_bounded),
    Column("latency_p95_ms", "latency p95, ms", show=_bounded),
    Column("tokens_per_answer", "tokens an answer", show=_bounded),
    Column("cost_per_answer", "cost an answer", show=_bounded),
    Column("spent", show=lambda value: UNKNOWN if value is None else value, right=True),
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("estimate")(_estimate)


def _estimate(
    suite: Annotated[str, typer.Argument(metavar="SUITE[@VERSION]")],
    subject: Annotated[str, typer.Option("--subject", "-s", metavar="NAME@VERSION", help="What is asked.")],
    environment: Annotated[
        str, typer.Option("--env", help="Whose live version a gate against `live` compares with.")
    ] = "production",
    *,
    fresh: Annotated[bool, typer.Option("--fresh", help="As if no earlier answer were used.")] = False,
    through: Annotated[
        str | None, typer.Option("--through", metavar="MODEL@VERSION", help="What answers for a prompt.")
    ] = None,
) -> None:
    """Say what a run would take: cases, tokens, money and time; nothing is asked.

    Example: assent eval estimate facts --subject assistant@2.1.0
    """
    asked = {"suite": suite, "subject": subject, "environment": environment, "through": through}
    with connect() as api:
        found = api.get(api.path("estimates"), fresh=str(fresh).lower(), **asked)
    emit(found, _print)


def _print(found: Any) -> None:
    cost = found["cost"]
    emit(
        {
            "suite": found["suite"],
            "subject": found["subject"],
            "baseline": found["baseline"],
            "cases": f"{found['n_cases']:,}",
            "to ask": f"{found['n_to_ask']:,}, {found['n_reused']:,} are reused",
            "tokens": UNKNOWN if found["tokens"] is None else f"{found['tokens']:,}",
            "cost": UNKNOWN if cost is None else ", ".join(f"{v} {k}" for k, v in cost.items()) or "0",
            "time": UNKNOWN if found["seconds"] is None else f"{found['seconds']:,} s",
        }
    )
    emit([{**side, **_shown(side)} for side in found["sides"]], SIDES)
    if found["budgets"]:
        emit(found["budgets"], BUDGETS)
    if found["judges"]:
        note(f"What the judges of {', '.join(found['judges'])} take is not foreseen.")


def _shown(side: Any) -> dict[str, str]:
    price = side["price"]
    said = UNKNOWN if price is None else f"{price['as_of']}, {price['source']}"
    return {"shown_cost": money(side["cost"], side["currency"]), "shown_price": said}
