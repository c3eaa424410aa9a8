"""What the ledger is made of: leaves, the head of the tree, and what a leaf can be found by."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from assent_client.verify.merkle import EMPTY_ROOT, node_hash, root_of_frontier

TILE_HEIGHT_MASK = 7
MAX_MENTION = 200
_ID = re.compile(r"(?:[a-z]{2,8}_[0-9a-f]{32}|sha256:[0-9a-f]{64})\Z")
_NAMED = ("name", "subject", "environment", "version")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One entry of the ledger as stored."""

    index: int
    event_id: str
    type: str
    at: datetime
    actor: str
    project: str | None
    entry: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Node:
    """Root of a full tile: the hash at `index` of tile level `level`, 1 and up."""

    level: int
    index: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """State of the tree; `frontier` holds its perfect subtrees, largest first."""

    size: int
    frontier: tuple[bytes, ...]
    root: bytes


EMPTY = Head(0, (), EMPTY_ROOT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which entries to list, newest first; `type` may end with a dot to name a slice or noun.

    `subject` is an id, a digest or a name that the event mentions; `before` the index that ended the
    page before.
    """

    project: str | None = None
    type: str | None = None
    actor: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Which entries speak of something: those that mention one of `values` (ids, digests, names).

    `types` None is all types; those of `without` are left out.
    """

    values: Sequence[str]
    types: Sequence[str] | None = None
    without: Sequence[str] = ()


def grow(head: Head, leaves: Iterable[bytes]) -> tuple[Head, Sequence[Node]]:
    """Append leaf hashes; give the new head and the roots of the tiles that became full."""
    frontier, size = list(head.frontier), head.size
    full: list[Node] = []
    for leaf in leaves:
        node, rest, height = leaf, size, 0
        while rest & 1:
            node = node_hash(frontier.pop(), node)
            rest >>= 1
            height += 1
            if not height & TILE_HEIGHT_MASK:
                full.append(Node(height >> 3, size >> height, node))
        frontier.append(node)
        size += 1
    return Head(size, tuple(frontier), root_of_frontier(frontier)), full


def project_of(entry: bytes) -> str | None:
    """Give the project that an entry belongs to; None for what concerns the whole installation."""
    project = _event_fields(entry).get("project")
    return project if isinstance(project, str) else None


def mentions(entry: bytes) -> frozenset[str]:
    """List the ids, digests and names that an entry's event speaks of."""
    return frozenset(_mentioned(_event_fields(entry)))


def _event_fields(entry: bytes) -> dict[str, Any]:
    fields = json.loads(entry)["data"]
    return fields if isinstance(fields, dict) else {}


def _mentioned(fields: dict[str, Any]) -> Iterable[str]:
    for key, value in fields.items():
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, str) and (_ID.match(item) or (key in _NAMED and len(item) <= MAX_MENTION)):
                yield item
