"""`assent compliance`: what the record shows of each catalogue; who answers, and how risky a system is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.output import Column, emit, note, print_text
from assent_client.cli.strict_yaml import read
from assent_client.errors import Invalid

__all__ = ["Role", "Standing", "app"]

app = typer.Typer(no_args_is_help=True)


class Standing(StrEnum):
    """What the record shows of a row."""

    MET = "met"
    NOT_MET = "not_met"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not_applicable"


class Role(StrEnum):
    """Who answers for what of a system."""

    OWNER = "owner"
    OVERSIGHT = "oversight"
    RISK = "risk"
    PRIVACY = "privacy"
    OPERATIONS = "operations"


Name = Annotated[str, typer.Argument(metavar="NAME", help="A system.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in a sentence.")]
WORDS = {"met": "met", "not_met": "NOT MET", "unknown": "unknown", "not_applicable": "not applicable"}
ROWS = [
    Column("catalogue"),
    Column("id", "row"),
    Column("standing", show=lambda value: WORDS.get(value, str(value))),
    Column("have", "what the record shows"),
    Column("to_do"),
]
SYSTEMS = [
    Column("name"),
    Column("version"),
    Column("why"),
    Column("live"),
    Column("tier"),
    Column("classified", "by questionnaire"),
    Column("below", "below it"),
    Column("roles"),
]


@app.command()
def coverage(
    about: Annotated[
        str, typer.Argument(metavar="NAME[@VERSION]", help="A version; of a system, the one that is live.")
    ],
    catalogue: Annotated[str | None, typer.Option("--catalogue", help="Only this one.")] = None,
    standing: Annotated[Standing | None, typer.Option("--standing", help="Only rows with this.")] = None,
) -> None:
    """Say what the record shows of each requirement: it is no legal assessment."""
    with connect() as api:
        found = api.get(
            api.path("systems", about, "coverage"),
            catalogue=catalogue,
            standing=standing.value if standing else None,
        )
    emit(found, _print_coverage)


@app.command()
def catalogue(
    which: Annotated[str | None, typer.Argument(metavar="CATALOGUE", help="Its id; else list all.")] = None,
) -> None:
    """List the catalogues, or the rows of one with the checks that show them."""
    with connect() as api:
        items = list(api.pages(api.path("catalogues")))
    if which is None:
        lines = [{**one, "rows": len(one["rows"])} for one in items]
        emit(lines, ["id", "title", "as_of", "secondary", Column("rows", right=True), "source"])
        return
    found = next((one for one in items if one["id"] == which), None)
    if found is None:
        known = ", ".join(one["id"] for one in items)
        raise Invalid(f"There is no catalogue {which!r}.", remedy=f"There are {known}.")
    note(f"{found['title']}, as of {found['as_of']}. {found['note']} Source: {found['source']}.")
    emit(found["rows"], ["id", "says", "checks", "applies_from", "organisational"])


@app.command()
def inventory() -> None:
    """List the systems: what is live, how risky they are, who answers for them."""
    with connect() as api:
        items = list(api.pages(api.path("inventory")))
    emit(items, _print_systems)


@app.command()
def questions() -> None:
    """Print the risk questionnaire as a YAML form, every answer still to be given."""
    with connect() as api:
        found = api.get(api.path("questionnaire"))
    emit(found, lambda asked: print_text(_form(asked)))


@app.command()
def classify(
    name: Name,
    file: Annotated[Path, typer.Option("--file", "-f", help="The form of `questions`, filled in (YAML).")],
    reason: Reason,
) -> None:
    """Answer the risk questionnaire about a system; the tier follows from the answers."""
    answers = read(file).value
    if not isinstance(answers, dict):
        raise Invalid(f"{file} holds no answers.", remedy=f"assent compliance questions > {file}")
    plain = {str(key): _answer(value) for key, value in answers.items()}
    with connect() as api:
        body = {"answers": plain, "reason": reason}
        found = api.post(api.path("systems", name, "classifications"), body)
    emit(found, ["name", "tier", "questionnaire", "classified_at", "id"])


@app.command()
def assign(
    name: Name,
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="owner, oversight, risk, privacy, operations")],
    person: Annotated[str, typer.Argument(metavar="PERSON", help="Name of a person.")],
    reason: Reason,
) -> None:
    """Let a person answer for something of a system."""
    with connect() as api:
        path = api.path("systems", name, "roles", role.value)
        found = api.put(path, {"person": person, "reason": reason})
    emit({**found, "person": person}, ["name", "role", "person", "assigned_at"])


@app.command()
def attest(
    name: Name,
    catalogue: Annotated[str, typer.Argument(metavar="CATALOGUE")],
    row: Annotated[str, typer.Argument(metavar="ROW")],
    reason: Reason,
    days: Annotated[int, typer.Option("--days", help="For how long this is stated.")] = 365,
) -> None:
    """State that an organisational control is in place; records alone never show one."""
    body = {"catalogue": catalogue, "row": row, "days": days, "reason": reason}
    with connect() as api:
        emit(api.post(api.path("systems", name, "statements"), body))


@app.command()
def retain(
    logs_days: Annotated[int, typer.Option("--logs-days", help="AI Act 19 and 26(6): 183 at least.")],
    records_days: Annotated[int, typer.Option("--records-days", help="AI Act 18: 3653 at least.")],
    reason: Reason,
) -> None:
    """Set how long the project keeps logs and records; coverage reads it."""
    body = {"logs_days": logs_days, "records_days": records_days, "reason": reason}
    with connect() as api:
        emit(api.put(api.path("retention"), body), ["logs_days", "records_days", "set_at"])


def _print_coverage(found: Any) -> None:
    note(f"{found['ref']} ({found['why']}): {found['says']}.")
    lines = []
    for one in found["catalogues"]:
        counts = ", ".join(f"{n} {WORDS[key]}" for key, n in one["summary"].items() if n)
        origin = ", from secondary sources" if one["secondary"] else ""
        note(f"{one['id']}, as of {one['as_of']}{origin}: {counts}.")
        for row in one["rows"]:
            missing = [check["remedy"] for check in row["checks"] if check["remedy"]]
            lines.append({**row, "catalogue": one["id"], "to_do": missing[0] if missing else ""})
    emit(lines, ROWS, empty="No row.")


def _form(asked: Any) -> str:
    lines = [f"# {asked['id']}, as of {asked['as_of']}: answer yes, no or unsure (which counts as yes)."]
    for one in asked["questions"]:
        lines += [f"# {one['asks']} ({one['source']}; yes: tier {one['tier']})", f"{one['id']}:"]
    return "\n".join(lines)


def _answer(value: Any) -> Any:
    """Read YAML's yes and no as words."""
    return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value


def _print_systems(items: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        {**one, "roles": ", ".join(f"{role}: {who}" for role, who in one["roles"].items())} for one in items
    ]
    emit(rows, SYSTEMS, empty="No system is registered.")
