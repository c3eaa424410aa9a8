"""`assent apply`: make a project what one assent.yaml says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from assent_client.api import Api
from assent_client.cli.apply import identity, policies
from assent_client.cli.apply.flags import flags, segments
from assent_client.cli.apply.hooks import hooks
from assent_client.cli.apply.plan import Action, Change, Entry, Made, placed
from assent_client.cli.apply.providers import prices, providers
from assent_client.cli.apply.samplings import NEEDED, samplings
from assent_client.cli.apply.sections import entries_of
from assent_client.cli.apply.versions import VERSIONED, versions
from assent_client.cli.connection import OPTIONS, connect
from assent_client.cli.output import Column, emit, note, warn
from assent_client.cli.strict_yaml import read
from assent_client.errors import Conflict, Invalid, Reason

__all__ = ["Told", "app", "make", "plan"]

DIFFERS = 1

app = typer.Typer()


@dataclass(slots=True)
class Told:
    """What was made leaves to tell: secrets by kind and name, and each warning once.

    n_done: how many of the changes were done, those that change nothing among them.
    """

    n_done: int = 0
    secrets: dict[str, str] = field(default_factory=dict)
    warnings: list[Mapping[str, Any]] = field(default_factory=list)


@app.command()
def apply(
    file: Annotated[Path, typer.Option("-f", "--file", help="The file.")] = Path("assent.yaml"),
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 if something would change.")
    ] = False,
) -> None:
    """Make a project what one assent.yaml says; what it does not name is left alone."""
    entries = entries_of(read(file))
    name = entries["project"][0].fields["name"]
    if OPTIONS.project not in {None, name}:
        raise Invalid(
            f"{file} describes the project {name!r}, not {OPTIONS.project!r}.", remedy="Leave out --project."
        )
    OPTIONS.project = name
    told = Told()
    with connect() as api:
        changes = plan(api, entries)
        try:
            if not check:
                make(changes, told)
        except BaseException:
            if told.secrets:  # what was made stays, and a key is never shown again
                _show(changes[: told.n_done], told, is_made=True, is_whole=False)
            raise
    _show(changes, told, is_made=not check)
    if check and any(one.action is not Action.UNCHANGED for one in changes):
        raise typer.Exit(DIFFERS)


def plan(api: Api, entries: Mapping[str, list[Entry]]) -> list[Change]:
    """Compare the file with what is there, in the order in which things need each other.

    Raises: Conflict, if something would have to change that cannot; every one is named.
    """
    changes = [
        *identity.project(api, entries["project"][0]),
        *identity.environments(api, entries.get("environments", [])),
        *identity.accounts(api, entries.get("people", []), kind="person"),
        *identity.accounts(api, entries.get("services", []), kind="service"),
        *identity.groups(api, entries.get("groups", [])),
        *providers(api, entries.get("providers", [])),
        *prices(api, entries.get("prices", [])),
    ]
    for section in VERSIONED:
        is_new = any(one.action is Action.CREATE for one in changes)
        changes += versions(api, section, entries.get(section, []), is_new=is_new)
    changes += policies.bindings(api, entries.get("policies", []))
    is_new = any(one.action is Action.CREATE and one.kind in NEEDED for one in changes)
    changes += samplings(api, entries.get("samplings", []), is_new=is_new)
    changes += identity.keys(api, entries.get("keys", []))
    changes += segments(api, entries.get("segments", []))
    changes += flags(api, entries.get("flags", []))
    changes += hooks(api, entries.get("hooks", []))
    impossible = [one for one in changes if one.action is Action.IMPOSSIBLE]
    if impossible:
        raise Conflict(
            "The file asks for changes that cannot be made; nothing was changed.",
            reasons=[
                Reason(
                    f"{one.kind}.{one.name}",
                    f"{one.entry.where()}: {one.kind} {one.name}: {', '.join(one.differs)}",
                )
                for one in impossible
            ],
        )
    return changes


def make(changes: list[Change], told: Told) -> None:
    """Do what the plan says, and note what is to be told of it. Raises: AssentError; what was done stays."""
    for change in changes:
        if change.action in {Action.CREATE, Action.UPDATE}:
            with placed(change.entry, change.kind, change.name):
                made = change.make() or Made()
            if made.secret is not None:
                told.secrets[f"{change.kind} {change.name}"] = made.secret
            told.warnings += [one for one in made.warnings if one not in told.warnings]
        told.n_done += 1


COLUMNS = ("action", "kind", "name", Column("differs"))


def _show(changes: list[Change], told: Told, *, is_made: bool, is_whole: bool = True) -> None:
    counts = {f"n_{action}": sum(one.action is action for one in changes) for action in list(Action)[:3]}
    value = {"changes": [one.to_wire() for one in changes], **counts, "applied": is_made and is_whole}
    value |= {"secrets": told.secrets, "warnings": told.warnings}
    if OPTIONS.json:
        emit(value)
        return
    emit(value["changes"], COLUMNS)
    for name, secret in told.secrets.items():
        emit(f"{name}: {secret}")
    verb = "created" if is_made else "to create"
    other = "updated" if is_made else "to update"
    note(f"{counts['n_create']} {verb}, {counts['n_update']} {other}, {counts['n_unchanged']} unchanged.")
    warn(told.warnings)
