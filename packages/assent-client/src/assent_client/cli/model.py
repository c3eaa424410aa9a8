"""`assent model`: model versions, what each is made of, and where it is in its life."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.dataset import split_ref
from assent_client.cli.differences import print_fields, print_interface, print_lines
from assent_client.cli.labels import label_app
from assent_client.cli.output import Column, emit, note, print_text
from assent_client.cli.retirement import add_to
from assent_client.cli.rollout import confirm
from assent_client.cli.strict_yaml import read
from assent_client.errors import Invalid

__all__ = ["app"]

app = typer.Typer()
app.add_typer(label_app("model"), name="label")

LIST = [
    Column("ref", "model"),
    Column("labels"),
    Column("stage"),
    Column("status"),
    Column("tier"),
    Column("base_model"),
    Column("owner"),
    Column("digest"),
    Column("registered_at", "registered"),
]
FIELDS = (
    "Fields: name, version, tag, label, owner, stage, status, tier, provider, base_model, upstream_model, "
    "prompt, digest, registered_by, registered_at, since, metrics.NAME."
)
MAX_PAGE = 200
Ref = Annotated[str, typer.Argument(metavar="NAME[@VERSION]")]
Name = Annotated[str | None, typer.Option("--name", help="Only of this name.")]


@app.command()
def register(
    file: Annotated[Path, typer.Argument(help="The model (YAML or JSON).")],
    name: Annotated[str | None, typer.Option("--name", help="Its name, where the file has none.")] = None,
    version: Annotated[
        str | None, typer.Option("--version", "-v", help="Its number, where the file has none.")
    ] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", help="Its prompt, NAME@VERSION, instead of the file's.")
    ] = None,
    *,
    check: Annotated[bool, typer.Option("--check", help="Say what would happen; record nothing.")] = False,
) -> None:
    """Register a model version; the same content again gives the version that exists.

    Example: assent model register support.yaml --version 2.1.0

    The file: name, version, provider, upstream_model, base_model, prompt: greeting@1.2.0, parameters,
    open_parameters: {temperature: {min: 0, max: 1}}, tier: limited, owner, licence, intended_use, datasets.
    """
    document = read(file).value
    if not isinstance(document, dict):
        raise Invalid(f"{file} holds no model.", remedy="Write a mapping with provider and upstream_model.")
    given = {"name": name, "version": version, "prompt": prompt}
    body = {**document, **{key: value for key, value in given.items() if value is not None}}
    for key in ("name", "version"):
        if key not in body:
            raise Invalid(f"{file} gives no {key}.", remedy=f"Add `{key}:` or give --{key}.")
    with connect() as api:
        found = api.post(api.path("models"), body, check=check or None)
    if check:
        note("It is registered already." if found["exists"] else "It would be registered.")
        emit(found, ["name", "version", "digest", "ref"])
        return
    note("Registered." if found["created"] else "This content is registered already.")
    emit(found, LIST)


@app.command("list")
def list_(name: Name = None) -> None:
    """List model versions, newest first.

    Example: assent model list --name support
    """
    with connect() as api:
        emit(list(api.pages(api.path("models"), name=name)), LIST, empty="No models.")


@app.command()
def search(
    filters: Annotated[
        list[str] | None, typer.Argument(metavar="FILTER…", help=f"Several hold together. {FIELDS}")
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", metavar="WORDS", help="Words that the document holds.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many at most.")] = 100,
) -> None:
    """Find versions, newest first.

    Example: assent model search 'tier >= limited AND NOT label = production' --text refund

    A filter compares fields by = != < <= > >= ~ (holds this part) and IN (a, b), joined by AND, OR, NOT
    and parentheses; a value with blanks stands in quotes: since >= 2026-03-01 AND owner = "support team".
    """
    asked = " AND ".join(f"({one})" for one in filters) if filters and len(filters) > 1 else None
    wanted = {"filter": asked or (filters[0] if filters else None), "q": text}
    with connect() as api:
        pages = api.pages(api.path("models"), limit=min(limit, MAX_PAGE), **wanted)
        found = list(islice(pages, limit))
    emit(found, LIST, empty="No version matches.")


@app.command()
def show(model: Ref) -> None:
    """Show a model version with its document and its lineage.

    Example: assent model show support@2.1.0
    """
    name, version = split_ref(model)
    with connect() as api:
        found = api.get(api.path("models", name, version))
        traced = api.get(api.path("models", name, found["version"], "lineage"))
    lines = {"sources": traced["sources"], "dependents": traced["dependents"]}
    emit({**found, "lineage": lines}, _print_model)


def _print_model(found: Any) -> None:
    left_out = {
        "document",
        "lineage",
        "id",
        "name",
        "version",
        "prompt",
        "registered_by",
        "contributor_names",
    }
    shown = {**found, "contributors": found["contributor_names"]}
    emit({key: value for key, value in shown.items() if key not in left_out})
    print_text("")
    document = found["document"]
    emit({k: v for k, v in document.items() if k not in found and k not in {"kind", "project"}})
    for title, edges in found["lineage"].items():
        if edges:
            emit(edges, ["kind", "ref", "digest"], title=title)


@app.command()
def diff(old: Ref, new: Ref) -> None:
    """Show what differs between two model versions, and between their prompts.

    Example: assent model diff support@2.0.0 support@2.1.0
    """
    against = "@".join(split_ref(old))
    with connect() as api:
        found = api.get(api.path("models", *split_ref(new), "diff"), against=against)
    emit(found, _print_diff)


def _print_diff(found: Any) -> None:
    if not found["fields"]:
        note("No difference.")
        return
    print_fields(found["fields"])
    if found["prompt"]:
        print_text(f"\nprompt {found['prompt']['before']} → {found['prompt']['after']}")
        print_lines(found["prompt"]["text"])
        print_interface(found["prompt"])


@app.command()
def delete(
    model: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="A draft.")],
    reason: Annotated[str | None, typer.Option("--reason", help="Why; it is kept on record.")] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a draft that nothing refers to; its number is never used again.

    Example: assent model delete support-assistant@2.2.0-rc.1 --reason "wrong prompt"
    """
    name, version = split_ref(model)
    if "@" not in model:
        raise Invalid(f"{model!r} names no version.", remedy="Write NAME@VERSION.")
    confirm(f"Delete {model} for good?", yes=yes)
    with connect() as api:
        api.delete(api.path("models", name, version), reason=reason)
    note("Deleted.")


add_to(app)
