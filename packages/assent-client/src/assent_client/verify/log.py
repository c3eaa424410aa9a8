"""Verify a whole log: recompute every hash from the entries, up to the signed root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from assent_client.errors import NotFound
from assent_client.verify.merkle import (
    VerificationError,
    extend_frontier,
    leaf_hash,
    root_of_frontier,
    verify_inclusion,
)
from assent_client.verify.note import Checkpoint, verify_note
from assent_client.verify.tiles import (
    ENTRIES,
    WIDTH,
    Tile,
    root_of_tile,
    split_entries,
    split_tile,
    tiles_of_level,
)

Fetch = Callable[[str], bytes]
"""Gives what stands at a path below `ledger/`. Raises: NotFound."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What holds; `trusted` is False where the issuer's key came from the log itself."""

    checkpoint: Checkpoint
    note: str
    trusted: bool
    seen_size: int | None


def verify_log(
    fetch: Fetch,
    *,
    vkey: str | None = None,
    seen: str | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Verified:
    """Check the log's signature, all its entries and tiles, and that it continues what was seen before.

    `vkey` is the log's key as the caller holds it; without it the log's own word is taken, which shows
    consistency but not who issued it. `seen` is a signed checkpoint from an earlier time.

    Raises: VerificationError with the first bad leaf where one is known.
    """
    key = vkey or _text(fetch, "vkey").rstrip("\n")
    note = _text(fetch, "checkpoint")
    checkpoint = verify_note(note, [key])
    old = verify_note(seen, [key]) if seen is not None else None
    if old is not None and old.size > checkpoint.size:
        raise VerificationError(
            f"the log shows {checkpoint.size} leaves, but had {old.size} before", index=checkpoint.size
        )
    _check_leaves(fetch, checkpoint, old, on_progress)
    return Verified(checkpoint, note, vkey is not None, old.size if old else None)


def verify_entry(entry: bytes, index: int, proof: list[bytes], note: str, vkey: str) -> Checkpoint:
    """Check that an entry stands in the log at `index` under a signed checkpoint.

    Raises: VerificationError.
    """
    checkpoint = verify_note(note, [vkey])
    verify_inclusion(leaf_hash(entry), index, checkpoint.size, proof, checkpoint.root)
    return checkpoint


def _check_leaves(
    fetch: Fetch, checkpoint: Checkpoint, old: Checkpoint | None, on_progress: Callable[[int, int], None]
) -> None:
    frontier: list[bytes] = []
    full: list[bytes] = []
    for tile in tiles_of_level(0, checkpoint.size):
        hashes = _checked_hashes(fetch, tile)
        if old is not None and tile.first <= old.size <= tile.first + tile.width:
            _check_seen(
                old, root_of_frontier(extend_frontier(frontier, tile.first, hashes[: old.size - tile.first]))
            )
        frontier = extend_frontier(frontier, tile.first, hashes)
        if tile.width == WIDTH:
            full.append(root_of_tile(hashes))
        on_progress(tile.first + tile.width, checkpoint.size)
    _check_upper_tiles(fetch, checkpoint.size, full)
    if root_of_frontier(frontier) != checkpoint.root:
        raise VerificationError("the leaves do not lead to the signed root")


def _checked_hashes(fetch: Fetch, tile: Tile) -> list[bytes]:
    """Hash the entries under a level-0 tile and compare with what the tile says."""
    bundle = Tile(ENTRIES, tile.index, tile.width)
    hashes = [leaf_hash(entry) for entry in split_entries(bundle, _fetched(fetch, bundle))]
    stored = split_tile(tile, _fetched(fetch, tile))
    for index, (expected, found) in enumerate(zip(hashes, stored, strict=True), tile.first):
        if expected != found:
            raise VerificationError(f"leaf {index}: entry and tile disagree", index=index)
    return hashes


def _check_seen(old: Checkpoint, root: bytes) -> None:
    if root != old.root:
        raise VerificationError(
            f"the first {old.size} leaves are not those seen before: history was rewritten"
        )


def _check_upper_tiles(fetch: Fetch, size: int, hashes: list[bytes]) -> None:
    level = 1
    while hashes:
        full: list[bytes] = []
        for tile in tiles_of_level(level, size):
            expected = hashes[tile.first : tile.first + tile.width]
            stored = split_tile(tile, _fetched(fetch, tile))
            for offset, (good, found) in enumerate(zip(expected, stored, strict=True)):
                if good != found:
                    first = (tile.first + offset) << (8 * level)
                    raise VerificationError(f"tile {tile.path} is wrong over leaf {first}", index=first)
            if tile.width == WIDTH:
                full.append(root_of_tile(expected))
        level, hashes = level + 1, full


def _fetched(fetch: Fetch, tile: Tile) -> bytes:
    try:
        return fetch(f"tile/{tile.path}")
    except NotFound as error:
        first = tile.first << (8 * max(tile.level, 0))
        raise VerificationError(f"tile {tile.path} is missing", index=first) from error


def _text(fetch: Fetch, path: str) -> str:
    try:
        return fetch(path).decode()
    except UnicodeDecodeError as error:
        raise VerificationError(f"{path} is not text") from error
