"""Sessions of the console: 256 random bits in a cookie, their hash here."""

import math
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from assent.identity import store
from assent.identity.service.credentials import SIGN_IN_LIFE, hashed, redeem
from assent.kernel.errors import NotFound, Unauthenticated
from assent.kernel.tx import Actor, Reader, Tx

ID_SHOWN = 16
AGENT_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Session:
    """A person signed in to the console.

    `auth_at` is when they proved who they are; None where their provider does not say when that was.
    """

    secret: str
    person: str
    auth_at: datetime | None
    expires_at: datetime
    opened_at: datetime

    @property
    def actor(self) -> Actor:
        """Give who acts."""
        return Actor(self.person, "person", self.auth_at)

    def age_s(self, now: datetime) -> float:
        """Say how old the proof is, in seconds; infinite where that is not known."""
        return math.inf if self.auth_at is None else (now - self.auth_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Opening:
    """How a session is opened; `auth_at` None: the moment of the proof is not known."""

    how: str
    auth_at: datetime | None
    agent: str = ""
    life: timedelta = SIGN_IN_LIFE


@dataclass(frozen=True, slots=True)
class Seat:
    """A session as its person sees it; `id` is the start of the hash and opens nothing."""

    id: str
    how: str
    agent: str
    auth_at: datetime
    expires_at: datetime


def open_session(tx: Tx, person: str, opening: Opening) -> Session:
    """Sign a person in to the console; sessions long over are forgotten."""
    s, now = store.sessions, tx.now()
    tx.conn.execute(sa.delete(s).where(s.c.person == person, s.c.expires_at <= now))
    session = Session(secrets.token_urlsafe(32), person, opening.auth_at, now + opening.life, now)
    agent = "".join(one for one in opening.agent if one.isprintable())[:AGENT_SHOWN]
    values = {"hash": hashed(session.secret), "person": person, "how": opening.how, "agent": agent}
    proof = {"auth_at": opening.auth_at or now, "is_proven": opening.auth_at is not None}
    tx.conn.execute(sa.insert(s).values(**values, **proof, expires_at=session.expires_at))
    return session


def redeem_link(tx: Tx, code: str, life: timedelta = SIGN_IN_LIFE, agent: str = "") -> Session:
    """Sign a person in to the console; the link works once. Raises: Unauthenticated."""
    person = redeem(tx, code)
    return open_session(tx, person, Opening("link", tx.now(), agent, life))


def find_session(reader: Reader, secret: str) -> Session | None:
    """Find a session that is in force."""
    s = store.sessions
    row = reader.conn.execute(sa.select(s).where(s.c.hash == hashed(secret))).mappings().first()
    if row is None or row["expires_at"] <= reader.now():
        return None
    auth_at = row["auth_at"] if row["is_proven"] else None
    return Session(secret, row["person"], auth_at, row["expires_at"], row["auth_at"])


def list_sessions(reader: Reader, person: str) -> list[Seat]:
    """List a person's sessions that are in force, the newest first."""
    s = store.sessions
    query = sa.select(s).where(s.c.person == person, s.c.expires_at > reader.now())
    rows = reader.conn.execute(query.order_by(s.c.auth_at.desc(), s.c.hash)).mappings()
    return [
        Seat(row["hash"][:ID_SHOWN], row["how"], row["agent"], row["auth_at"], row["expires_at"])
        for row in rows
    ]


def session_id(secret: str) -> str:
    """Give the id under which `list_sessions` shows a session."""
    return hashed(secret)[:ID_SHOWN]


def end_session(tx: Tx, secret: str) -> None:
    """Sign out."""
    tx.conn.execute(sa.delete(store.sessions).where(store.sessions.c.hash == hashed(secret)))


def end_seat(tx: Tx, person: str, seat: str) -> None:
    """End one of a person's sessions by its id. Raises: NotFound."""
    s = store.sessions
    mine = sa.select(s.c.hash).where(s.c.person == person)
    for found in tx.conn.execute(mine).scalars().all():
        if found[:ID_SHOWN] == seat:
            tx.conn.execute(sa.delete(s).where(s.c.hash == found))
            return
    raise NotFound(f"You have no session {seat!r}.")


def end_sessions(tx: Tx, person: str, but: str | None = None) -> int:
    """End a person's sessions, but the one with this secret; gives how many."""
    s = store.sessions
    gone = sa.delete(s).where(s.c.person == person, s.c.hash != (hashed(but) if but else ""))
    return tx.conn.execute(gone).rowcount


def require_fresh(actor: Actor, now: datetime, step_up_s: int) -> None:
    """Check that the actor signed in just now: Raises: Unauthenticated."""
    if actor.auth_at is None or (now - actor.auth_at).total_seconds() > step_up_s:
        raise Unauthenticated(
            f"This needs a sign-in at most {step_up_s // 60} minutes old.",
            remedy="Sign in again: `assent login --name NAME`, or `assent login --link LINK`.",
        )
