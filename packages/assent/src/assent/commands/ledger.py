"""`assent ledger replay` and `assent ledger verify --database`: what needs the database itself."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from assent_client.cli.ledger import print_failure, verify_kept, verify_served
from assent_client.cli.output import emit, note, progress
from assent_client.verify.merkle import VerificationError

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

MAX_PRINTED = 20


@app.command()
def replay(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Compare the tables with the replay; changes nothing.")
    ] = False,
) -> None:
    """Replay the ledger and compare every governed table with it: exit 1 names what was edited.

    It reads the database of ASSENT_DATA_DIR or ASSENT_DATABASE_URL and writes only a temporary file.

    Example: assent ledger replay --check
    """
    from assent.installation import opened  # noqa: PLC0415 -- commands start fast: load when called
    from assent.kernel.errors import Invalid  # noqa: PLC0415 -- as above
    from assent.kernel.settings import load  # noqa: PLC0415 -- as above
    from assent.ledger import replay as replaying  # noqa: PLC0415 -- as above

    if not check:
        raise Invalid("A replay only compares.", remedy="Write `assent ledger replay --check`.")
    try:
        with (
            opened(load()) as runtime,
            runtime.session.read() as reader,
            progress("Replaying", None) as advance,
        ):
            found = replaying.check(reader, lambda done, _all: advance(done))
    except VerificationError as error:
        raise print_failure(error) from error
    emit(
        {
            "verdict": "equal" if found.equal else "differs",
            "n_leaves": found.n_leaves,
            "n_tables": found.n_tables,
            "n_rows": found.n_rows,
            "n_differences": found.n_differences,
            "differences": [asdict(difference) for difference in found.differences[:MAX_PRINTED]],
        }
    )
    for difference in found.differences[:MAX_PRINTED]:
        note(str(difference))
    if not found.equal:
        raise typer.Exit(1)


@app.command()
def reindex() -> None:
    """Write the index of words that `assent model search --text` asks anew, from the documents.

    It holds nothing that is not in the documents: do it after a restore, or where a search misses a version.
    It works on the database of ASSENT_DATA_DIR or ASSENT_DATABASE_URL, while servers run.

    Example: assent ledger reindex
    """
    from assent.installation import opened  # noqa: PLC0415 -- as above
    from assent.kernel.settings import load  # noqa: PLC0415 -- as above
    from assent.kernel.tx import SYSTEM  # noqa: PLC0415 -- as above
    from assent.registry import service as registry  # noqa: PLC0415 -- as above

    with opened(load()) as runtime, runtime.session.begin(SYSTEM) as tx:
        n, left_out = registry.reindex(tx)
    emit({"n_versions": n, "left_out": left_out})
    if left_out:
        note(
            "Left out, because their documents are erased or were changed: "
            + ", ".join(left_out[:MAX_PRINTED])
        )


@app.command()
def verify(
    *,
    trust: Annotated[Path | None, typer.Option(help="Root document that you trust.")] = None,
    seen: Annotated[
        Path | None,
        typer.Option(help="Checkpoint that you saw last: it must be a prefix; the new one takes its place."),
    ] = None,
    kept: Annotated[Path | None, typer.Option("--proof", help="Verify this kept proof, offline.")] = None,
    database: Annotated[
        bool, typer.Option("--database", help="Verify the rows of ASSENT_DATA_DIR or ASSENT_DATABASE_URL.")
    ] = False,
) -> None:
    """Verify the ledger: every entry, tile and signature. Exit 1: it does not hold; 3: issuer unknown.

    Example: assent ledger verify --trust root.json
    """
    if database:
        _verify_database()
    elif kept is not None:
        verify_kept(kept, trust)
    else:
        verify_served(trust, seen)


def _verify_database() -> None:
    from assent.installation import opened  # noqa: PLC0415 -- commands start fast: load when called
    from assent.kernel.settings import load  # noqa: PLC0415 -- as above
    from assent.ledger import verification  # noqa: PLC0415 -- as above

    try:
        with (
            opened(load()) as runtime,
            runtime.session.read() as reader,
            progress("Verifying", None) as advance,
        ):
            found = verification.check(reader, lambda done, _all: advance(done))
    except VerificationError as error:
        raise print_failure(error) from error
    emit(
        {
            "verdict": "verified",
            "size": found.size,
            "root": found.root.hex(),
            "pinned_size": found.pinned_size,
        }
    )
