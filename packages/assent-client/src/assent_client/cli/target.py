"""`assent target`: other engines, such as Envoy, that route as Assent decides."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from assent_client.cli.connection import project, server
from assent_client.cli.output import Column, cell, emit, note, print_json
from assent_client.cli.rollout import confirm
from assent_client.cli.strict_yaml import read
from assent_client.errors import AssentError, Invalid, Unavailable
from assent_client.targets import Desired, Receipt, Settings, Target, desired_of, read_settings, render

if TYPE_CHECKING:
    from assent_client.client import Client

__all__ = ["app"]

app = typer.Typer()

FIRST_S = 10.0
_LOOK_UP_S = 1.0
File = Annotated[Path, typer.Option("--file", "-f", help="The target's settings, YAML.")]
Environment = Annotated[str, typer.Option("--env", help="Name of the environment.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
RECEIPTS = [
    Column("number", right=True),
    Column("generation"),
    Column("applied_at", "applied"),
    Column("restores", right=True),
    Column("left_out", "left out"),
]


@app.command("render")
def render_(environment: Environment, file: File) -> None:
    """Print the documents that the engine would read now; nothing is written.

    Example: assent target render --env production -f target.yaml
    """
    settings = _target(file).settings
    with _client(environment, Path(settings.folder)) as client:
        desired = _desired(client, settings)
    _say_left_out(desired.left_out)
    print_json(render(desired, settings))


@app.command()
def apply(environment: Environment, file: File) -> None:
    """Bring the engine to what the environment's snapshot says, once.

    Example: assent target apply --env production -f target.yaml
    """
    target = _target(file)
    with _client(environment, target.folder) as client:
        receipt = target.apply(_desired(client, target.settings))
    _say_left_out(receipt.left_out)
    emit(_line(receipt), RECEIPTS)


@app.command()
def follow(environment: Environment, file: File) -> None:
    """Keep the engine at what the environment's snapshots say, until stopped.

    What cannot be applied is told and left: the engine keeps what it has. Without the server it starts
    from the snapshot on disk.

    Example: assent target follow --env production -f target.yaml
    """
    target = _target(file)
    with _client(environment, target.folder) as client:
        changed = threading.Event()
        client.listen(lambda _: changed.set())
        applied = 0
        while True:
            changed.clear()
            applied = _follow_once(client, target, applied)
            while not changed.wait(_LOOK_UP_S):
                pass  # a signal that comes just before an endless wait would not end it


@app.command()
def show(file: File) -> None:
    """Show what is in force, and the receipts.

    Example: assent target show -f target.yaml --json
    """
    target = _target(file)
    found = {
        "actual": msgspec.to_builtins(target.observe()),
        "receipts": [_line(one) for one in reversed(target.receipts)],
    }
    emit(found, _print_shown)


@app.command()
def rollback(file: File, *, yes: Yes = False) -> None:
    """Give the engine the documents of the receipt before; it holds until the route changes again.

    Example: assent target rollback -f target.yaml --yes
    """
    target = _target(file)
    confirm(f"Give {target.settings.route} the documents from before again?", yes=yes)
    emit(_line(target.roll_back()), RECEIPTS)


def _target(file: Path) -> Target:
    return Target(read_settings(read(file).value))


@contextmanager
def _client(environment: str, folder: Path) -> Iterator[Client]:
    """Open a client that has a snapshot. Raises: Unavailable."""
    from assent_client.client import Client, ClientSettings  # noqa: PLC0415 -- slow to load, and only for this

    url, token = server()
    if not token:
        raise Invalid(
            "No token was given.",
            remedy="Set ASSENT_TOKEN to that of a service account of the role application.",
        )
    settings = ClientSettings(
        url=url,
        token=token,
        project=project(),
        environment=environment,
        data_dir=folder / ".snapshots",
        observe=False,
    )
    with Client(settings) as client:
        if not client.wait(FIRST_S):
            raise Unavailable(
                f"No snapshot of {environment} came from {settings.url} in {FIRST_S:.0f} s.",
                remedy="See that the server runs, and that the token is one of the role application.",
            )
        yield client


def _desired(client: Client, settings: Settings) -> Desired:
    snapshot = client.snapshot
    if snapshot is None:
        raise Unavailable(f"There is no snapshot of {client.settings.environment} yet.")
    return desired_of(snapshot, settings)


def _follow_once(client: Client, target: Target, applied: int) -> int:
    """Apply what the snapshot says now; gives the number of the newest receipt."""
    try:
        receipt = target.apply(_desired(client, target.settings))
    except AssentError as error:
        note(f"The engine keeps what it has: {error.message}")
        return applied
    if receipt.number != applied:
        _say_left_out(receipt.left_out)
        note(f"Receipt {receipt.number}: {target.settings.route} at {cell(_line(receipt)['generation'])}.")
    return receipt.number


def _say_left_out(left_out: list[str]) -> None:
    for one in left_out:
        note(f"The engine cannot follow the {one}: whom it names gets the default split.")


def _line(receipt: Receipt) -> dict[str, Any]:
    return {
        "number": receipt.number,
        "generation": ".".join(map(str, receipt.generation)),
        "applied_at": receipt.applied_at.isoformat(),
        "restores": receipt.restores,
        "left_out": receipt.left_out,
        "desired": receipt.desired,
    }


def _print_shown(found: dict[str, Any]) -> None:
    actual = found["actual"]
    for ref, weight in sorted(actual["weights"].items()):
        note(f"{ref}  {weight / 1_000_000:.6g}")
    note(f"generation {actual['generation'] or '(none)'}, as the {actual['source']} says")
    emit(found["receipts"], RECEIPTS, empty="No receipts.")
