"""Why somebody did something: an erasable, salted body; its digest stands in the leaf."""

from __future__ import annotations

import json
import secrets

from assent.kernel.canonical import canonical
from assent.kernel.errors import Invalid, NotFound
from assent.kernel.tx import Reader, Tx

MAX_REASON = 2000


def keep_reason(tx: Tx, text: str | None) -> str | None:
    """Store a reason and give its digest; the salt keeps short texts from being guessed. Raises: Invalid."""
    if text is None or not text.strip():
        return None
    if len(text) > MAX_REASON:
        raise Invalid(
            f"The reason has {len(text):,} characters; {MAX_REASON:,} at most.", remedy="Shorten it."
        )
    return tx.blobs.put(canonical({"salt": secrets.token_hex(16), "text": text.strip()}))


def needed_reason(tx: Tx, text: str | None, action: str) -> str | None:
    """Store a reason that must be given. Raises: Invalid."""
    kept = keep_reason(tx, text)
    if kept is None:
        raise Invalid(f"{action} needs a reason.", remedy="Say why in a sentence: --reason TEXT.")
    return kept


def reason_text(reader: Reader, digest: str | None) -> str | None:
    """Give the text of a kept reason; None where there is none or it was erased."""
    if digest is None:
        return None
    try:
        return str(json.loads(reader.blobs.get(digest))["text"])
    except NotFound:
        return None
