"""Secrets by reference: `env:NAME` or `file:/path`, read where they are used and kept nowhere else."""

import os
from pathlib import Path

from assent.kernel.errors import Invalid

MAX_SECRET = 4096


def read_reference(reference: str, again: str, where: str) -> str:
    """Read a secret where its reference says.

    `again` is what an operator does about a reference of another form, `where` which processes read it.
    Raises: Invalid.
    """
    kind, _, place = reference.partition(":")
    if kind == "env":
        secret = os.environ.get(place, "")
        missing = "is not set in this process"
    elif kind == "file":
        secret, missing = _read(Path(place), where), "is empty"
    else:
        raise Invalid("A key is named by env:NAME or file:/path.", remedy=again)
    if not secret.strip():
        raise Invalid(f"The key {reference} {missing}.", remedy=f"Set it where {where} run.")
    return secret.strip()


def _read(path: Path, where: str) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            secret = file.read(MAX_SECRET + 1)
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Invalid(
            f"The key file:{path} cannot be read: {cause}.",
            remedy=f"Let {where} read it, or name another place.",
        ) from error
    if len(secret) > MAX_SECRET:
        raise Invalid(f"file:{path} is longer than a key.", remedy="It must hold the key and nothing else.")
    return secret
