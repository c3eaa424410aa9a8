"""Proofs and roots of earlier sizes, computed from tiles.

Source: RFC 6962 sections 2.1.1 (PATH) and 2.1.2 (SUBPROOF).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from assent_client.verify.merkle import (
    EMPTY_ROOT,
    VerificationError,
    extend_frontier,
    node_hash,
    root_of_frontier,
)
from assent_client.verify.tiles import WIDTH, Tile

_TILE_HEIGHT = 8


class Tree:
    """Read-only view of a log of `size` leaves; `fetch` gives the hashes of a tile of that size."""

    def __init__(self, size: int, fetch: Callable[[Tile], Sequence[bytes]]) -> None:
        self.size = size
        self._fetch = fetch
        self._tiles: dict[Tile, Sequence[bytes]] = {}

    def root(self, size: int | None = None) -> bytes:
        """Compute the root of the first `size` leaves."""
        size = self.size if size is None else size
        self._check(0 <= size <= self.size, f"the log has {self.size} leaves, not {size}")
        return self._root(0, size) if size else EMPTY_ROOT

    def inclusion_proof(self, index: int, size: int | None = None) -> list[bytes]:
        """Prove that the leaf at `index` stands in the tree of the first `size` leaves."""
        size = self.size if size is None else size
        self._check(0 <= index < size <= self.size, f"no leaf {index} in {size} of {self.size} leaves")
        return self._path(index, 0, size)

    def consistency_proof(self, size1: int, size2: int | None = None) -> list[bytes]:
        """Prove that the first `size1` leaves are a prefix of the first `size2`."""
        size2 = self.size if size2 is None else size2
        self._check(
            1 <= size1 <= size2 <= self.size, f"no proof from {size1} to {size2} of {self.size} leaves"
        )
        return self._subproof(size1, 0, size2, whole=True)

    def _check(self, holds: bool, message: str) -> None:  # noqa: FBT001 -- the condition itself
        if not holds:
            raise VerificationError(message)

    def _path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        middle = start + _split(end - start)
        if index < middle:
            return [*self._path(index, start, middle), self._root(middle, end)]
        return [*self._path(index, middle, end), self._root(start, middle)]

    def _subproof(self, size: int, start: int, end: int, *, whole: bool) -> list[bytes]:
        if size == end:
            return [] if whole else [self._root(start, end)]
        middle = start + _split(end - start)
        if size <= middle:
            return [*self._subproof(size, start, middle, whole=whole), self._root(middle, end)]
        return [*self._subproof(size, middle, end, whole=False), self._root(start, middle)]

    def _root(self, start: int, end: int) -> bytes:
        n_leaves = end - start
        if n_leaves & (n_leaves - 1) == 0:
            height = n_leaves.bit_length() - 1
            return self._node(height, start >> height)
        middle = start + _split(n_leaves)
        return node_hash(self._root(start, middle), self._root(middle, end))

    def _node(self, height: int, index: int) -> bytes:
        level, rest = divmod(height, _TILE_HEIGHT)
        number, offset = divmod(index << rest, WIDTH)
        width = min(WIDTH, (self.size >> (_TILE_HEIGHT * level)) - number * WIDTH)
        tile = Tile(level, number, width)
        if tile not in self._tiles:
            self._tiles[tile] = self._fetch(tile)
        n_hashes = len(self._tiles[tile])
        self._check(n_hashes == width, f"tile {tile.path} has {n_hashes} hashes, not {width}")
        return root_of_frontier(extend_frontier((), 0, self._tiles[tile][offset : offset + (1 << rest)]))


def _split(n_leaves: int) -> int:
    return 1 << (n_leaves - 1).bit_length() - 1
