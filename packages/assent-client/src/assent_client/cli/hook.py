"""`assent hook`: who is told of which events, and what became of what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.output import Column, Columns, ask_secret, emit, note
from assent_client.cli.rollout import confirm
from assent_client.errors import Invalid

__all__ = ["app"]

app = typer.Typer()

COLUMNS: Columns = [
    "name",
    "channel",
    "target",
    "state",
    Column("n_pending", "pending", right=True),
    Column("n_dead", "dead", right=True),
    "kinds",
]
DELIVERIES: Columns = [
    "id",
    "subscription",
    Column("leaf", right=True),
    "type",
    "state",
    Column("n_tries", "tries", right=True),
    "status",
    "error",
    Column("due_at", "due"),
]

ATTEMPTS: Columns = ["at", "status", "error", Column("duration_ms", "ms", right=True)]

Name = Annotated[str, typer.Argument(help="Name of the subscription.")]
Kinds = Annotated[
    str | None,
    typer.Option(metavar="KINDS", help="Types of events with commas: exact, prefix.* or default."),
]
Url = Annotated[str | None, typer.Option(help="Webhook that is signed; - reads it from standard input.")]
SlackUrl = Annotated[
    str | None, typer.Option(help="Incoming webhook of Slack or the like; - reads it from standard input.")
]
Emails = Annotated[list[str] | None, typer.Option("--email", help="E-mail address; may be repeated.")]


@app.command()
def add(
    name: Name,
    *,
    kinds: Kinds = "default",
    url: Url = None,
    slack_url: SlackUrl = None,
    email: Emails = None,
) -> None:
    """Tell somebody of events from now on; prints the signing secret of a webhook, this once.

    Example: assent hook add oncall --kinds default --url https://hooks.example.com/assent

    Example: assent hook add owners --kinds 'retirement.*' --email ada@example.com --email bo@example.com
    """
    chosen = {"webhook": url, "slack": slack_url, "email": email}
    channels = [channel for channel, value in chosen.items() if value]
    if len(channels) != 1:
        raise Invalid("Say one of --url, --slack-url and --email.")
    body: dict[str, Any] = {"name": name, "kinds": _kinds(kinds), "channel": channels[0], **_target(chosen)}
    with connect() as api:
        added = api.post(api.path("subscriptions"), body)
    if added["secret"]:
        note("Keep the secret where the receiver reads it; it is not shown again.")
    else:
        del added["secret"]
    emit(added)


@app.command()
def change(
    name: Name,
    *,
    kinds: Kinds = None,
    url: Url = None,
    slack_url: SlackUrl = None,
    email: Emails = None,
) -> None:
    """Have a subscription hear of other kinds, or lead elsewhere by the same channel.

    Example: assent hook change oncall --kinds 'monitoring.*,delivery.rollout.rolled_back'
    """
    body = _target({"webhook": url, "slack": slack_url, "email": email})
    if kinds is not None:
        body["kinds"] = _kinds(kinds)
    if not body:
        raise Invalid("Say what changes: --kinds, --url, --slack-url or --email.")
    with connect() as api:
        emit(api.patch(api.path("subscriptions", name), body))


@app.command("list")
def list_() -> None:
    """List the subscriptions of the project."""
    with connect() as api:
        emit(list(api.pages(api.path("subscriptions"))), COLUMNS, empty="Nobody is told of anything.")


@app.command()
def show(name: Name) -> None:
    """Show a subscription."""
    with connect() as api:
        emit(api.get(api.path("subscriptions", name)))


@app.command()
def test(name: Name) -> None:
    """Send a test now and print the answer; exit code 1 where it did not arrive.

    Example: assent hook test oncall
    """
    with connect() as api:
        answer = api.post(api.path("subscriptions", name, "tests"))
    emit(answer)
    if not answer["ok"]:
        raise typer.Exit(1)


@app.command()
def pause(name: Name) -> None:
    """Tell nothing until it is resumed; what happens meanwhile is not told later."""
    with connect() as api:
        emit(api.post(api.path("subscriptions", name, "pauses")))


@app.command()
def resume(name: Name) -> None:
    """Tell what happens from now on, and what was queued before it stopped."""
    with connect() as api:
        emit(api.post(api.path("subscriptions", name, "resumptions")))


@app.command()
def remove(
    name: Name, *, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> None:
    """Remove a subscription with its secrets, and drop what waits for it."""
    confirm(f"Remove {name}? What waits for it is dropped.", yes=yes)
    with connect() as api:
        api.delete(api.path("subscriptions", name))
    emit({"name": name, "removed": True})


@app.command()
def rotate(
    name: Name,
    *,
    overlap_hours: Annotated[
        int, typer.Option(min=0, max=168, help="For how long the old secret signs too.")
    ] = 24,
) -> None:
    """Make a new signing secret and print it, this once; both sign during the overlap.

    Example: assent hook rotate oncall --overlap-hours 48
    """
    with connect() as api:
        emit(api.post(api.path("subscriptions", name, "rotations"), {"overlap_hours": overlap_hours}))


@app.command()
def deliveries(
    name: Annotated[str | None, typer.Argument(help="Name of the subscription; else of all.")] = None,
    *,
    state: Annotated[str | None, typer.Option(help="pending, delivered or dead.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many, the newest first.")] = 50,
) -> None:
    """List what was sent, what waits and what was given up, the newest first.

    Example: assent hook deliveries oncall --state dead
    """
    query = {"subscription": name, "state": state, "limit": limit}
    with connect() as api:
        found = api.get(api.path("deliveries"), **{k: v for k, v in query.items() if v is not None})
    emit(found["items"], DELIVERIES, empty="There are no deliveries.")


@app.command()
def delivery(id_: Annotated[str, typer.Argument(metavar="ID", help="Id of the delivery: msg_…")]) -> None:
    """Show a delivery with each of its attempts."""
    with connect() as api:
        emit(api.get(api.path("deliveries", id_)), _print_delivery)


@app.command()
def redeliver(
    name: Name,
    delivery: Annotated[str | None, typer.Argument(metavar="[ID]", help="Id of the delivery: msg_…")] = None,
    *,
    all_dead: Annotated[bool, typer.Option("--all-dead", help="All that were given up.")] = False,
) -> None:
    """Send one delivery again, or all that were given up, under the same id.

    Example: assent hook redeliver oncall --all-dead
    """
    if (delivery is None) != all_dead:
        raise Invalid("Say one delivery's id, or --all-dead.")
    with connect() as api:
        emit(api.post(api.path("subscriptions", name, "redeliveries"), {"delivery": delivery}))


def _kinds(text: str | None) -> Sequence[str]:
    return [one.strip() for one in (text or "").split(",") if one.strip()]


def _target(chosen: dict[str, Any]) -> dict[str, Any]:
    """Give what is asked of the target; a URL given as `-` is read, so that no list of processes shows it."""
    body: dict[str, Any] = {}
    for channel in ("webhook", "slack"):
        if chosen[channel]:
            body["url"] = ask_secret("URL") if chosen[channel] == "-" else chosen[channel]
    if chosen["email"]:
        body["addresses"] = chosen["email"]
    return body


def _print_delivery(found: Mapping[str, Any]) -> None:
    """Print a delivery, then its attempts, one a line."""
    emit({key: value for key, value in found.items() if key != "attempts"})
    emit(found["attempts"], ATTEMPTS, title="attempts", empty="Not tried yet.")
