"""`assent request`: ask for a release, look at what is missing, vote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.output import Column, emit, note
from assent_client.cli.policy import print_checklist
from assent_client.cli.rollout import file_release
from assent_client.errors import NotFound

__all__ = ["app"]

app = typer.Typer()

LIST = [
    Column("id"),
    Column("ref", "version"),
    Column("environment"),
    Column("state"),
    Column("policy_ref", "policy"),
    Column("requester"),
    Column("filed_at", "filed"),
]
VIEW = [
    Column("id"),
    Column("kind"),
    Column("ref", "version"),
    Column("subject", "digest"),
    Column("environment"),
    Column("state"),
    Column("tier"),
    Column("requester"),
    Column("contributors"),
    Column("policy_ref", "policy"),
    Column("policy", "policy digest"),
    Column("newer_policy", "newer policy"),
    Column("filed_at", "filed"),
    Column("expires_at", "expires"),
    Column("decided_at", "decided"),
    Column("successor"),
]
VOTES = [
    Column("voter"),
    Column("verdict"),
    Column("at"),
    Column("counts"),
    Column("stale"),
    Column("comment"),
]

Which = Annotated[str, typer.Argument(metavar="REQUEST", help="Its id, or name@version for the newest one.")]
Comment = Annotated[str | None, typer.Option("--comment", help="Why; it is kept on record.")]
Seen = Annotated[
    str | None,
    typer.Option("--digest", help="The digest that you looked at; refused if it is another one by now."),
]


@app.command()
def create(
    version: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="What is to go out.")],
    environment: Annotated[str, typer.Option("--env", help="Where to.")],
    plan: Annotated[Path, typer.Option("--plan", help="File with the rollout plan (YAML or JSON).")],
    reason: Annotated[str | None, typer.Option("--reason", help="Why; it is kept on record.")] = None,
) -> None:
    """Ask for a release: files the rollout with its plan, and the request for its approval."""
    with connect() as api:
        rollout = file_release(api, version, environment, plan, reason)
        found = {**api.get(api.path("requests", rollout["request"])), "rollout": rollout["id"]}
    emit(found, _print)
    note(f"The rollout {rollout['id']} waits for the decision.")


@app.command("list")
def list_(
    environment: Annotated[str | None, typer.Option("--env", help="Only of this environment.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Only of this model or prompt.")] = None,
    state: Annotated[list[str] | None, typer.Option("--state", help="Only in this state; repeat it.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only releases, or only cards.")] = None,
) -> None:
    """List requests, newest first."""
    with connect() as api:
        found = api.pages(api.path("requests"), environment=environment, name=name, state=state, kind=kind)
        emit(list(found), LIST, empty="No requests.")


@app.command()
def show(request: Which) -> None:
    """Show a request, the answer to each condition, and the votes."""
    with connect() as api:
        emit(_find(api, request), _print)


@app.command()
def approve(request: Which, comment: Comment = None, digest: Seen = None) -> None:
    """Vote for it; refused with every reason where your vote would not count."""
    _vote("approve", request, comment, digest)


@app.command()
def reject(request: Which, comment: Comment = None, digest: Seen = None) -> None:
    """Vote against it."""
    _vote("reject", request, comment, digest)


@app.command()
def abstain(request: Which, comment: Comment = None, digest: Seen = None) -> None:
    """Say that you looked and say neither; takes the place of an earlier vote of yours."""
    _vote("abstain", request, comment, digest)


@app.command()
def withdraw(
    request: Which,
    *,
    vote: Annotated[bool, typer.Option("--vote", help="Take your vote back, not the request.")] = False,
) -> None:
    """Take back a request that you filed, or, with --vote, your vote on it."""
    with connect() as api:
        found = _find(api, request)
        action = "vote-withdrawals" if vote else "withdrawals"
        emit(api.post(api.path("requests", found["id"], action)), _print)


def _vote(verdict: str, request: str, comment: str | None, digest: str | None) -> None:
    with connect() as api:
        found = _find(api, request)
        body = {
            "verdict": verdict,
            "subject": digest or found["subject"],
            "policy": found["policy"],
            "comment": comment,
        }
        found = api.post(api.path("requests", found["id"], "votes"), body)
    emit(found, _print)


def _find(api: Any, request: str) -> Any:
    """Find a request by its id, or the newest of a version; one that is pending comes first."""
    name, at, _ = request.partition("@")
    if not at:
        return api.get(api.path("requests", request))
    found = [one for one in api.pages(api.path("requests"), name=name) if one["ref"] == request]
    pending = [one for one in found if one["state"] in {"open", "approved"}]
    if not found:
        raise NotFound(f"There is no request for {request}.", remedy="`assent request list` shows them.")
    return api.get(api.path("requests", (pending or found)[0]["id"]))


def _print(found: Mapping[str, Any]) -> None:
    emit({key: value for key, value in found.items() if value is not None}, _lines(found))
    emit("")
    print_checklist(found)
    if found["votes"]:
        emit("")
        emit(found["votes"], VOTES)


def _lines(found: Mapping[str, Any]) -> list[Column]:
    return [line for line in VIEW if found.get(line.key) is not None]
