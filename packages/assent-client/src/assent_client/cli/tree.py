"""The tree of commands: one noun, one verb; a noun's module is loaded when it is called."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from assent_client.cli.connection import OPTIONS

__all__ = ["COMMANDS", "Entry", "root"]

SERVER_COMMANDS = "assent.commands"
"""Entry-point group through which the server adds its commands; the client imports nothing of it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name under `assent`: its line in the help, and where it comes from.

    A noun is a group of verbs; `client` has a module in `assent_client.cli`; `server` adds verbs of its own.
    """

    help: str
    noun: bool = True
    client: bool = True
    server: bool = False


COMMANDS: dict[str, Entry] = {
    "init": Entry(
        "Create the data directory, the keys and the first admin.", noun=False, client=False, server=True
    ),
    "serve": Entry("Run server, worker and gateway in one process.", noun=False, client=False, server=True),
    "server": Entry("Run the server: API and console.", noun=False, client=False, server=True),
    "worker": Entry(
        "Run a worker: evaluations, controllers, notifications.", noun=False, client=False, server=True
    ),
    "gateway": Entry("Run a gateway: the way of production traffic.", noun=False, client=False, server=True),
    "login": Entry("Save the address and token that later commands use.", noun=False),
    "apply": Entry("Make a project what one assent.yaml says.", noun=False),
    "check": Entry("Find models that are pinned in source.", noun=False),
    "project": Entry("Projects: what is governed together."),
    "env": Entry("Environments: where versions serve, and by which policy."),
    "provider": Entry("Providers: upstream endpoints of models.", server=True),
    "model": Entry("Models and their versions."),
    "prompt": Entry("Prompts and their versions."),
    "dataset": Entry("Datasets: the cases that evaluations ask."),
    "suite": Entry("Suites: what is measured, and what passes."),
    "eval": Entry("Evaluations: run suites, read verdicts."),
    "label": Entry("Labels of people: sort answers of a run, blind; agreement; export."),
    "judge": Entry("Judges: calibrate them against people, read their passports."),
    "policy": Entry("Policies: what a release must fulfil."),
    "request": Entry("Requests to release: ask, review, vote."),
    "rollout": Entry("Rollouts: start, watch, promote, abort, roll back."),
    "breakglass": Entry("Break-glass: what went out before its policy was fulfilled."),
    "monitor": Entry("Monitoring: what each version does, in figures with intervals."),
    "watch": Entry("Watches: whether what is live has become worse."),
    "quality": Entry("Quality: judges that grade a share of the live calls, and what they say."),
    "alert": Entry("Alerts: what is watched, what fires, who is silent."),
    "target": Entry("Targets: other engines that route as Assent decides."),
    "flag": Entry("Flags: who gets which variant, by rules and shares."),
    "incident": Entry("Incidents: what went wrong, in figures."),
    "card": Entry("Model cards: generate, complete, publish."),
    "compliance": Entry("Compliance: what the record shows of each catalogue; owners, risk tier."),
    "pack": Entry("Packs: evidence in one file that verifies offline."),
    "hook": Entry("Hooks: who is told of which events, by webhook, Slack or e-mail."),
    "ledger": Entry("The ledger: read, prove, verify.", server=True),
    "user": Entry("People and service accounts."),
    "group": Entry("Groups: whose votes count for what."),
    "token": Entry("Tokens of people and service accounts."),
    "key": Entry("Keys of applications that call a gateway."),
}


def root() -> TyperGroup:
    """Build the command `assent`."""
    group = _Root(
        name="assent",
        help="Release governance for LLMs: test, approve, roll out in steps, prove it afterwards.",
        epilog="ASSENT_URL, ASSENT_TOKEN and ASSENT_PROJECT say where, as whom and in which project.",
        rich_markup_mode=None,
        no_args_is_help=True,
    )
    group.params.extend([*_shared_options(), *_options_of(_version)])
    return group


class _Root(TyperGroup):
    """Lists every command from the table above; imports only the one that is called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 -- the library's signature
        server = bool(_server_commands())
        return [
            name for name, entry in COMMANDS.items() if _is_here(name, entry) or (server and entry.server)
        ]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.list_commands(ctx):
            return None
        entry = COMMANDS[cmd_name]
        if ctx.meta.get(_LISTING):
            return TyperCommand(cmd_name, help=entry.help, short_help=entry.help, rich_markup_mode=None)
        return _load(cmd_name, entry)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        ctx.meta[_LISTING] = True
        super().format_help(ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        self.commands = dict.fromkeys(self.list_commands(ctx), TyperCommand("", rich_markup_mode=None))
        return super().resolve_command(ctx, args)  # its "did you mean" reads the names in `commands`


_LISTING = "assent.listing"


def _is_here(name: str, entry: Entry) -> bool:
    return entry.client and find_spec(f"assent_client.cli.{name}") is not None


def _load(name: str, entry: Entry) -> Any:
    """Build one command from the client's module and what the server adds to it."""
    command: Any = None
    if _is_here(name, entry):
        app = importlib.import_module(f"assent_client.cli.{name}").app
        command = get_group(app) if entry.noun else get_command(app)
    if entry.server:
        command = _with_server(name, command)
    command.name, command.short_help = name, entry.help
    command.help = command.help or entry.help
    _dress(command)
    return command


def _with_server(name: str, command: Any) -> Any:
    for point in _server_commands():
        added = get_group(point.load()).commands.get(name)
        if isinstance(command, TyperGroup) and isinstance(added, TyperGroup):
            command.commands.update(added.commands)  # the server's verb takes the place of the client's
        else:
            command = added or command
    return command


@cache
def _server_commands() -> Sequence[metadata.EntryPoint]:
    return tuple(metadata.entry_points(group=SERVER_COMMANDS))


def _dress(command: Any) -> None:
    """Give every command below the shared options, so that `--json` works wherever it is written."""
    command.rich_markup_mode = None
    command.help = _EXAMPLES.sub(_unwrapped, command.help or "")
    command.short_help = command.short_help or command.help.partition("\n\n")[0].replace("\n", " ")
    if isinstance(command, TyperGroup):
        command.no_args_is_help = True
        for one in command.commands.values():
            _dress(one)
    command.params = [param for param in command.params if not param.name.endswith("_completion")]
    taken = {name for param in command.params for name in param.opts}
    command.params.extend(option for option in _shared_options() if not taken & set(option.opts))


_EXAMPLES = re.compile(r"^Example: .*(?:\n(?! *\n).*)*", re.MULTILINE)


def _unwrapped(examples: re.Match[str]) -> str:
    """Mark a paragraph of examples, which are copied, as lines to print as they stand."""
    return f"\b\n{examples[0]}"


def _shared_options() -> Sequence[Any]:
    return _options_of(_shared)


def _options_of(function: Any) -> Sequence[Any]:
    app = typer.Typer(add_completion=False)
    app.command()(function)
    options: Sequence[Any] = get_command(app).params
    return options


def _keep_json(*, value: bool) -> None:
    OPTIONS.json = OPTIONS.json or value


def _keep_project(value: str | None) -> None:
    OPTIONS.project = value or OPTIONS.project


def _keep_url(value: str | None) -> None:
    OPTIONS.url = value or OPTIONS.url


def _keep_token(value: str | None) -> None:
    OPTIONS.token = value or OPTIONS.token


def _print_version(*, value: bool) -> None:
    if value:
        sys.stdout.write(f"assent {metadata.version('assent-client')}\n")
        raise typer.Exit


def _shared(
    *,
    shared_json: Annotated[
        bool, typer.Option("--json", help="Print JSON.", callback=_keep_json, expose_value=False)
    ] = False,
    shared_project: Annotated[
        str | None,
        typer.Option("--project", help="The project.", callback=_keep_project, expose_value=False),
    ] = None,
    shared_url: Annotated[
        str | None, typer.Option("--url", help="The server.", callback=_keep_url, expose_value=False)
    ] = None,
    shared_token: Annotated[
        str | None,
        typer.Option("--token", help="The caller's token.", callback=_keep_token, expose_value=False),
    ] = None,
) -> None:
    """Name the options that every command has."""


def _version(
    *,
    shared_version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print it.", is_eager=True, callback=_print_version, expose_value=False
        ),
    ] = False,
) -> None:
    """Name the option that only the root has."""
