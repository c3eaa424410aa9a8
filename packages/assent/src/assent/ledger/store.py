"""Tables of the ledger: rows are only ever added, which triggers hold; one row is the head."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from assent.kernel.db import Utc, is_sqlite, table
from assent.kernel.events import Entry
from assent.ledger.domain import EMPTY, About, Head, Leaf, Node, Query, grow, mentions, project_of
from assent_client.verify.merkle import HASH_SIZE, leaf_hash
from assent_client.verify.tiles import Tile

_Index = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

leaves = table(
    "ledger_leaves",
    sa.Column("idx", _Index, primary_key=True, autoincrement=False),
    sa.Column("event_id", sa.String(64), nullable=False, unique=True),
    sa.Column("type", sa.String(200), nullable=False),
    sa.Column("at", Utc, nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("project", sa.String(200)),
    sa.Column("entry", sa.LargeBinary, nullable=False),
    sa.Column("leaf_hash", sa.LargeBinary(HASH_SIZE), nullable=False),
    sa.Index("ix_ledger_leaves_type", "type", "idx"),
    sa.Index("ix_ledger_leaves_actor", "actor", "idx"),
    sa.Index("ix_ledger_leaves_project", "project", "idx"),
    kind="operational",
)

nodes = table(
    "ledger_nodes",
    sa.Column("level", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("idx", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary(HASH_SIZE), nullable=False),
    kind="operational",
)

mentioned = table(
    "ledger_mentions",
    sa.Column("value", sa.String(200), primary_key=True),
    sa.Column("idx", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Index("ix_ledger_mentions_idx", "idx"),
    kind="operational",
)

head = table(
    "ledger_head",
    sa.Column(
        "id", sa.SmallInteger, sa.CheckConstraint("id = 1", "one"), primary_key=True, autoincrement=False
    ),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("frontier", sa.LargeBinary, nullable=False),
    sa.Column("root", sa.LargeBinary(HASH_SIZE), nullable=False),
    kind="operational",
)

_HEAD = sa.select(head).where(head.c.id == 1)
_LOCKED_HEAD = _HEAD.with_for_update()

_POSTGRES_FUNCTION = """
CREATE OR REPLACE FUNCTION ledger_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$
"""


def guards(name: str, dialect: str) -> Sequence[str]:
    """Give the statements that make one of the tables append-only, for `create_all` and migrations."""
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER IF NOT EXISTS {name}_no_{verb.lower()} BEFORE {verb} ON {name} "
            "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
            for verb in ("UPDATE", "DELETE")
        ]
    return [
        _POSTGRES_FUNCTION,
        (
            f"CREATE OR REPLACE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only()"
        ),
    ]


@sa.event.listens_for(leaves, "after_create")
@sa.event.listens_for(nodes, "after_create")
@sa.event.listens_for(mentioned, "after_create")
def _guard(created: sa.Table, conn: sa.Connection, **_: Any) -> None:
    for statement in guards(created.name, conn.dialect.name):
        conn.exec_driver_sql(statement)


def get_head(conn: sa.Connection, *, lock: bool = False) -> Head:
    """Read the head; `lock` keeps other writers away until the transaction ends."""
    row = conn.execute(_LOCKED_HEAD if lock else _HEAD).one_or_none()
    if row is not None:
        return _head(row)
    if not lock:
        return EMPTY
    insert = sqlite.insert if is_sqlite(conn) else postgresql.insert
    conn.execute(insert(head).values(id=1, **_head_row(EMPTY)).on_conflict_do_nothing())
    return _head(conn.execute(_LOCKED_HEAD).one())


def append(conn: sa.Connection, before: Head, entries: Sequence[Entry]) -> Head:
    """Add entries behind the locked head `before`; the index of each is the size of the tree before it."""
    hashes = [leaf_hash(entry.content) for entry in entries]
    after, full = grow(before, hashes)
    numbered = list(enumerate(zip(entries, hashes, strict=True), before.size))
    conn.execute(sa.insert(leaves), [_leaf_row(index, entry, digest) for index, (entry, digest) in numbered])
    found = [
        {"value": value, "idx": index} for index, (entry, _) in numbered for value in mentions(entry.content)
    ]
    if found:
        conn.execute(sa.insert(mentioned), found)
    if full:
        conn.execute(sa.insert(nodes), [{"level": n.level, "idx": n.index, "hash": n.hash} for n in full])
    conn.execute(sa.update(head).where(head.c.id == 1).values(**_head_row(after)))
    return after


def hashes_of(conn: sa.Connection, tile: Tile) -> list[bytes]:
    """Read the hashes of a tile; fewer where rows are missing."""
    span = (tile.first, tile.first + tile.width - 1)
    if tile.level == 0:
        query = sa.select(leaves.c.leaf_hash).where(leaves.c.idx.between(*span)).order_by(leaves.c.idx)
    else:
        query = (
            sa.select(nodes.c.hash)
            .where(nodes.c.level == tile.level, nodes.c.idx.between(*span))
            .order_by(nodes.c.idx)
        )
    return list(conn.execute(query).scalars())


def entries_of(conn: sa.Connection, tile: Tile) -> list[bytes]:
    """Read the entries of a bundle; fewer where rows are missing."""
    span = (tile.first, tile.first + tile.width - 1)
    query = sa.select(leaves.c.entry).where(leaves.c.idx.between(*span)).order_by(leaves.c.idx)
    return list(conn.execute(query).scalars())


def find(conn: sa.Connection, event_id: str) -> Leaf | None:
    """Find the leaf of an event."""
    row = conn.execute(sa.select(leaves).where(leaves.c.event_id == event_id)).one_or_none()
    return None if row is None else _leaf(row)


def leaves_from(conn: sa.Connection, start: int, n: int) -> list[Leaf]:
    """Read up to `n` leaves in order, from index `start`."""
    query = sa.select(leaves).where(leaves.c.idx >= start).order_by(leaves.c.idx).limit(n)
    return [_leaf(row) for row in conn.execute(query)]


def search(conn: sa.Connection, query: Query) -> list[Leaf]:
    """List leaves that match, newest first."""
    wanted = sa.select(leaves).where(*_conditions(query)).order_by(leaves.c.idx.desc()).limit(query.limit)
    return [_leaf(row) for row in conn.execute(wanted)]


def about(conn: sa.Connection, project: str, question: About, limit: int) -> list[Leaf]:
    """List leaves that mention one of the values, newest first; those of no project count as well."""
    where = [
        leaves.c.idx.in_(sa.select(mentioned.c.idx).where(mentioned.c.value.in_(question.values))),
        sa.or_(leaves.c.project == project, leaves.c.project.is_(None)),
    ]
    if question.types is not None:
        where.append(leaves.c.type.in_(question.types))
    if question.without:
        where.append(leaves.c.type.not_in(question.without))
    wanted = sa.select(leaves).where(*where).order_by(leaves.c.idx.desc()).limit(limit)
    return [_leaf(row) for row in conn.execute(wanted)]


def mentions_between(conn: sa.Connection, start: int, end: int) -> dict[int, set[str]]:
    """Read what the leaves from `start` up to, not including, `end` are found by."""
    found: dict[int, set[str]] = {}
    query = sa.select(mentioned.c.idx, mentioned.c.value).where(
        mentioned.c.idx >= start, mentioned.c.idx < end
    )
    for index, value in conn.execute(query):
        found.setdefault(index, set()).add(value)
    return found


def all_nodes(conn: sa.Connection) -> Iterable[Node]:
    """Read the roots of full tiles in the order in which they became full within each level."""
    for row in conn.execute(sa.select(nodes).order_by(nodes.c.level, nodes.c.idx)):
        yield Node(row.level, row.idx, row.hash)


def _conditions(query: Query) -> Iterable[sa.ColumnElement[bool]]:
    if query.project is not None:
        yield leaves.c.project == query.project
    if query.type is not None:
        exact = not query.type.endswith(".")
        yield leaves.c.type == query.type if exact else leaves.c.type.startswith(query.type, autoescape=True)
    if query.actor is not None:
        yield leaves.c.actor == query.actor
    if query.subject is not None:
        about = sa.select(mentioned.c.idx).where(mentioned.c.value == query.subject)
        yield leaves.c.idx.in_(about)
    if query.since is not None:
        yield leaves.c.at >= query.since
    if query.until is not None:
        yield leaves.c.at < query.until
    if query.before is not None:
        yield leaves.c.idx < query.before


def _leaf_row(index: int, entry: Entry, digest: bytes) -> dict[str, Any]:
    return {
        "idx": index,
        "event_id": entry.event_id,
        "type": entry.type,
        "at": entry.at,
        "actor": entry.actor,
        "project": project_of(entry.content),
        "entry": entry.content,
        "leaf_hash": digest,
    }


def _leaf(row: Any) -> Leaf:
    return Leaf(row.idx, row.event_id, row.type, row.at, row.actor, row.project, row.entry, row.leaf_hash)


def _head_row(state: Head) -> dict[str, Any]:
    return {"size": state.size, "frontier": b"".join(state.frontier), "root": state.root}


def _head(row: Any) -> Head:
    cut = range(0, len(row.frontier), HASH_SIZE)
    return Head(row.size, tuple(row.frontier[i : i + HASH_SIZE] for i in cut), row.root)
