"""Move prompt versions from status to status, because of something that happened."""

from __future__ import annotations

import secrets

from assent.kernel.canonical import canonical
from assent.kernel.errors import Invalid, NotFound
from assent.kernel.tx import Tx
from assent.prompts import store
from assent.prompts.domain import PromptAdvanced, PromptDeprecated, expect_deprecable, moves, split_ref
from assent.prompts.store import PromptVersion

MAX_REASON = 2000


def advance(tx: Tx, digest: str, status: str, because: str) -> None:
    """Move a version to the status that the event `because` has brought it to, if it moves at all.

    Raises: Invalid, NotFound.
    """
    store.lock_state(tx, digest)
    version = store.find_anywhere(tx, digest)
    if version is None:
        raise NotFound(f"No prompt has the digest {digest}.")
    if moves(version.status, status):
        tx.record(PromptAdvanced(status=status, because=because, **_place(version)))


def deprecate(tx: Tx, version: PromptVersion, reason: str, successor: str | None = None) -> PromptVersion:
    """Say that a version should not be taken up any more; it serves on where it is live.

    `successor` is name@number.
    Raises: Invalid (no reason), NotFound (the successor), Conflict (it is deprecated already).
    """
    store.lock_state(tx, version.digest)
    expect_deprecable(version.ref, version.status)
    if not reason.strip() or len(reason) > MAX_REASON:
        raise Invalid(f"A deprecation needs a reason of 1 to {MAX_REASON:,} characters.", remedy="Say why.")
    following = None
    if successor is not None:
        following = store.find(tx, version.project, *split_ref(successor))
        if following is None or following.digest == version.digest:
            raise NotFound(f"There is no other prompt {successor[:200]}.", remedy="Name its successor.")
    kept = tx.blobs.put(canonical({"salt": secrets.token_hex(16), "text": reason.strip()}))
    digest = None if following is None else following.digest
    tx.record(PromptDeprecated(successor=digest, **_place(version)), reason=kept)
    found = store.find_by_digest(tx, version.project, version.digest)
    return version if found is None else found


def _place(version: PromptVersion) -> dict[str, str]:
    return {
        "project": version.project,
        "name": version.name,
        "number": version.number,
        "subject": version.digest,
    }
