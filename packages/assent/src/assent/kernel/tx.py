"""The one way to write: `tx.record(event)`.

A transaction projects each event into its slice's tables at once, so the code after it reads its own
writes, and appends the leaves as its last statements, so the ledger's head is locked for as short as can be.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.sql.dml import UpdateBase

from assent.kernel.blobs import Blobs
from assent.kernel.clock import Clock
from assent.kernel.db import is_sqlite
from assent.kernel.errors import Frozen, Invalid, Unavailable
from assent.kernel.events import TYPE_GRAMMAR, Entry, Event, Recorded, decode, encode
from assent.kernel.ids import new_id

E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `auth_at` is when they last proved who they are; None for services and the system.

    `scopes` are the permissions that their token is limited to; None means all that they hold.
    """

    id: str
    kind: Literal["person", "service", "system"]
    auth_at: datetime | None = None
    scopes: tuple[str, ...] | None = None


SYSTEM = Actor("system:assent", "system")


class Writer:
    """What a projection gets: a connection that can insert, update and delete, and nothing else."""

    __slots__ = ("_conn",)

    def __init__(self, conn: sa.Connection) -> None:
        self._conn = conn

    def execute(self, statement: UpdateBase, rows: Sequence[Mapping[str, Any]] | None = None) -> None:
        """Run a write. Raises: TypeError for anything that reads."""
        if not isinstance(statement, UpdateBase):
            raise TypeError("A projection writes what the event carries; it reads nothing.")
        self._conn.execute(statement, rows)


Projection = Callable[[Writer, Recorded[Any]], None]


class Projections:
    """The projections of one slice, by event class."""

    def __init__(self, slice_name: str) -> None:
        self.slice_name = slice_name
        self._by_event: dict[type[Event], Projection] = {}

    def on(self, cls: type[E]) -> Callable[[Callable[[Writer, Recorded[E]], None]], Projection]:
        """Declare the projection of an event of this slice; each event has exactly one."""
        if not TYPE_GRAMMAR.match(cls.TYPE) or cls.TYPE.split(".")[0] != self.slice_name:
            raise ValueError(f"{cls.__name__}.TYPE is {cls.TYPE!r}; it must read {self.slice_name}.noun.past")
        if cls in self._by_event:
            raise ValueError(f"{cls.TYPE} has a projection already")

        def declare(projection: Callable[[Writer, Recorded[E]], None]) -> Projection:
            self._by_event[cls] = projection
            return projection

        return declare

    def items(self) -> Iterable[tuple[type[Event], Projection]]:
        """List them."""
        return self._by_event.items()


class Projector:
    """All projections of the product; wired in the composition roots."""

    def __init__(self, slices: Iterable[Projections]) -> None:
        self._by_event: dict[type[Event], Projection] = {}
        self.known: dict[tuple[str, int], type[Event]] = {}
        for projections in slices:
            for cls, projection in projections.items():
                key = (cls.TYPE, cls.V)
                if key in self.known:
                    raise ValueError(f"two events are called {key}")
                self.known[key] = cls
                self._by_event[cls] = projection

    def project(self, conn: sa.Connection, recorded: Recorded[Event]) -> None:
        """Write one event into its slice's tables."""
        self._by_event[type(recorded.event)](Writer(conn), recorded)


class AppendPort(Protocol):
    """What the ledger offers to the kernel."""

    def append(self, conn: sa.Connection, entries: Sequence[Entry]) -> int:
        """Lock the head, append in order and give the index of the first. Raises: Frozen."""
        ...


class EnqueuePort(Protocol):
    """What the job engine offers to the kernel."""

    def enqueue(self, conn: sa.Connection, job: str, arguments: Mapping[str, Any]) -> None:
        """Enqueue in this transaction."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What a session is wired with."""

    clock: Clock
    blobs: Blobs
    projector: Projector
    ledger: AppendPort
    jobs: EnqueuePort


@dataclass(slots=True)
class Reader:
    """A consistent view of the database."""

    conn: sa.Connection
    ports: Ports

    @property
    def clock(self) -> Clock:
        """Give the clock."""
        return self.ports.clock

    @property
    def blobs(self) -> Blobs:
        """Give the blob store."""
        return self.ports.blobs

    def now(self) -> datetime:
        """Give the present time."""
        return self.ports.clock.now()


@dataclass(slots=True)
class Tx(Reader):
    """A transaction by one actor."""

    actor: Actor
    _entries: list[Entry] = field(default_factory=list)
    _after: list[Callable[[], None]] = field(default_factory=list)

    def record(self, event: Event, *, reason: str | None = None) -> Recorded[Event]:
        """Record what happens: project it now, and let its leaf enter the ledger with the commit.

        The projection sees the event as it will be read back from the ledger, so a replay cannot differ.
        Raises: TooLarge, Invalid; sqlalchemy.exc.IntegrityError if the tables refuse it.
        """
        recorded = Recorded(id=new_id("evt"), at=self.now(), actor=self.actor.id, reason=reason, event=event)
        entry = encode(recorded)
        recorded = decode(entry.content, self.ports.projector.known)
        self.ports.projector.project(self.conn, recorded)
        self._entries.append(entry)
        return recorded

    def enqueue(self, job: str, **arguments: Any) -> None:
        """Have a job done later; it exists if and only if this transaction commits."""
        self.ports.jobs.enqueue(self.conn, job, arguments)

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call this once the transaction is durable: for signals, never for state."""
        self._after.append(call)

    def finish(self) -> Sequence[Callable[[], None]]:
        """Append the leaves; give what is to be called after the commit. Called by `Session` only."""
        if self._entries:
            self.ports.ledger.append(self.conn, self._entries)
        return self._after


class Session:
    """Opens transactions. It is shared by all threads of a process."""

    def __init__(self, engine: sa.Engine, ports: Ports) -> None:
        self.engine = engine
        self.ports = ports
        # SQLite has one writer; waiting here is fair and wakes at once, its own wait sleeps and polls.
        self._turn: AbstractContextManager[object] = threading.Lock() if is_sqlite(engine) else nullcontext()

    @contextmanager
    def begin(self, actor: Actor) -> Iterator[Tx]:
        """Write: commits when the block ends, rolls back when it raises. Raises: Unavailable, Frozen."""
        with _translated(), self._turn, self.engine.connect() as conn:
            if is_sqlite(conn):
                conn.execution_options(assent_writes=True)
            with conn.begin():
                tx = Tx(conn=conn, ports=self.ports, actor=actor)
                yield tx
                after = tx.finish()
        for call in after:
            call()

    @contextmanager
    def read(self) -> Iterator[Reader]:
        """Read one consistent state."""
        with _translated(), self.engine.connect() as conn:
            if not is_sqlite(conn):
                conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with conn.begin():
                yield Reader(conn=conn, ports=self.ports)


@contextmanager
def _translated() -> Iterator[None]:
    """Say in our words what an operator must do when the database does not answer."""
    try:
        yield
    except sa.exc.DataError as error:
        raise Invalid(
            "The database cannot hold this: a text is too long or holds a NUL character.",
            remedy="Shorten the text, or leave the character out.",
        ) from error
    except sa.exc.OperationalError as error:
        text = str(error.orig)
        if "readonly" in text or "disk is full" in text or "No space left" in text:
            raise Frozen(
                f"The database takes no changes: {text}.",
                remedy="Free disk space or make the data directory writable.",
            ) from error
        raise Unavailable(
            f"The database does not answer: {text}.",
            remedy="See that it runs and that ASSENT_DATABASE_URL is right.",
        ) from error
