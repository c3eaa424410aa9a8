"""`assent ledger`: read the ledger, prove entries, verify all of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from assent_client.api import Api
from assent_client.cli.connection import connect
from assent_client.cli.output import Column, emit, note, progress
from assent_client.errors import Frozen, Invalid, NotFound
from assent_client.snapshot import Root
from assent_client.verify.log import verify_entry, verify_log
from assent_client.verify.merkle import VerificationError
from assent_client.verify.note import decode_base64

__all__ = ["app", "print_failure", "verify_kept", "verify_served"]

FAILED = 1
ISSUER_UNKNOWN = 3
_UNKNOWN = "consistent, issuer unknown"

app = typer.Typer(no_args_is_help=True)

Everywhere = Annotated[bool, typer.Option("--everywhere", help="Of all projects and the installation.")]
Trust = Annotated[
    Path | None,
    typer.Option("--trust", metavar="ROOT", help="Root document that you hold; see `ledger root`."),
]
Entry = Annotated[str, typer.Argument(metavar="ENTRY", help="Id of an event, or index of a leaf.")]


@app.command("list")
def list_(  # noqa: PLR0913 -- each is one option
    kind: Annotated[
        str | None, typer.Option("--type", help="Type of event; `delivery.` names all of a slice.")
    ] = None,
    actor: Annotated[str | None, typer.Option(help="Who did it: a name or an id.")] = None,
    subject: Annotated[str | None, typer.Option(help="An id, digest or name that it speaks of.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z"])] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z"])] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 50,
    *,
    everywhere: Everywhere = False,
) -> None:
    """List entries, newest first."""
    asked = {"type": kind, "actor": actor, "subject": subject, "since": _utc(since), "until": _utc(until)}
    with connect() as api:
        found = api.pages(_entries(api, everywhere=everywhere), **asked, limit=min(limit, 200))
        items = list(islice(found, limit))
    emit(
        items,
        [
            Column("index", right=True),
            Column("at"),
            Column("type"),
            Column("actor_name", "actor"),
            Column("id"),
        ],
    )


@app.command()
def show(entry: Entry, *, everywhere: Everywhere = False) -> None:
    """Show one entry."""
    with connect() as api:
        found = api.get(_entries(api, entry, everywhere=everywhere))
    emit({key: value for key, value in found.items() if key not in {"entry", "proof", "checkpoint"}})


@app.command()
def proof(
    entry: Entry,
    trust: Trust = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to keep the proof in.")] = None,
    *,
    everywhere: Everywhere = False,
) -> None:
    """Prove one entry: fetch its proof, check it, and keep it for `ledger verify --proof`."""
    with connect() as api:
        found = api.get(_entries(api, entry, everywhere=everywhere))
        vkey = _vkey(trust) or api.read("/ledger/vkey").decode().rstrip("\n")
    kept = {key: found[key] for key in ("index", "entry", "proof", "checkpoint")}
    result = _verified_proof(kept, vkey)
    if output is not None:
        _write(output, json.dumps(kept, indent=2) + "\n")
    _conclude({**result, **({"file": str(output)} if output else kept)}, trusted=trust is not None)


@app.command()
def root(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to keep it in.")] = None,
) -> None:
    """Give the root document: what a verifier must hold, brought to it by a way that it trusts."""
    with connect() as api:
        document = Root.parse(api.read("/ledger/root"))
    if output is not None:
        _write(output, document.to_json().decode())
        note(f"Kept in {output}.")
    emit({"origin": document.origin, "log_vkey": document.log_vkey, "snapshot_vkey": document.snapshot_vkey})


@app.command()
def verify(
    trust: Trust = None,
    seen: Annotated[
        Path | None,
        typer.Option(help="Checkpoint that you saw last: it must be a prefix; the new one takes its place."),
    ] = None,
    kept: Annotated[Path | None, typer.Option("--proof", help="Verify this kept proof, offline.")] = None,
) -> None:
    """Verify the ledger: every entry, tile and signature. Exit 1: it does not hold; 3: issuer unknown."""
    if kept is not None:
        verify_kept(kept, trust)
    else:
        verify_served(trust, seen)


def verify_kept(kept: Path, trust: Path | None) -> None:
    """Verify a kept proof without a server."""
    if trust is None:
        raise Invalid("A kept proof is verified against a root document.", remedy="Give --trust ROOT.")
    try:
        document = json.loads(_read(kept))
    except ValueError as error:
        raise Invalid(f"{kept} is not a proof: {error}.") from error
    _conclude(_verified_proof(document, _vkey(trust) or ""), trusted=True)


def verify_served(trust: Path | None, seen: Path | None) -> None:
    """Verify the ledger that a server shows."""
    vkey = _vkey(trust)
    old = _read(seen) if seen is not None and seen.exists() else None
    try:
        with connect() as api, progress("Verifying", None) as advance:
            found = verify_log(
                lambda path: api.read(f"/ledger/{path}"),
                vkey=vkey,
                seen=old,
                on_progress=lambda done, _all: advance(done),
            )
    except VerificationError as error:
        raise print_failure(error) from error
    if seen is not None:
        _write(seen, found.note)
    result = {
        "origin": found.checkpoint.origin,
        "size": found.checkpoint.size,
        "root": base64.b64encode(found.checkpoint.root).decode(),
        "seen_size": found.seen_size,
    }
    _conclude(result, trusted=found.trusted)


def print_failure(error: VerificationError) -> typer.Exit:
    """Say what does not hold; raise what this gives."""
    emit({"verdict": "does not hold", "problem": str(error), "first_bad_leaf": error.index})
    return typer.Exit(FAILED)


def _conclude(result: Mapping[str, Any], *, trusted: bool) -> None:
    emit({"verdict": "verified" if trusted else _UNKNOWN, **result})
    if not trusted:
        note("Give --trust ROOT, a root document from a source of your own, to know who issued this.")
        raise typer.Exit(ISSUER_UNKNOWN)


def _verified_proof(document: Any, vkey: str) -> dict[str, Any]:
    try:
        entry, index = decode_base64(document["entry"]), document["index"]
        path = [decode_base64(node) for node in document["proof"]]
        checkpoint = verify_entry(entry, index, path, document["checkpoint"], vkey)
    except VerificationError as error:
        raise print_failure(error) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise Invalid(f"This is not a proof: {error!r}.") from error
    return {"origin": checkpoint.origin, "size": checkpoint.size, "index": index}


def _vkey(trust: Path | None) -> str | None:
    return None if trust is None else Root.parse(_read(trust)).log_vkey


def _entries(api: Api, *parts: str, everywhere: bool) -> str:
    if not everywhere:
        return api.path("ledger", "entries", *parts)
    return "/".join(["/v1/ledger/entries", *(quote(part, safe="") for part in parts)])


def _utc(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.isoformat() if moment.tzinfo else f"{moment.isoformat()}Z"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {error}.") from error


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Frozen(
            f"{path} cannot be written: {error.strerror}.", remedy="Choose a folder that you may write to."
        ) from error
