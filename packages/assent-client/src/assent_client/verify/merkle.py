"""The Merkle tree of RFC 6962: hashes, roots, and the two proofs that a log owes its readers.

Source: RFC 6962 section 2.1; RFC 9162 sections 2.1.3.2 and 2.1.4.2 (verification of proofs).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence

HASH_SIZE = 32
MAX_SIZE = 2**63 - 1
EMPTY_ROOT = hashlib.sha256(b"").digest()


class VerificationError(Exception):
    """Say what does not verify, and the first bad leaf index where one is known."""

    def __init__(self, message: str, *, index: int | None = None) -> None:
        super().__init__(message)
        self.index = index


def leaf_hash(entry: bytes) -> bytes:
    """Hash one entry of the log: SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two children: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def extend_frontier(frontier: Sequence[bytes], size: int, leaves: Iterable[bytes]) -> list[bytes]:
    """Append leaf hashes to a tree that is known only by its frontier.

    The frontier of a tree of `size` leaves is the hashes of its perfect subtrees, largest first:
    one for each set bit of `size`.
    """
    nodes = list(frontier)
    if len(nodes) != size.bit_count():
        raise VerificationError(f"a tree of {size} leaves has {size.bit_count()} roots, not {len(nodes)}")
    for leaf in leaves:
        node, rest = leaf, size
        while rest & 1:
            node = node_hash(nodes.pop(), node)
            rest >>= 1
        nodes.append(node)
        size += 1
    return nodes


def root_of_frontier(frontier: Sequence[bytes]) -> bytes:
    """Fold the perfect subtrees, largest first, into the root of the tree."""
    if not frontier:
        return EMPTY_ROOT
    root = frontier[-1]
    for left in reversed(frontier[:-1]):
        root = node_hash(left, root)
    return root


def root_of_leaves(leaves: Iterable[bytes]) -> bytes:
    """Compute the root over leaf hashes in their order."""
    return root_of_frontier(extend_frontier((), 0, leaves))


def root_of_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Compute the root that an inclusion proof leads to.

    Raises: VerificationError where the proof cannot belong to this index and size.
    Source: RFC 9162 section 2.1.3.2.
    """
    _check_size(size)
    _check_hashes(leaf, *proof)
    if not 0 <= index < size:
        raise VerificationError(f"leaf {index} is outside a tree of {size} leaves", index=index)
    position, last, root = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise VerificationError("the inclusion proof is too long", index=index)
        if position & 1 or position == last:
            root = node_hash(sibling, root)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            root = node_hash(root, sibling)
        position >>= 1
        last >>= 1
    if last != 0:
        raise VerificationError("the inclusion proof is too short", index=index)
    return root


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that `leaf` (a leaf hash) stands at `index` in the tree of `size` leaves with this root.

    Raises: VerificationError.
    """
    _check_hashes(root)
    if not hmac.compare_digest(root_of_inclusion(leaf, index, size, proof), root):
        raise VerificationError(f"the proof of leaf {index} does not lead to the root", index=index)


def verify_consistency(size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes) -> None:
    """Check that the tree of `size1` leaves is a prefix of the tree of `size2` leaves.

    An empty first tree is refused: it is a prefix of everything, so such a proof says nothing.

    Raises: VerificationError.
    Source: RFC 9162 section 2.1.4.2.
    """
    _check_size(size2)
    if not 1 <= size1 <= size2:
        raise VerificationError(f"no proof leads from {size1} leaves to {size2}")
    if size1 == size2:
        if proof or not hmac.compare_digest(root1, root2):
            raise VerificationError(f"two trees of {size1} leaves must have one root and an empty proof")
        return
    _check_hashes(root1, root2, *proof)
    old, new = _roots_of_consistency(size1, size2, proof, root1)
    if not hmac.compare_digest(old, root1):
        raise VerificationError(f"the proof does not lead to the root of {size1} leaves")
    if not hmac.compare_digest(new, root2):
        raise VerificationError(f"the proof does not lead to the root of {size2} leaves")


def _roots_of_consistency(
    size1: int, size2: int, proof: Sequence[bytes], root1: bytes
) -> tuple[bytes, bytes]:
    path = list(proof) if size1 & (size1 - 1) else [root1, *proof]
    if not path:
        raise VerificationError("the consistency proof is too short")
    position, last = size1 - 1, size2 - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old = new = path[0]
    for node in path[1:]:
        if last == 0:
            raise VerificationError("the consistency proof is too long")
        if position & 1 or position == last:
            old, new = node_hash(node, old), node_hash(node, new)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new = node_hash(new, node)
        position >>= 1
        last >>= 1
    if last != 0:
        raise VerificationError("the consistency proof is too short")
    return old, new


def _check_size(size: int) -> None:
    if not 0 <= size <= MAX_SIZE:
        raise VerificationError(f"{size} is not the size of a log")


def _check_hashes(*hashes: bytes) -> None:
    for value in hashes:
        if len(value) != HASH_SIZE:
            raise VerificationError(f"a hash has {HASH_SIZE} bytes, not {len(value)}")
