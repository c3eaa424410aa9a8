"""`assent prompt`: templates for models, with typed variables, as versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.dataset import split_ref
from assent_client.cli.differences import print_fields, print_interface, print_lines
from assent_client.cli.labels import label_app
from assent_client.cli.output import Column, emit, note, print_text
from assent_client.cli.prompt.files import Step, local_files, plan_pull, plan_push, write
from assent_client.cli.strict_yaml import read
from assent_client.errors import Forbidden, Invalid, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from assent_client.api import Api

__all__ = ["app"]

app = typer.Typer()
app.add_typer(label_app("prompt"), name="label")

LIST = [
    Column("ref", "prompt"),
    Column("format"),
    Column("status"),
    Column("bump", "change"),
    Column("digest"),
    Column("registered_at", "registered"),
]
PREVIEW = [Column("name"), Column("version"), Column("digest"), Column("ref", "registered as")]
RUNS = [
    Column("suite"),
    Column("subject", "of"),
    Column("verdict"),
    Column("metric"),
    Column("estimate", right=True),
    Column("low", right=True),
    Column("high", right=True),
    Column("n", right=True),
]


def _of(figure: Mapping[str, Any]) -> str:
    return "-" if figure["rate"] is None else f"{figure['rate']:.1%} of {figure['n']}"


PRODUCTION = [
    Column("environment"),
    Column("route"),
    Column("ref", "through"),
    Column("variant"),
    Column("n_calls", "calls", right=True),
    Column("errors", right=True, show=_of),
    Column("thumbs_down", "thumbs down, of rated", right=True, show=_of),
    Column("latency_s.p95", "p95 s", right=True),
]
STEPS = [
    Column("action"),
    Column("name"),
    Column("version"),
    Column("bump"),
    Column("interface", show=lambda value: "; ".join(value) or "-"),
    Column("path"),
]
DIFFERS = 1
Folder = Annotated[Path, typer.Argument(help="The folder that holds the prompts.")]
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
    status: Annotated[
        str | None, typer.Option("--status", help="draft, review, approved or deprecated.")
    ] = None,
    filter: Annotated[  # noqa: A002 -- the name of the option
        str | None, typer.Option("--filter", help="As in `assent model search`: status = approved.")
    ] = None,
) -> None:
    """List prompt versions, newest first.

    Example: assent prompt list --filter 'status = approved AND NOT label = production'
    """
    asked = {"name": name, "tag": tag, "status": status, "filter": filter}
    with connect() as api:
        found = list(api.pages(api.path("prompts"), **asked))
    emit(found, LIST, empty="No prompts.")


@app.command()
def show(prompt: Ref) -> None:
    """Show a prompt version: its messages, its variables, its status, what tests and production say of it.

    Example: assent prompt show greeting@1.2.0
    """
    with connect() as api:
        found = api.get(api.path("prompts", *split_ref(prompt)))
        found["suites"] = _optional(api, api.path("suite-bindings"), prompt=found["name"])
        found["metrics"] = _optional(api, api.path("versions", found["digest"], "metrics"))
    emit(found, _print_prompt)


def _optional(api: Api, path: str, **query: str) -> Any:
    """Read what the caller may not be allowed to see, or a part of the server does not offer."""
    try:
        return api.get(path, **query)
    except (Forbidden, NotFound):
        return None


def _print_prompt(found: Any) -> None:
    document = found["document"]
    shown = (
        "ref",
        "digest",
        "status",
        "since",
        "format",
        "bump",
        "contributor_names",
        "registered_at",
        "created_by",
    )
    emit({key.replace("contributor_names", "contributors"): found[key] for key in shown})
    _print_messages(document["messages"])
    if document["variables"]:
        rows = [{"name": name, **one} for name, one in document["variables"].items()]
        print_text("")
        emit(rows, ["name", "required", "default", "schema", "description"], title="variables")
    rest = {key: document[key] for key in ("tools", "response_format", "parameters") if document[key]}
    if rest:
        print_text("")
        emit(rest)
    if document.get("fragments"):
        rows = [{"alias": alias, **one} for alias, one in document["fragments"].items()]
        print_text("")
        emit(rows, ["alias", "ref", "digest"], title="fragments")
    _print_figures(found)


def _print_figures(found: Any) -> None:
    metrics = found["metrics"] or {}
    tables = (
        ("tested with", (found["suites"] or {}).get("items"), ["suite", "through", "environment"]),
        ("tests", metrics.get("evaluation"), RUNS),
        ("production, last 30 days", metrics.get("production"), PRODUCTION),
    )
    for title, rows, columns in tables:
        if rows:
            print_text("")
            emit(rows, columns, title=title)


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


@app.command()
def deprecate(
    prompt: Annotated[str, typer.Argument(metavar="NAME@VERSION")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept on record.")],
    successor: Annotated[
        str | None, typer.Option("--successor", metavar="NAME@VERSION", help="What to use instead.")
    ] = None,
) -> None:
    """Say that a version should not be taken up any more; it serves on where it is live.

    Example: assent prompt deprecate greeting@1.1.0 --reason "too formal" --successor greeting@1.2.0
    """
    body = {"reason": reason} | ({"successor": successor} if successor else {})
    with connect() as api:
        emit(api.post(api.path("prompts", *split_ref(prompt), "deprecations"), body), LIST)


@app.command()
def bind(
    prompt: Annotated[str, typer.Argument(metavar="NAME")],
    suite: Annotated[str, typer.Option("--suite", metavar="NAME[@VERSION]", help="What to test with.")],
    through: Annotated[str, typer.Option("--through", metavar="MODEL@VERSION", help="Which model answers.")],
    environment: Annotated[
        str, typer.Option("--env", help="Where what is live is compared with.")
    ] = "production",
) -> None:
    """Test each version of a prompt with a suite from now on, and the newest at once.

    Example: assent prompt bind greeting --suite tone --through support@2.1.0
    """
    body = {"prompt": prompt, "suite": suite, "through": through, "environment": environment}
    with connect() as api:
        emit(api.post(api.path("suite-bindings"), body))


@app.command()
def unbind(
    prompt: Annotated[str, typer.Argument(metavar="NAME")],
    suite: Annotated[str, typer.Option("--suite", metavar="NAME", help="What not to test with any more.")],
) -> None:
    """Test new versions of a prompt with a suite no longer.

    Example: assent prompt unbind greeting --suite tone
    """
    with connect() as api:
        api.delete(api.path("suite-bindings", prompt, suite))
    note(f"New versions of {prompt} are not tested with {suite} any more.")


@app.command()
def push(
    folder: Folder = Path("prompts"),
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Register nothing; exit 1 if something would be.")
    ] = False,
) -> None:
    """Register what a folder of prompts holds, each as the version that its change demands.

    What is registered already stays as it is, so a second push does nothing.

    Example: assent prompt push prompts --check
    """
    prompts = local_files(folder)
    with connect() as api:
        steps = plan_push(api, prompts, register=not check)
    _print_steps(steps, "register", "would be registered" if check else "registered")
    if check and any(step.action == "register" for step in steps):
        raise typer.Exit(DIFFERS)


@app.command()
def pull(
    refs: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME[@VERSION]]...", help="Which; without any, all.")
    ] = None,
    folder: Annotated[Path, typer.Option("--to", help="The folder that holds the prompts.")] = Path(
        "prompts"
    ),
    *,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if a file differs.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is not registered.")] = False,
) -> None:
    """Write the newest versions of prompts, or those that are named, to files; what was changed here is kept.

    Example: assent prompt pull greeting --to prompts
    """
    with connect() as api:
        steps = plan_pull(api, folder, refs or [], force=force or check)
    if not check:
        for step in steps:
            write(step)
    _print_steps(steps, "write", "would be written" if check else "written")
    if check and any(step.action == "write" for step in steps):
        raise typer.Exit(DIFFERS)


def _print_steps(steps: list[Step], action: str, verb: str) -> None:
    emit([step.to_wire() for step in steps], STEPS, empty="No prompts.")
    done = sum(step.action == action for step in steps)
    note(f"{done} {verb}, {len(steps) - done} unchanged.")


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
