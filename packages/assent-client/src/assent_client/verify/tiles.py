"""Paths and contents of a tiled log.

A tile of level L and index N holds up to 256 hashes: level 0 the leaf hashes, each further level
the roots of the full tiles below. A tile of fewer hashes is partial and named by its width:

    tile/<L>/<N>[.p/<W>]          tile/entries/<N>[.p/<W>]

N is written in groups of three digits, all but the last with an x: 1234067 = x001/x234/067.
An entry bundle is the entries in order, each behind its length as a big-endian uint16.

Source: C2SP tlog-tiles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from assent_client.verify.merkle import HASH_SIZE, VerificationError, extend_frontier, root_of_frontier

WIDTH = 256
MAX_LEVEL = 5
MAX_ENTRY_BYTES = 65_535
ENTRIES = -1
"""Level of an entry bundle, which has the width of the level-0 tile over it."""

_TILE = re.compile(
    r"(?P<level>entries|[0-5])/(?P<index>(?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """Address of one tile or entry bundle; `width` 256 means full."""

    level: int
    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Path below `tile/`."""
        level = "entries" if self.level == ENTRIES else str(self.level)
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"{level}/{encode_index(self.index)}{partial}"

    @property
    def first(self) -> int:
        """Index of its first hash within its level."""
        return self.index * WIDTH


def encode_index(index: int) -> str:
    """Write a tile's index in groups of three digits."""
    groups = [f"{index % 1000:03d}"]
    while index >= 1000:  # noqa: PLR2004 -- three decimal digits
        index //= 1000
        groups.append(f"x{index % 1000:03d}")
    return "/".join(reversed(groups))


def parse_path(path: str) -> Tile:
    """Read a path below `tile/`, in its one canonical form only.

    Raises: VerificationError.
    """
    match = _TILE.fullmatch(path)
    if match is None:
        raise VerificationError(f"not the path of a tile: {path[:60]!r}")
    level = ENTRIES if match["level"] == "entries" else int(match["level"])
    tile = Tile(level, int(match["index"].replace("x", "").replace("/", "")), int(match["width"] or WIDTH))
    if tile.path != path or tile.width > WIDTH:
        raise VerificationError(f"not the canonical path of a tile: {path[:60]!r}")
    return tile


def tiles_of_level(level: int, size: int, start: int = 0) -> Iterator[Tile]:
    """List the tiles of one level (or the entry bundles) in a log of `size` leaves, from index `start`."""
    n_hashes = size >> (8 * max(level, 0))
    for index in range(start, n_hashes // WIDTH):
        yield Tile(level, index)
    if n_hashes % WIDTH and start <= n_hashes // WIDTH:
        yield Tile(level, n_hashes // WIDTH, n_hashes % WIDTH)


def tiles_of(size: int) -> Iterator[Tile]:
    """List all hash tiles of a log of `size` leaves, lowest level first."""
    level = 0
    while size >> (8 * level):
        yield from tiles_of_level(level, size)
        level += 1


def exists(tile: Tile, size: int) -> bool:
    """Say whether a log of `size` leaves has this tile, partial tiles of earlier sizes included."""
    return tile.first + tile.width <= size >> (8 * max(tile.level, 0))


def root_of_tile(hashes: Sequence[bytes]) -> bytes:
    """Compute the one hash that the level above holds of a full tile."""
    return root_of_frontier(extend_frontier((), 0, hashes))


def split_tile(tile: Tile, content: bytes) -> list[bytes]:
    """Cut a tile's bytes into its hashes.

    Raises: VerificationError where the length is not width x 32 bytes.
    """
    if len(content) != tile.width * HASH_SIZE:
        raise VerificationError(f"tile {tile.path} has {len(content)} bytes, not {tile.width * HASH_SIZE}")
    return [content[i : i + HASH_SIZE] for i in range(0, len(content), HASH_SIZE)]


def pack_entries(entries: Sequence[bytes]) -> bytes:
    """Write an entry bundle.

    Raises: VerificationError where an entry has more than 65,535 bytes.
    """
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise VerificationError(f"an entry has at most {MAX_ENTRY_BYTES} bytes, not {len(entry)}")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def split_entries(tile: Tile, content: bytes) -> list[bytes]:
    """Cut an entry bundle into its entries.

    Raises: VerificationError where it holds more, fewer, or a cut entry.
    """
    entries: list[bytes] = []
    position = 0
    while position < len(content):
        start = position + 2
        end = start + int.from_bytes(content[position:start], "big")
        if start > len(content) or end > len(content):
            raise VerificationError(
                f"bundle {tile.path} ends within an entry", index=tile.first + len(entries)
            )
        entries.append(content[start:end])
        position = end
    if len(entries) != tile.width:
        raise VerificationError(
            f"bundle {tile.path} has {len(entries)} entries, not {tile.width}",
            index=tile.first + min(len(entries), tile.width),
        )
    return entries
