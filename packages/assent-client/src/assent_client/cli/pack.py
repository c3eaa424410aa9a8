"""`assent pack`: evidence in one file that verifies offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assent_client.cli.connection import connect
from assent_client.cli.output import emit, note
from assent_client.errors import Frozen, Invalid, NotFound
from assent_client.verify.merkle import VerificationError
from assent_client.verify.pack import verify_pack
from assent_client.verify.script import verifier_script

__all__ = ["app"]

FAILED = 1
ISSUER_UNKNOWN = 3
_BUILD_TIMEOUT_S = 300.0

app = typer.Typer(no_args_is_help=True)

Out = Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Where to write it.")]


@app.command()
def create(
    about: Annotated[
        str, typer.Argument(metavar="NAME[@VERSION]", help="A version, or all versions of a system.")
    ],
    out: Out,
) -> None:
    """Write the pack of a version or system: entries with proofs, statements, card, coverage."""
    with connect(_BUILD_TIMEOUT_S) as api:
        issued = api.post(api.path("packs"), {"about": about})
        content = api.read(api.path("packs", about))
    _write(out, content)
    note(f"Verify it: assent pack verify {out} --trust ROOT (see `assent ledger root`).")
    emit({"file": str(out), "bytes": len(content), "statements_issued": issued["n_issued"]})


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The pack.")],
    trust: Annotated[
        Path | None,
        typer.Option("--trust", metavar="ROOT", help="Root document that you hold; see `ledger root`."),
    ] = None,
) -> None:
    """Verify a pack, offline. Exit 1: it does not hold, with the place; 3: consistent, issuer unknown."""
    content = _read(file)
    root = None if trust is None else _text(trust)
    try:
        found = verify_pack(content, root)
    except VerificationError as error:
        emit({"verdict": "does not hold", "problem": str(error), "first_bad_leaf": error.index})
        raise typer.Exit(FAILED) from error
    emit(
        {
            "verdict": "verified" if found.trusted else "consistent, issuer unknown",
            "about": found.about.get("ref"),
            "as_of": found.about.get("as_of"),
            "origin": found.checkpoint.origin,
            "size": found.checkpoint.size,
            "entries": len(found.entries),
            "statements": len(found.statements),
            "bodies_erased": len(found.absent),
        }
    )
    if not found.trusted:
        note("Give --trust ROOT, a root document from a source of your own, to know who issued this.")
        raise typer.Exit(ISSUER_UNKNOWN)


@app.command()
def verifier(out: Out) -> None:
    """Write the verifier as one Python file that needs only `cryptography`, for whoever has no Assent."""
    _write(out, verifier_script().encode())
    note(f"python {out} PACK --trust ROOT")
    emit({"file": str(out)})


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}.") from None
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.") from error


def _text(path: Path) -> str:
    try:
        return _read(path).decode()
    except UnicodeDecodeError as error:
        raise Invalid(f"{path} is not text, so it is no root document.") from error


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise Frozen(
            f"{path} cannot be written: {error.strerror}.", remedy="Choose a folder that you may write to."
        ) from error
