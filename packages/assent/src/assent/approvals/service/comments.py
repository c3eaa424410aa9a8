"""What somebody said with a vote: an erasable, salted body; its digest stands in the leaf."""

from __future__ import annotations

import json
import secrets

from assent.kernel.canonical import canonical
from assent.kernel.errors import Invalid, NotFound
from assent.kernel.tx import Reader, Tx

MAX_COMMENT = 10_000


def keep_comment(tx: Tx, text: str | None) -> str | None:
    """Store a comment and give its digest; the salt keeps short texts from being guessed. Raises: Invalid."""
    if text is None or not text.strip():
        return None
    if len(text) > MAX_COMMENT:
        raise Invalid(
            f"The comment has {len(text):,} characters; {MAX_COMMENT:,} at most.", remedy="Shorten it."
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
