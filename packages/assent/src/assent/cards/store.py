"""The table of cards, its projections and its queries."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from assent.cards.domain import CardDrafted, CardPublished, CardReturned, CardSubmitted
from assent.kernel.db import Json, Utc, is_sqlite, table
from assent.kernel.events import Recorded
from assent.kernel.tx import Projections, Reader, Tx, Writer

ID = sa.String(64)
NAME = sa.String(63)
DIGEST = sa.String(71)
MAX_SUBMITTED = 1000

cards = table(
    "cards_cards",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("name", NAME, nullable=False),
    sa.Column("number", sa.String(100), nullable=False),
    sa.Column("subject", DIGEST, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("digest", DIGEST, nullable=False),
    sa.Column("tier", sa.String(20)),
    sa.Column("complete", sa.Boolean, nullable=False),
    sa.Column("missing", Json, nullable=False),
    sa.Column("state", sa.String(20), nullable=False, index=True),
    sa.Column("drafted_at", Utc, nullable=False),
    sa.Column("drafted_by", ID, nullable=False),
    sa.Column("request", ID),
    sa.Column("submitted_at", Utc),
    sa.Column("submitted_by", ID),
    sa.Column("published_at", Utc),
    sa.Column("published_event", ID),
    sa.UniqueConstraint("project", "subject", "revision"),
    kind="governed",
)

projections = Projections("cards")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A card as it stands: draft, submitted, published, rejected or superseded.

    `published_event` is the id of the leaf that says that it was published.
    """

    id: str
    project: str
    name: str
    number: str
    subject: str
    revision: int
    digest: str
    tier: str | None
    complete: bool
    missing: list[int]
    state: str
    drafted_at: datetime
    drafted_by: str
    request: str | None
    submitted_at: datetime | None
    submitted_by: str | None
    published_at: datetime | None
    published_event: str | None

    @property
    def ref(self) -> str:
        """Give the `name@number` of the model version that it describes."""
        return f"{self.name}@{self.number}"


@projections.on(CardDrafted)
def _drafted(conn: Writer, r: Recorded[CardDrafted]) -> None:
    e = r.event
    conn.execute(
        sa.insert(cards).values(
            id=e.card,
            project=e.project,
            name=e.name,
            number=e.number,
            subject=e.subject,
            revision=e.revision,
            digest=e.digest,
            tier=e.tier,
            complete=e.complete,
            missing=list(e.missing),
            state="draft",
            drafted_at=r.at,
            drafted_by=r.actor,
        )
    )


@projections.on(CardSubmitted)
def _submitted(conn: Writer, r: Recorded[CardSubmitted]) -> None:
    values = {
        "state": "submitted",
        "request": r.event.request,
        "submitted_at": r.at,
        "submitted_by": r.actor,
    }
    conn.execute(sa.update(cards).where(cards.c.id == r.event.card).values(**values))


@projections.on(CardPublished)
def _published(conn: Writer, r: Recorded[CardPublished]) -> None:
    values = {"state": "published", "published_at": r.at, "published_event": r.id}
    conn.execute(sa.update(cards).where(cards.c.id == r.event.card).values(**values))
    if r.event.replaces is not None:
        conn.execute(sa.update(cards).where(cards.c.id == r.event.replaces).values(state="superseded"))


@projections.on(CardReturned)
def _returned(conn: Writer, r: Recorded[CardReturned]) -> None:
    state = "rejected" if r.event.because == "rejected" else "draft"
    conn.execute(sa.update(cards).where(cards.c.id == r.event.card).values(state=state))


def find(reader: Reader, card: str) -> Card | None:
    """Find a card by its id."""
    found = _select(reader, cards.c.id == card, limit=1)
    return found[0] if found else None


def lock(tx: Tx, card: str) -> Card | None:
    """Find a card and let nobody else change it before the end of the transaction."""
    if not is_sqlite(tx.conn):
        tx.conn.execute(sa.select(cards.c.id).where(cards.c.id == card).with_for_update())
    return find(tx, card)


def newest(reader: Reader, project: str, subject: str, state: str | None = None) -> Card | None:
    """Find the card of a model version with the highest revision, in a state or in any."""
    where = [cards.c.project == project, cards.c.subject == subject]
    if state is not None:
        where.append(cards.c.state == state)
    query = sa.select(cards).where(*where).order_by(cards.c.revision.desc()).limit(1)
    row = reader.conn.execute(query).mappings().one_or_none()
    return None if row is None else Card(**row)


def find_revision(reader: Reader, project: str, subject: str, revision: int) -> Card | None:
    """Find one revision of the card of a model version."""
    where = (cards.c.project == project, cards.c.subject == subject, cards.c.revision == revision)
    return next(iter(_select(reader, *where, limit=1)), None)


def submitted(reader: Reader) -> list[Card]:
    """List the cards of all projects that are being voted on."""
    return _select(reader, cards.c.state == "submitted", limit=MAX_SUBMITTED)


def select(
    reader: Reader, project: str, filters: Mapping[str, str], before: str | None, limit: int
) -> list[Card]:
    """List cards, newest first; `filters` are equalities by column."""
    where = [cards.c.project == project, *(cards.c[name] == value for name, value in filters.items())]
    if before is not None:
        where.append(cards.c.id < before)
    return _select(reader, *where, limit=limit)


def _select(reader: Reader, *where: sa.ColumnElement[bool], limit: int) -> list[Card]:
    query = sa.select(cards).where(*where).order_by(cards.c.id.desc()).limit(limit)
    return [Card(**row) for row in reader.conn.execute(query).mappings()]
