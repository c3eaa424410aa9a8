"""`assent provider`: upstream endpoints of models, and when base models end."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.output import Column, Columns, emit, note
from assent_client.cli.rollout import confirm
from assent_client.errors import Invalid

__all__ = ["app"]

TOUCHED = [
    Column("ref", "version"),
    Column("base_model"),
    Column("ends_on"),
    Column("live"),
    Column("owner"),
    Column("status"),
    Column("source"),
]

PRICES: Columns = [
    "model",
    "provider",
    "currency",
    Column("input", right=True),
    Column("output", right=True),
    Column("cached", right=True),
    Column("as_of", "as of"),
    Column("is_override", "said here"),
    "source",
]

app = typer.Typer()

COLUMNS: Columns = ["name", "kind", Column("base_url", "base URL"), Column("api_key", "key")]
ENDS: Columns = [
    Column("base_model", "base model"),
    "provider",
    Column("ends_on", "ends", show=lambda day: day or "not at all"),
    Column("announced_on", "announced"),
    Column("as_of", "as of"),
    Column("is_override", "said here"),
    "source",
]

Name = Annotated[str, typer.Argument(help="Name that models give as their provider.")]
Seconds = Annotated[float | None, typer.Option(min=0.001, max=3600, help="Seconds.")]
BaseModel = Annotated[str, typer.Argument(metavar="BASE_MODEL")]


@app.command("list")
def list_() -> None:
    """List the providers of the project."""
    with connect() as api:
        emit(list(api.pages(api.path("providers"))), COLUMNS, empty="The project has no providers.")


@app.command()
def get(name: Name) -> None:
    """Show a provider."""
    with connect() as api:
        emit(api.get(api.path("providers", name)))


@app.command()
def add(  # noqa: PLR0913 -- each is one option
    name: Name,
    *,
    base_url: Annotated[
        str, typer.Option(help="What /chat/completions is appended to: https://api.example.com/v1")
    ],
    kind: Annotated[str, typer.Option(help="What it speaks: openai, azure or anthropic.")] = "openai",
    api_key: Annotated[
        str | None,
        typer.Option(help="Where gateway and worker find the key: env:NAME or file:/path; never the key."),
    ] = None,
    connect_timeout_s: Seconds = None,
    first_token_timeout_s: Seconds = None,
    idle_timeout_s: Seconds = None,
) -> None:
    """Set a provider up, or say anew how it is reached.

    Example: assent provider add main --base-url https://api.example.com/v1 --api-key env:EXAMPLE_KEY
    """
    said = {
        "connect_timeout_s": connect_timeout_s,
        "first_token_timeout_s": first_token_timeout_s,
        "idle_timeout_s": idle_timeout_s,
    }
    body: dict[str, Any] = {"base_url": base_url, "kind": kind, "api_key": api_key}
    body |= {key: value for key, value in said.items() if value is not None}
    with connect() as api:
        emit(api.put(api.path("providers", name), body))


@app.command()
def remove(
    name: Name, *, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> None:
    """Remove a provider: versions that name it can be asked no more, in production too."""
    confirm(f"Remove {name}? Versions that name it stop answering.", yes=yes)
    with connect() as api:
        api.delete(api.path("providers", name))
    emit({"name": name, "removed": True})


@app.command()
def ends() -> None:
    """List when base models end, as their providers announced it or as was said here."""
    with connect() as api:
        emit(list(api.pages(api.path("base-models"))), ENDS)


@app.command()
def end(
    base_model: BaseModel,
    *,
    on: Annotated[
        datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], metavar="DATE", help="The last day.")
    ] = None,
    never: Annotated[
        bool, typer.Option("--never", help="No end is known, whatever the calendar says.")
    ] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Let the shipped calendar speak again.")] = False,
    source: Annotated[str, typer.Option(help="Address of the page that says so.")] = "",
) -> None:
    """Say when a base model ends, for all projects; it goes before the shipped calendar.

    Example: assent provider end gpt-5 --on 2026-12-11 --source https://example.com/deprecations
    """
    if (on is not None) + never + forget != 1:
        raise Invalid("Say one of --on DATE, --never and --forget.")
    with connect() as api:
        path = api.join("v1", "base-models", *base_model.split("/"))
        if forget:
            api.delete(path)
            note(f"The shipped calendar speaks of {base_model} again.")
            return
        day = None if on is None else on.date().isoformat()
        emit(api.put(path, {"ends_on": day, "source": source}), ENDS)


@app.command()
def prices(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="Only what counts for it.")] = None,
) -> None:
    """List what a million tokens cost: the project's own word, else the dated table that ships."""
    with connect() as api:
        found = list(api.pages(api.path("prices"), model=model))
    emit(found, PRICES, empty="The price is unknown; say it: assent provider price MODEL --input …")


@app.command()
def price(  # noqa: PLR0913 -- each is one option
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A name, or the beginning of names: own-*")],
    *,
    input_: Annotated[str, typer.Option("--input", metavar="AMOUNT", help="Per million tokens read.")] = "",
    output: Annotated[str, typer.Option(metavar="AMOUNT", help="Per million tokens written.")] = "",
    cached: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="Per million tokens read from a cache.")
    ] = None,
    currency: Annotated[str, typer.Option(help="Three letters.")] = "USD",
    source: Annotated[str, typer.Option(help="Address of the page that says so.")] = "",
    forget: Annotated[bool, typer.Option("--forget", help="Let the shipped table speak again.")] = False,
) -> None:
    """Say what a model's tokens cost in this project; it goes before the shipped table.

    Example: assent provider price own-7b --input 0.2 --output 0.6 --source https://acme.example/contract
    """
    with connect() as api:
        path = api.path("prices", *model.split("/"))
        if forget:
            api.delete(path)
            note(f"The shipped table speaks of {model} again.")
            return
        body = {"currency": currency, "input": input_, "output": output, "source": source, "cached": cached}
        emit(api.put(path, body), PRICES)


@app.command()
def calendar() -> None:
    """Show the calendar of provider retirements: announced, shut down, source, as of when."""
    ends()


@app.command()
def touched(
    within: Annotated[str, typer.Option(metavar="DAYS", help="How far to look: 90d.")] = "90d",
    filter: Annotated[  # noqa: A002 -- the name of the option
        str | None, typer.Option(help="Which versions, as in `assent model search`.")
    ] = None,
    *,
    live: Annotated[
        bool | None, typer.Option("--live/--not-live", help="Those that serve, or those that do not.")
    ] = None,
) -> None:
    """List the versions whose base model ends within so many days, where they are live, who owns them.

    Example: assent provider touched --within 90d --filter "owner = ada" --live
    """
    days = within.removesuffix("d")
    if not days.isdecimal() or not days.isascii():
        raise Invalid(f"{within!r} is no number of days.", remedy="Write 90d.")
    asked = {"within_days": days, "filter": filter, "live": live}
    with connect() as api:
        found = list(api.pages(api.path("base-models", "touched"), **asked))
    emit(found, TOUCHED, empty=f"No version's base model ends within {days} days.")
