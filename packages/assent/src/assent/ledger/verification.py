"""Verify a ledger in its database: rows, hashes, tiles, head and pinned checkpoint."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from assent.kernel.clock import to_text
from assent.kernel.tx import Reader
from assent.ledger import service
from assent.ledger.domain import EMPTY, Leaf, Node, grow, mentions, project_of
from assent_client.verify.merkle import VerificationError, leaf_hash

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Verified:
    """What holds: all leaves, their tree and, where one was signed, the pinned checkpoint."""

    size: int
    root: bytes
    pinned_size: int | None


def check(reader: Reader, on_progress: Callable[[int, int], None] = lambda _done, _all: None) -> Verified:
    """Recompute everything from the entries' bytes.

    Raises: VerificationError naming the first bad leaf; Frozen where the pinned checkpoint disagrees.
    """
    stored = service.head(reader)
    head, full = EMPTY, list[Node]()
    while leaves := service.leaves(reader, head.size, _CHUNK):
        found = service.mentions(reader, head.size, head.size + len(leaves))
        for number, leaf in enumerate(leaves, head.size):
            _check_leaf(leaf, number, found.get(leaf.index, set()))
        head, nodes = grow(head, [leaf.hash for leaf in leaves])
        full.extend(nodes)
        on_progress(head.size, stored.size)
    if head.size != stored.size:
        raise VerificationError(
            f"the head counts {stored.size} leaves, the table holds {head.size}",
            index=min(head.size, stored.size),
        )
    _check_nodes(full, list(service.nodes(reader)))
    if head != stored:
        raise VerificationError("the head is not the root of the leaves")
    pinned = service.verify_pin(reader)
    return Verified(head.size, head.root, pinned.size if pinned else None)


def _check_leaf(leaf: Leaf, index: int, found: set[str]) -> None:
    if leaf.index != index:
        raise VerificationError(f"leaf {index} is missing", index=index)
    if leaf_hash(leaf.entry) != leaf.hash:
        raise VerificationError(f"leaf {index}: the entry does not have the hash that is stored", index=index)
    try:
        entry = json.loads(leaf.entry)
        written = (entry["id"], entry["type"], entry["at"], entry["actor"], project_of(leaf.entry))
        spoken_of = mentions(leaf.entry)
    except (ValueError, KeyError, TypeError) as error:
        raise VerificationError(f"leaf {index} is not an entry: {error!r}", index=index) from error
    if written != (leaf.event_id, leaf.type, to_text(leaf.at), leaf.actor, leaf.project):
        raise VerificationError(f"leaf {index}: the row does not say what its entry says", index=index)
    if spoken_of != found:
        raise VerificationError(f"leaf {index} is not found by what it speaks of", index=index)


def _check_nodes(expected: list[Node], stored: list[Node]) -> None:
    if sorted(expected, key=lambda node: (node.level, node.index)) == stored:
        return
    known = {(node.level, node.index): node.hash for node in stored}
    for node in expected:
        if known.pop((node.level, node.index), None) != node.hash:
            first = node.index << (8 * node.level)
            raise VerificationError(f"the tile over leaf {first} is wrong or missing", index=first)
    raise VerificationError(f"there are {len(known)} tiles beyond the end of the ledger")
