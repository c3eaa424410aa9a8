"""A slice of its own, `shelf`, on a real database with the real ledger; the job port keeps what it gets."""

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa

from assent.kernel.blobs import Blobs
from assent.kernel.clock import FakeClock
from assent.kernel.db import Json, Utc, connect, metadata
from assent.kernel.events import Event
from assent.kernel.signing import load_signers
from assent.kernel.tx import SYSTEM, Ports, Projections, Projector, Session
from assent.ledger import service as ledger

own = sa.MetaData()  # the product's metadata must not learn of it
books = sa.Table(
    "shelf_books",
    own,
    sa.Column("title", sa.String(20), primary_key=True),
    sa.Column("due_at", Utc),
    sa.Column("notes", Json),
    sa.Column("seen", Json),
)
projections = Projections("shelf")


@dataclass(frozen=True, slots=True, kw_only=True)
class BookAdded(Event):
    TYPE: ClassVar[str] = "shelf.book.added"
    title: str
    due_at: datetime | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BookCounted(Event):
    TYPE: ClassVar[str] = "shelf.book.counted"


@dataclass(frozen=True, slots=True, kw_only=True)
class BookLost(Event):
    TYPE: ClassVar[str] = "shelf.book.lost"
    title: str


@projections.on(BookAdded)
def _added(conn, r):
    e = r.event
    seen = {"notes": type(e.notes["at"]).__name__ if "at" in e.notes else None, "tags": type(e.tags).__name__}
    conn.execute(sa.insert(books).values(title=e.title, due_at=e.due_at, notes=e.notes, seen=seen))


@projections.on(BookCounted)
def _counted(conn, r):
    conn.execute(sa.select(books))


class Shelf:
    """A session over the slice."""

    def __init__(self, database, folder):
        self.jobs = []
        signers = load_signers(folder / "keys", "log.example/assent")
        self.session = Session(
            connect(database or f"sqlite:///{folder / 'assent.db'}"),
            Ports(
                clock=FakeClock(datetime(2026, 11, 24, 2, 15, 12, 123456, tzinfo=UTC)),
                blobs=Blobs(folder / "blobs"),
                projector=Projector([projections]),
                ledger=ledger.open_ledger(signers.ledger, folder),
                jobs=self,
            ),
        )
        with self.session.engine.connect() as conn, conn.execution_options(assent_writes=True).begin():
            metadata.create_all(conn, [t for t in metadata.sorted_tables if t.name.startswith("ledger_")])
            own.create_all(conn)

    def enqueue(self, conn, job, arguments):
        self.jobs.append((job, dict(arguments)))

    def begin(self, actor=SYSTEM):
        return self.session.begin(actor)

    def titles(self):
        with self.session.read() as reader:
            return list(reader.conn.execute(sa.select(books.c.title).order_by(books.c.title)).scalars())

    def leaves(self):
        with self.session.read() as reader:
            return [
                leaf
                for leaf in itertools.islice(ledger.leaves(reader, 0, 1000), 1000)
                if leaf.type.startswith("shelf.")
            ]


@pytest.fixture
def shelf(any_database, tmp_path):
    made = Shelf(any_database, tmp_path)
    yield made
    made.session.engine.dispose()


@pytest.fixture
def words():
    """The slice's vocabulary: its events, its table and its projections."""

    class Words:
        Added, Counted, Lost, table, declared = BookAdded, BookCounted, BookLost, books, projections

    return Words
