"""Replay: apply every leaf to an empty database and compare its governed tables with the live ones."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from assent.kernel.db import connect, is_sqlite, metadata, tables_of
from assent.kernel.errors import AssentError
from assent.kernel.events import decode
from assent.kernel.tx import Projector, Reader
from assent.ledger import service
from assent_client.verify.merkle import VerificationError

MAX_LISTED = 1000
_CHUNK = 500

Progress = Callable[[int, int], None]
"""Called with leaves done and leaves in all."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the live database is not what its ledger says.

    `column` is None where the whole row is missing (`found` None) or extra (`expected` None). Values
    are as the database stores them: times and JSON as text.
    """

    table: str
    key: Mapping[str, Any]
    column: str | None
    expected: Any
    found: Any

    def __str__(self) -> str:
        row = f"{self.table}[{', '.join(f'{name}={value!r}' for name, value in self.key.items())}]"
        if self.column is None:
            return f"{row}: the row is {'missing' if self.found is None else 'not from the ledger'}"
        return f"{row}.{self.column}: expected {self.expected!r}, found {self.found!r}"


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay found; `differences` lists the first 1,000 of `n_differences`."""

    n_leaves: int
    n_tables: int
    n_rows: int
    n_differences: int
    differences: Sequence[Difference]

    @property
    def equal(self) -> bool:
        """Tell whether the live tables are what the ledger says."""
        return self.n_differences == 0


def check(reader: Reader, on_progress: Progress = lambda _done, _all: None) -> Replay:
    """Replay the ledger as this reader sees it into a temporary database and compare.

    Raises: VerificationError naming the first leaf that cannot be replayed.
    """
    with tempfile.TemporaryDirectory(prefix="assent-replay-") as folder:
        engine = connect(f"sqlite:///{Path(folder) / 'replay.db'}", pool_size=1)
        try:
            with engine.connect().execution_options(assent_writes=True) as scratch:
                metadata.create_all(scratch)
                n_leaves = _apply(reader, scratch, on_progress)
                return _compare(reader.conn, scratch, n_leaves)
        finally:
            engine.dispose()


def _apply(reader: Reader, scratch: sa.Connection, on_progress: Progress) -> int:
    size, done = service.head(reader).size, 0
    while leaves := service.leaves(reader, done, _CHUNK):
        for leaf in leaves:
            if leaf.index != done:
                raise VerificationError(f"leaf {done} is missing", index=done)
            _apply_one(reader.ports.projector, scratch, leaf.index, leaf.entry)
            done += 1
        on_progress(done, size)
    return done


def _apply_one(projector: Projector, scratch: sa.Connection, index: int, entry: bytes) -> None:
    try:
        projector.project(scratch, decode(entry, projector.known))
    except (AssentError, sa.exc.SQLAlchemyError) as error:
        raise VerificationError(f"leaf {index} cannot be replayed: {error}", index=index) from error


def _compare(live: sa.Connection, scratch: sa.Connection, n_leaves: int) -> Replay:
    tables = tables_of("governed")
    listed: list[Difference] = []
    n_rows = n_differences = 0
    for table in tables:
        for expected, found in _paired(table, _rows(scratch, table), _rows(live, table)):
            n_rows += expected is not None
            for difference in _differences(table, expected, found):
                n_differences += 1
                if len(listed) < MAX_LISTED:
                    listed.append(difference)
    return Replay(n_leaves, len(tables), n_rows, n_differences, listed)


Row = dict[str, Any]


def _rows(conn: sa.Connection, table: sa.Table) -> Iterator[Row]:
    """Read raw values in the order of the primary key, the same order on both databases."""
    raw = [sa.type_coerce(column, sa.types.NullType()).label(column.name) for column in table.columns]
    order = [
        column.collate("C") if isinstance(column.type, sa.String) and not is_sqlite(conn) else column
        for column in _key_columns(table)
    ]
    query = sa.select(*raw).order_by(*order).execution_options(yield_per=_CHUNK)
    yield from (dict(row) for row in conn.execute(query).mappings())


def _paired(
    table: sa.Table, expected: Iterator[Row], found: Iterator[Row]
) -> Iterator[tuple[Row | None, Row | None]]:
    """Merge two ordered streams of rows by their keys."""
    names = [column.name for column in _key_columns(table)]
    left, right = next(expected, None), next(found, None)
    while left is not None or right is not None:
        order_left, order_right = _order(left, names), _order(right, names)
        if right is None or (left is not None and order_left < order_right):
            yield left, None
            left = next(expected, None)
        elif left is None or order_right < order_left:
            yield None, right
            right = next(found, None)
        else:
            yield left, right
            left, right = next(expected, None), next(found, None)


def _order(row: Row | None, names: Sequence[str]) -> list[tuple[int, Any]]:
    """Sort as SQLite does across types: numbers, text, bytes."""
    if row is None:
        return []
    return [(1 if isinstance(row[n], str) else 2 if isinstance(row[n], bytes) else 0, row[n]) for n in names]


def _differences(table: sa.Table, expected: Row | None, found: Row | None) -> Iterator[Difference]:
    either = expected or found or {}
    key = {column.name: either[column.name] for column in _key_columns(table)}
    if expected is None or found is None:
        yield Difference(table.name, key, None, expected, found)
        return
    for column in table.columns:
        if expected[column.name] != found[column.name]:
            yield Difference(table.name, key, column.name, expected[column.name], found[column.name])


def _key_columns(table: sa.Table) -> Sequence[sa.Column[Any]]:
    return list(table.primary_key.columns)
