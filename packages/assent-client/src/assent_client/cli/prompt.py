"""`assent prompt`: templates for models, with typed variables, as versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.dataset import split_ref
from assent_client.cli.differences import print_fields, print_interface, print_lines
from assent_client.cli.labels import label_app
from assent_client.cli.output import Column, emit, note, print_text
from assent_client.cli.strict_yaml import read
from assent_client.errors import Invalid

__all__ = ["app"]

app = typer.Typer()
app.add_typer(label_app("prompt"), name="label")

LIST = [
    Column("ref", "prompt"),
    Column("format"),
    Column("bump", "change"),
    Column("digest"),
    Column("registered_at", "registered"),
]
PREVIEW = [Column("name"), Column("version"), Column("digest"), Column("ref", "registered as")]
BUMPS = ("major", "minor", "patch")
Ref = Annotated[str, typer.Argument(metavar="NAME[@VERSION]")]


@app.command()
def register(
    file: Annotated[Path, typer.Argument(help="The prompt (YAML or JSON).")],
    name: Annotated[str | None, typer.Option("--name", help="Its name, where the file has none.")] = None,
    bump: Annotated[
        str | None, typer.Option("--bump", help="major, minor or patch: higher than the change needs.")
    ] = None,
    version: Annotated[str | None, typer.Option("--version", "-v", help="Its number instead.")] = None,
    *,
    check: Annotated[bool, typer.Option("--check", help="Say what would happen; record nothing.")] = False,
) -> None:
    """Register a prompt version; its number follows from what changed for its callers.

    Example: assent prompt register greeting.yaml

    The file: name, text (or messages: [{role: system, content: Hello {{name}}}]), variables: {name: {schema:
    {type: string}}}, syntax: jinja or simple, tools, response_format, parameters.
    """
    document = read(file).value
    if not isinstance(document, dict):
        raise Invalid(f"{file} holds no prompt.", remedy="Write a mapping with text or messages.")
    if bump not in {None, *BUMPS}:
        raise Invalid(f"{bump!r} is no bump.", remedy=f"Give one of {', '.join(BUMPS)}.")
    given = {"name": name, "bump": bump, "version": version}
    body = {**document, **{key: value for key, value in given.items() if value is not None}}
    if "name" not in body:
        raise Invalid(f"{file} gives no name.", remedy="Add `name:` or give --name.")
    with connect() as api:
        found = api.post(api.path("prompts"), body, check=check or None)
    if check:
        note("It is registered already." if found["exists"] else "It would be registered.")
        emit(found, PREVIEW)
        return
    note("Registered." if found["created"] else "This content is registered already.")
    emit(found, LIST)


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Option("--name", help="Only of this name.")] = None,
    tag: Annotated[str | None, typer.Option("--tag", help="Only with this tag.")] = None,
) -> None:
    """List prompt versions, newest first.

    Example: assent prompt list --name greeting
    """
    with connect() as api:
        emit(list(api.pages(api.path("prompts"), name=name, tag=tag)), LIST, empty="No prompts.")


@app.command()
def show(prompt: Ref) -> None:
    """Show a prompt version: its messages, its variables, what it pins.

    Example: assent prompt show greeting@1.2.0
    """
    with connect() as api:
        emit(api.get(api.path("prompts", *split_ref(prompt))), _print_prompt)


def _print_prompt(found: Any) -> None:
    document = found["document"]
    shown = ("ref", "digest", "format", "bump", "contributors", "registered_at", "registered_by")
    emit({key: found[key] for key in shown})
    _print_messages(document["messages"])
    if document["variables"]:
        rows = [{"name": name, **one} for name, one in document["variables"].items()]
        print_text("")
        emit(rows, ["name", "required", "default", "schema", "description"], title="variables")
    rest = {key: document[key] for key in ("tools", "response_format", "parameters") if document[key]}
    if rest:
        print_text("")
        emit(rest)


def _print_messages(messages: Any) -> None:
    for message in messages:
        if "placeholder" in message:
            print_text(f"\n[messages: {message['placeholder']}]")
            continue
        content = message.get("content")
        print_text(f"\n[{message['role']}]")
        print_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=2))


@app.command()
def diff(old: Ref, new: Ref) -> None:
    """Show what differs between two prompt versions, and what that means to callers.

    Example: assent prompt diff greeting@1.1.0 greeting@1.2.0
    """
    against = "@".join(split_ref(old))
    with connect() as api:
        found = api.get(api.path("prompts", *split_ref(new), "diff"), against=against)
    emit(found, _print_diff)


def _print_diff(found: Any) -> None:
    if not found["fields"]:
        note("No difference.")
        return
    print_lines(found["text"])
    others = [one for one in found["fields"] if not one["path"].startswith("messages")]
    print_fields(others)
    print_interface(found)


@app.command()
def render(
    prompt: Ref,
    variables: Annotated[
        list[str] | None,
        typer.Option(
            "--var", "-D", metavar="NAME=VALUE", help="A variable; JSON where it is JSON, else text."
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--variables", help="Variables in a file (YAML or JSON).")
    ] = None,
) -> None:
    """Fill in a prompt's variables and show its messages.

    Example: assent prompt render greeting@1.2.0 --var name=Ada --var 'items=["a", "b"]'
    """
    given = _variables(file, variables or [])
    with connect() as api:
        path = api.path("prompts", *split_ref(prompt), "renderings")
        found = api.post(path, {"variables": given})
    emit(found, lambda value: _print_messages(value["messages"]))


def _variables(file: Path | None, terms: list[str]) -> dict[str, Any]:
    given = read(file).value if file is not None else {}
    if not isinstance(given, dict):
        raise Invalid(f"{file} holds no variables.", remedy="Write a mapping of names to values.")
    for term in terms:
        name, equals, value = term.partition("=")
        if not name or not equals:
            raise Invalid(f"{term!r} is no NAME=VALUE.", remedy="Write --var name=Ada.")
        given[name] = _value(value)
    return given


def _value(text: str) -> Any:
    """Read JSON where it is JSON, else text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
