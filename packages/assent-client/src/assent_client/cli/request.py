"""`assent request`: ask for a release, look at what is missing, vote."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from assent_client.cli.connection import connect
from assent_client.cli.output import Column, emit, note, print_text
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
COMMENTS = [
    Column("id"),
    Column("by"),
    Column("at"),
    Column("path", "on"),
    Column("line"),
    Column("text"),
    Column("answers"),
    Column("resolved_by", "resolved by"),
]
VOTES = [
    Column("voter"),
    Column("verdict"),
    Column("at"),
    Column("counts"),
    Column("stale"),
    Column("holds"),
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
def approve(
    request: Which,
    comment: Comment = None,
    digest: Seen = None,
    max_share: Annotated[
        float | None, typer.Option(min=0, max=1, help="It may have at most this share of the traffic.")
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], metavar="DATE", help="It ends then, in UTC."),
    ] = None,
) -> None:
    """Vote for it; refused with every reason where your vote would not count.

    Example: assent request approve support@2.1.0 --max-share 0.1 --until 2027-01-31
    """
    end = None if until is None else until.replace(tzinfo=UTC).isoformat()
    proviso = {"max_share": None if max_share is None else str(max_share), "until": end}
    _vote("approve", request, comment, digest, **{k: v for k, v in proviso.items() if v is not None})


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


@app.command()
def comment(
    request: Which,
    text: Annotated[str, typer.Argument(help="What you say.")],
    field: Annotated[
        str | None, typer.Option("--on", help="The field that it is about, as the diff names it.")
    ] = None,
    line: Annotated[int | None, typer.Option("--line", help="The line of that field.")] = None,
    document: Annotated[
        str | None, typer.Option("--document", help="The digest, where two documents have the field.")
    ] = None,
    answers: Annotated[str | None, typer.Option("--answers", help="The comment that you answer.")] = None,
) -> None:
    """Comment on a request: on the whole, on a field, or on a line of it.

    For example: assent request comment support@2.1.0 "Why so long?" --on messages.1.content --line 3
    """
    body = {"text": text, "path": field, "line": line, "document": document, "answers": answers}
    with connect() as api:
        found = _find(api, request)
        emit(api.post(api.path("requests", found["id"], "comments"), body), COMMENTS)


@app.command()
def comments(request: Which) -> None:
    """List the comments on a request."""
    with connect() as api:
        path = api.path("requests", _find(api, request)["id"], "comments")
        emit(list(api.pages(path)), COMMENTS, empty="No comments.")


@app.command()
def resolve(comment: Annotated[str, typer.Argument(help="The first comment of a thread, cmt_….")]) -> None:
    """Settle a thread of comments."""
    with connect() as api:
        emit(api.post(api.path("comments", comment, "resolutions")), COMMENTS)


@app.command()
def changes(request: Which) -> None:
    """Say what changed since you voted on it, or on the request that it took the place of."""
    with connect() as api:
        found = api.get(api.path("requests", _find(api, request)["id"], "changes"))
    emit(found, _print_changes)


def _print_changes(found: Mapping[str, Any]) -> None:
    since = found["since"]
    if since is None:
        print_text("You have not voted on this.")
        return
    print_text(f"You said {since['vote']['verdict']} at {since['vote']['at']}. Since then:")
    if since["policy"]:
        print_text(f"policy: {since['policy']['before']} -> {since['policy']['after']}")
    for one in since["manifest"]:
        print_text(f"{one['name']}: {one['before'] or 'none'} -> {one['after'] or 'none'}")
    for one in since["evidence"]:
        print_text(f"evidence: {one['kind']} at {one['issued_at']}")
    for one in since["votes"]:
        print_text(f"vote: {one['voter']} {one['verdict']}")
    for one in since["comments"]:
        print_text(f"comment: {one['by']}: {one['text']}")
    if not any(since[part] for part in ("policy", "manifest", "evidence", "votes", "comments")):
        print_text("nothing.")


def _vote(verdict: str, request: str, comment: str | None, digest: str | None, **proviso: str) -> None:
    with connect() as api:
        found = _find(api, request)
        body = {
            "verdict": verdict,
            "subject": digest or found["subject"],
            "policy": found["policy"],
            "comment": comment,
            **proviso,
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
        emit([{**one, "holds": _holds(one)} for one in found["votes"]], VOTES)


def _holds(vote: Mapping[str, Any]) -> str:
    """Say for how much and how long a vote holds; nothing where for all and always."""
    share = f"up to {vote['max_share']} of the traffic" if vote["max_share"] else ""
    until = f"until {vote['until']}" if vote["until"] else ""
    return ", ".join(part for part in (share, until) if part)


def _lines(found: Mapping[str, Any]) -> list[Column]:
    return [line for line in VIEW if found.get(line.key) is not None]
