"""Logins at providers: whose they are, and the sign-ins under way."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from assent.identity import store
from assent.identity.domain.oidc import MAX_SUBJECT, Proof
from assent.identity.domain.signing_in import LoginLinked, LoginUnlinked, SessionStarted
from assent.identity.service.accounts import get_account
from assent.identity.service.credentials import hashed
from assent.identity.service.providers import Start
from assent.kernel.canonical import digest
from assent.kernel.errors import Conflict, Invalid, NotFound, Unauthenticated
from assent.kernel.ids import new_id
from assent.kernel.tx import Actor, Reader, Tx

FLOW_LIFE = timedelta(minutes=10)
MAX_FLOWS = 1000


@dataclass(frozen=True, slots=True)
class NewFlow:
    """A sign-in to begin; `person` links the login to whoever is signed in."""

    provider: str
    browser: str
    redirect_uri: str
    onward: str
    person: str | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """A sign-in that has come back."""

    start: Start
    onward: str
    person: str | None


def begin_flow(tx: Tx, new: NewFlow) -> Start:
    """Begin a sign-in at a provider, bound to one browser; it can come back once, within ten minutes."""
    f = store.oidc_flows
    tx.conn.execute(sa.delete(f).where(f.c.expires_at <= tx.now()))
    beyond = sa.select(f.c.state).order_by(f.c.expires_at.desc(), f.c.state).offset(MAX_FLOWS - 1)
    too_many = tx.conn.execute(beyond.limit(MAX_FLOWS)).scalars().all()
    tx.conn.execute(sa.delete(f).where(f.c.state.in_(too_many)))
    start = Start(
        secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), new.redirect_uri
    )
    tx.conn.execute(
        sa.insert(f).values(
            state=hashed(start.state),
            browser=hashed(new.browser),
            provider=new.provider,
            nonce=start.nonce,
            verifier=start.verifier,
            purpose="link" if new.person else "sign_in",
            person=new.person,
            onward=new.onward,
            expires_at=tx.now() + FLOW_LIFE,
        )
    )
    return start


def take_flow(tx: Tx, state: str, browser: str, provider: str, redirect_uri: str) -> Flow:
    """Take a sign-in that comes back, so that it never comes back again. Raises: Unauthenticated."""
    f = store.oidc_flows
    here = (f.c.state == hashed(state), f.c.browser == hashed(browser), f.c.provider == provider)
    row = tx.conn.execute(sa.select(f).where(*here, f.c.expires_at > tx.now())).first()
    if row is None or tx.conn.execute(sa.delete(f).where(f.c.state == hashed(state))).rowcount != 1:
        raise Unauthenticated(
            "This sign-in is not one that this browser has under way: it was used, is too old, or is forged.",
            remedy="Begin the sign-in again.",
        )
    return Flow(Start(state, row.nonce, row.verifier, redirect_uri), row.onward, row.person)


def sign_in_by(tx: Tx, proof: Proof) -> str:
    """Give the person whose login this is, who acts from now on. Raises: Unauthenticated."""
    s = store.login_subjects
    mine = (s.c.issuer == proof.issuer, s.c.subject == proof.subject)
    query = sa.select(store.logins.c.person).join(s, s.c.login == store.logins.c.id).where(*mine)
    person = tx.conn.execute(query).scalar()
    if person is None:
        raise Unauthenticated(
            f"The login {proof.subject!r} at {proof.issuer} belongs to no account here.",
            remedy="Sign in by a link and add it on your account page, or ask an administrator: "
            "`assent user add-login NAME --issuer ISSUER --subject SUBJECT`.",
        )
    tx.actor = Actor(person, "person", proof.auth_at)
    tx.record(SessionStarted(person=person, how="oidc"))
    return str(person)


def link_login(tx: Tx, person: str, issuer: str, subject: str) -> str:
    """Link a login to a person: by an administrator, or by whoever is signed in here and has proved it there.

    Raises: Invalid, NotFound, Conflict (it is somebody's).
    """
    account = get_account(tx, person)
    if account.kind != "person":
        raise Invalid(f"{account.name} is a service account.")
    if not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
        raise Invalid(f"A subject has 1 to {MAX_SUBJECT} printable characters.")
    s = store.login_subjects
    taken = sa.select(s.c.login).where(s.c.issuer == issuer, s.c.subject == subject)
    if tx.conn.execute(taken).first():
        raise Conflict("This login belongs to an account already.", remedy="Unlink it there first.")
    login, salted = new_id("lgn"), {"salt": secrets.token_hex(32), "issuer": issuer, "subject": subject}
    tx.conn.execute(sa.insert(s).values(login=login, **salted))
    tx.record(LoginLinked(login=login, person=account.id, issuer=issuer, subject=digest(salted)))
    return login


def unlink_login(tx: Tx, person: str, login: str) -> None:
    """Unlink a login: it signs nobody in any more. Raises: NotFound."""
    account, logins = get_account(tx, person), store.logins
    mine = sa.select(logins.c.id).where(logins.c.id == login, logins.c.person == account.id)
    if tx.conn.execute(mine).first() is None:
        raise NotFound(f"{account.name} has no login {login!r}.")
    tx.conn.execute(sa.delete(store.login_subjects).where(store.login_subjects.c.login == login))
    tx.record(LoginUnlinked(login=login, person=account.id))


@dataclass(frozen=True, slots=True)
class Login:
    """A login at a provider."""

    id: str
    issuer: str
    subject: str
    linked_at: datetime


def list_logins(reader: Reader, person: str) -> list[Login]:
    """List a person's logins."""
    logins, s = store.logins, store.login_subjects
    columns: list[Any] = [logins.c.id, logins.c.issuer, s.c.subject, logins.c.linked_at]
    query = sa.select(*columns).join(s, s.c.login == logins.c.id).where(logins.c.person == person)
    return [Login(*row) for row in reader.conn.execute(query.order_by(logins.c.id))]
