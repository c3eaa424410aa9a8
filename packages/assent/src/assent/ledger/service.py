"""The ledger's port for writes, and what its readers ask: checkpoints, proofs, tiles, entries."""

import functools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa

from assent.kernel.db import is_sqlite
from assent.kernel.errors import Frozen, Invalid, NotFound
from assent.kernel.events import Entry
from assent.kernel.signing import Signer, Signers
from assent.kernel.tx import Reader
from assent.ledger import store
from assent.ledger.domain import About, Head, Leaf, Node, Query
from assent.ledger.pin import Pin
from assent_client.verify.merkle import VerificationError
from assent_client.verify.note import Checkpoint, make_vkey, read_unverified, sign_note, verify_note
from assent_client.verify.tiles import ENTRIES, Tile, exists, pack_entries
from assent_client.verify.tree import Tree

MAX_PAGE = 200
MAX_ABOUT = 5000
MAX_VALUES = 500
_REMEDY = "Restore the database that wrote it; `assent ledger verify --database` says what differs."


@dataclass(frozen=True, slots=True)
class Proof:
    """A leaf with what proves it: `path` leads from the leaf's hash to the root of `checkpoint`."""

    leaf: Leaf
    path: Sequence[bytes]
    checkpoint: str


class Ledger:
    """The append port of the kernel, and the only signer of checkpoints.

    It appends and signs only what continues the pinned checkpoint; anything else is Frozen.
    """

    def __init__(self, signer: Signer, pin: Pin) -> None:
        self._signer = signer
        self._pin = pin
        self._vkey = make_vkey(signer.name, signer.public_key)
        self._lock = threading.Lock()
        self._proven: Checkpoint | None = None

    def append(self, conn: sa.Connection, entries: Sequence[Entry]) -> int:
        """Append in order behind the locked head; give the index of the first. Raises: Frozen."""
        head = store.get_head(conn, lock=True)
        self._check(conn, head, self._known_pin())
        store.append(conn, head, entries)
        return head.size

    def checkpoint(self, conn: sa.Connection) -> str:
        """Give the signed checkpoint of the tree as `conn` sees it, or a newer one. Raises: Frozen."""
        with self._pin.locked():
            note, pinned = self._read_pin()
            with _seeing(conn, pinned.size if pinned else 0) as (fresh, head):
                self._check(fresh, head, pinned)
                if _root(fresh, head.size, head.size) != head.root:
                    raise Frozen(
                        "The head is not the root of the leaves: the ledger was edited.", remedy=_REMEDY
                    )
            if note is not None and pinned is not None and pinned.size == head.size:
                return note
            signed = Checkpoint(self._signer.name, head.size, head.root)
            note = sign_note(signed.text, self._signer.name, self._signer.public_key, self._signer.sign)
            self._pin.write(note)
        with self._lock:
            self._proven = signed
        return note

    def verify_pin(self, conn: sa.Connection) -> Checkpoint | None:
        """Check the tree against the pinned checkpoint; None where none was signed. Raises: Frozen."""
        _, pinned = self._read_pin()
        self._check(conn, store.get_head(conn), pinned)
        return pinned

    def _known_pin(self) -> Checkpoint | None:
        return self._proven or self._read_pin()[1]

    def _read_pin(self) -> tuple[str | None, Checkpoint | None]:
        note = self._pin.read()
        if note is None:
            return None, None
        try:
            return note, verify_note(note, [self._vkey])
        except VerificationError as error:
            raise Frozen(
                f"The pinned checkpoint is not one that this ledger signed: {error}.",
                remedy="Restore the key folder and the pinned checkpoint from one backup.",
            ) from error

    def _check(self, conn: sa.Connection, head: Head, pinned: Checkpoint | None) -> None:
        """Prove that the tree continues the pinned checkpoint."""
        if pinned is None:
            return
        if head.size < pinned.size:
            raise Frozen(
                f"The ledger has {head.size} leaves, but {pinned.size} were signed: its end is missing.",
                remedy=_REMEDY,
            )
        edited = head.size == pinned.size and head.root != pinned.root
        if pinned == self._proven and not edited:
            return
        if edited or _root(conn, head.size, pinned.size) != pinned.root:
            raise Frozen(
                f"The first {pinned.size} leaves are not those that were signed: the ledger was edited.",
                remedy=_REMEDY,
            )
        with self._lock:
            self._proven = pinned


def open_ledger(signer: Signer, data_dir: Path) -> Ledger:
    """Open the ledger whose pinned checkpoint is in the data directory."""
    return Ledger(signer, Pin(data_dir / "ledger" / "checkpoint"))


def root_document(signers: Signers) -> Mapping[str, str]:
    """Give what a verifier must hold to trust this installation."""
    return {
        "origin": signers.ledger.name,
        "log_vkey": make_vkey(signers.ledger.name, signers.ledger.public_key),
        "snapshot_vkey": make_vkey(signers.snapshot.name, signers.snapshot.public_key),
    }


def head(reader: Reader) -> Head:
    """Give size and root of the tree as this reader sees it."""
    return store.get_head(reader.conn)


def checkpoint(reader: Reader) -> str:
    """Give the newest signed checkpoint: of this reader's tree, or of a later one that was signed already.

    Raises: Frozen.
    """
    return _port(reader).checkpoint(reader.conn)


def inclusion_proofs(reader: Reader, indices: Sequence[int], size: int) -> list[Sequence[bytes]]:
    """Prove of each leaf that it stands in the tree of `size` leaves. Raises: Invalid."""
    with _seeing(reader.conn, size) as (conn, _):
        tree = _tree(conn, size)
        return [_proof(functools.partial(tree.inclusion_proof, index)) for index in indices]


def consistency_proof(reader: Reader, size1: int, size2: int) -> Sequence[bytes]:
    """Prove that the tree of `size1` leaves is a prefix of that of `size2`. Raises: Invalid."""
    with _seeing(reader.conn, size2) as (conn, _):
        return _proof(lambda: _tree(conn, size2).consistency_proof(size1))


def leaf(reader: Reader, event_id: str) -> Leaf:
    """Get the leaf of an event. Raises: NotFound."""
    found = store.find(reader.conn, event_id)
    if found is None:
        raise NotFound(f"The ledger holds no event {event_id}.")
    return found


def leaf_at(reader: Reader, index: int) -> Leaf:
    """Get the leaf at an index. Raises: NotFound."""
    found = leaves(reader, index, 1)
    if not found or found[0].index != index:
        raise NotFound(f"The ledger holds no leaf {index}.")
    return found[0]


def prove(reader: Reader, leaf: Leaf) -> Proof:
    """Prove a leaf under the newest signed checkpoint. Raises: Frozen."""
    note = checkpoint(reader)
    size = read_unverified(note).size
    [path] = inclusion_proofs(reader, [leaf.index], size)
    return Proof(leaf, path, note)


def leaves(reader: Reader, start: int, n: int) -> Sequence[Leaf]:
    """Read up to `n` leaves in order, from index `start`."""
    return store.leaves_from(reader.conn, start, n)


def entries(reader: Reader, query: Query) -> tuple[Sequence[Leaf], int | None]:
    """List a page of entries, newest first, and the `before` of the next page. Raises: Invalid."""
    if not 1 <= query.limit <= MAX_PAGE:
        raise Invalid(f"A page has 1 to {MAX_PAGE} entries, not {query.limit}.")
    found = store.search(reader.conn, query)
    return found, found[-1].index if len(found) == query.limit else None


def about(reader: Reader, project: str, question: About) -> Sequence[Leaf]:
    """List the entries of a project that speak of something, oldest first; the newest 5,000 of them."""
    found: dict[int, Leaf] = {}
    values = sorted(question.values)
    for start in range(0, len(values), MAX_VALUES):
        part = replace(question, values=values[start : start + MAX_VALUES])
        found |= {leaf.index: leaf for leaf in store.about(reader.conn, project, part, MAX_ABOUT)}
    return [found[index] for index in sorted(found)][-MAX_ABOUT:]


def tile(reader: Reader, address: Tile) -> bytes:
    """Give the bytes of a tile or entry bundle. Raises: NotFound beyond the end of the ledger."""
    if not exists(address, head(reader).size):
        raise NotFound(f"The ledger has no tile {address.path} yet.")
    if address.level == ENTRIES:
        return pack_entries(store.entries_of(reader.conn, address))
    return b"".join(store.hashes_of(reader.conn, address))


def nodes(reader: Reader) -> Iterator[Node]:
    """Read the stored roots of full tiles, by level and index."""
    yield from store.all_nodes(reader.conn)


def mentions(reader: Reader, start: int, end: int) -> Mapping[int, set[str]]:
    """Read what the leaves from `start` up to, not including, `end` are found by."""
    return store.mentions_between(reader.conn, start, end)


def verify_pin(reader: Reader) -> Checkpoint | None:
    """Check the tree against the pinned checkpoint; None where none was signed. Raises: Frozen."""
    return _port(reader).verify_pin(reader.conn)


def _port(reader: Reader) -> Ledger:
    port = reader.ports.ledger
    if not isinstance(port, Ledger):
        raise TypeError("this session is wired with another ledger")
    return port


def _tree(conn: sa.Connection, size: int) -> Tree:
    return Tree(size, functools.cache(lambda tile: store.hashes_of(conn, tile)))


@contextmanager
def _seeing(conn: sa.Connection, size: int) -> Iterator[tuple[sa.Connection, Head]]:
    """Give a view of at least `size` leaves, and its head.

    A reader that began before the last signature needs a newer view.
    """
    head = store.get_head(conn)
    if head.size >= size:
        yield conn, head
        return
    with conn.engine.connect() as opened:
        fresh = opened if is_sqlite(opened) else opened.execution_options(isolation_level="REPEATABLE READ")
        yield fresh, store.get_head(fresh)


def _root(conn: sa.Connection, size: int, of: int) -> bytes | None:
    """Compute the root of the first `of` leaves; None where rows are missing."""
    try:
        return _tree(conn, size).root(of)
    except VerificationError:
        return None


def _proof(compute: Callable[[], Sequence[bytes]]) -> Sequence[bytes]:
    try:
        return compute()
    except VerificationError as error:
        raise Invalid(f"There is no such proof: {error}.") from error
