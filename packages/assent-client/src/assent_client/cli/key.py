"""`assent key`: keys of applications that call a gateway."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.output import Column, Columns, emit, note
from assent_client.errors import Invalid

__all__ = ["app"]

app = typer.Typer()

COLUMNS: Columns = [
    "id",
    "environment",
    "name",
    Column("names", "models"),
    Column("limits", "limits"),
    Column("issued_at", "issued"),
    Column("revoked_at", "revoked"),
]


def _cost(cost: dict[str, float]) -> str:
    return ", ".join(f"{amount:,.4f} {currency}" for currency, amount in sorted(cost.items())) or "-"


USAGE: Columns = [
    Column("period"),
    Column("n_calls", "calls", right=True),
    Column("tokens_in", right=True),
    Column("tokens_out", right=True),
    Column("cost", right=True, show=_cost),
    Column("n_cost_unknown", "calls of unknown cost", right=True),
]


@app.command("list")
def list_(environment: Annotated[str | None, typer.Option("--env", help="Only of this one.")] = None) -> None:
    """List keys, without their secrets."""
    with connect() as api:
        emit(list(api.pages(api.path("keys"), environment=environment)), COLUMNS, empty="No keys.")


@app.command()
def show(key: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Show a key, without its secret: what it may call and how much."""
    with connect() as api:
        emit(api.get(api.path("keys", key)), COLUMNS)


@app.command()
def usage(key: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Show what a key was used for, this day and this month (UTC), beside its limits.

    Example: assent key usage key_0190… --json
    """
    with connect() as api:
        emit(api.get(api.path("keys", key, "usage")), _print_usage)


@app.command()
def issue(
    environment: str,
    name: Annotated[str, typer.Argument(help="The application.")],
    model: Annotated[list[str] | None, typer.Option(help="A model it may call; else all.")] = None,
) -> None:
    """Issue a key for an application in an environment; its secret is shown once."""
    body = {"environment": environment, "name": name, "names": model or ["*"]}
    with connect() as api:
        emit(api.post(api.path("keys"), body), ["key"])
    note("Keep it now: it is not shown again.")


@app.command()
def limit(  # noqa: PLR0913 -- each is one option
    key: Annotated[str, typer.Argument(metavar="ID")],
    *,
    requests_per_minute: Annotated[int | None, typer.Option(min=1, help="Calls within a minute.")] = None,
    tokens_per_minute: Annotated[int | None, typer.Option(min=1, help="Tokens in and out.")] = None,
    tokens_per_day: Annotated[int | None, typer.Option(min=1, help="Tokens in a day (UTC).")] = None,
    cost_per_day: Annotated[
        str | None, typer.Option(help="Money in a day (UTC), by the table of prices.")
    ] = None,
    cost_per_month: Annotated[str | None, typer.Option(help="Money in a calendar month (UTC).")] = None,
    currency: Annotated[str, typer.Option(help="Of these costs.")] = "USD",
    none: Annotated[bool, typer.Option("--none", help="Take all limits away.")] = False,
) -> None:
    """Set how much a key allows; what is not named has no limit. Gateways answer 429 beyond it.

    Example: assent key limit key_0190… --requests-per-minute 600 --cost-per-day 50 --currency USD
    """
    wanted = {
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "tokens_per_day": tokens_per_day,
        "cost_per_day": cost_per_day,
        "cost_per_month": cost_per_month,
        "currency": currency if cost_per_day or cost_per_month else None,
    }
    said = {name: value for name, value in wanted.items() if value is not None}
    if bool(said) == none:
        raise Invalid("Name at least one limit, or --none.", remedy="See `assent key limit --help`.")
    with connect() as api:
        emit(api.put(api.path("keys", key, "limits"), said))


@app.command()
def revoke(key: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Revoke a key; gateways refuse it within a second."""
    with connect() as api:
        api.delete(api.path("keys", key))
    emit({"id": key, "revoked": True})


def _print_usage(found: Any) -> None:
    rows = [{"period": period, **found[period]} for period in ("day", "month")]
    emit([*rows, *({"period": one["ref"], **one} for one in found["versions"])], USAGE)
    emit(found["limits"] or "No limits.")
