"""What somebody said: an erasable, salted body; its digest stands in the leaf."""

from __future__ import annotations

import json
import secrets

from assent.kernel.canonical import canonical
from assent.kernel.errors import Invalid, NotFound
from assent.kernel.tx import Reader, Tx

MAX_COMMENT = 10_000


def keep_comment(tx: Tx, text: str | None) -> str | None:
    """Store a comment, if there is one, and give its digest. Raises: Invalid."""
    return None if text is None or not text.strip() else keep_text(tx, text)


def needed_text(tx: Tx, text: str, what: str) -> str:
    """Store a text that must be there. Raises: Invalid."""
    if not text.strip():
        raise Invalid(f"{what} needs a text.", remedy="Say it in a sentence or two: --text TEXT.")
    return keep_text(tx, text)


def keep_text(tx: Tx, text: str) -> str:
    """Store a text and give its digest; the salt keeps short texts from being guessed. Raises: Invalid."""
    if len(text) > MAX_COMMENT:
        raise Invalid(
            f"The text has {len(text):,} characters; {MAX_COMMENT:,} at most.", remedy="Shorten it."
        )
    return tx.blobs.put(canonical({"salt": secrets.token_hex(16), "text": text.strip()}))


def comment_text(reader: Reader, digest: str | None) -> str | None:
    """Give the text of a kept comment; None where there is none or it was erased."""
    if digest is None:
        return None
    try:
        return str(json.loads(reader.blobs.get(digest))["text"])
    except NotFound:
        return None
