"""Tokens and one-time links: 256 random bits, stored as SHA-256."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from assent.identity import store
from assent.identity.domain import (
    LinkIssued,
    SignedIn,
    TokenIssued,
    TokenRevoked,
    checked_scopes,
    permissions_of,
)
from assent.identity.store import Credential
from assent.kernel.db import is_sqlite
from assent.kernel.errors import Invalid, NotFound, Unauthenticated
from assent.kernel.ids import new_id
from assent.kernel.tx import Actor, Reader, Tx

PREFIX = "assent_pat_"
SIGN_IN_LIFE = timedelta(hours=12)
LINK_LIFE = timedelta(minutes=15)
TOKEN_LIFE = timedelta(days=30)
MAX_TOKEN_LIFE = timedelta(days=366)
MIN_SECRET = 32
USE_KEPT_EVERY = timedelta(minutes=1)


def hashed(secret: str) -> str:
    """Hash a 256-bit secret: SHA-256 is enough, there is nothing to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token is for."""

    account: str
    name: str
    scopes: tuple[str, ...] | None = None
    auth_at: datetime | None = None
    life: timedelta = TOKEN_LIFE


def issue(tx: Tx, grant: Grant, secret: str | None = None) -> str:
    """Issue a token; its secret is given once, here. Raises: Invalid for a weak `secret`."""
    secret = secret or PREFIX + secrets.token_urlsafe(32)
    if len(secret.removeprefix(PREFIX)) < MIN_SECRET or not secret.startswith(PREFIX):
        raise Invalid(
            "The bootstrap token is too weak.",
            remedy=f"Use {PREFIX} and at least {MIN_SECRET} random characters after it.",
        )
    token = new_id("tok")
    tx.conn.execute(sa.insert(store.token_hashes).values(hash=hashed(secret), token=token))
    tx.record(
        TokenIssued(
            token=token,
            account=grant.account,
            name=grant.name,
            scopes=grant.scopes,
            auth_at=grant.auth_at,
            expires_at=tx.now() + grant.life,
        )
    )
    return secret


def issue_token(
    tx: Tx, owner: str, name: str, scopes: Iterable[str] | None, life: timedelta = TOKEN_LIFE
) -> str:
    """Issue a token for the actor, or for a service account.

    A token made with a token inherits when its owner last signed in: making one is no sign-in.
    It can do no more than the token that made it.
    Raises: Invalid, NotFound.
    """
    account = store.find_account(tx.conn, owner)
    if account is None:
        raise NotFound(f"There is no account {owner!r}.")
    if account.id != tx.actor.id and account.kind != "service":
        raise Invalid(
            f"{account.name} is another person.",
            remedy=f"Send them a link: `assent user link {account.name}`.",
        )
    if not timedelta(0) < life <= MAX_TOKEN_LIFE:
        raise Invalid(f"A token lives 1 to {MAX_TOKEN_LIFE.days} days.")
    held: frozenset[Any] = frozenset()
    for binding in store.bindings_of(tx.conn, account.id):
        held |= permissions_of([binding], binding.project)
    if tx.actor.scopes is not None:
        held &= frozenset(tx.actor.scopes)
        scopes = tx.actor.scopes if scopes is None else scopes
    auth_at = tx.actor.auth_at if account.id == tx.actor.id else None
    return issue(tx, Grant(account.id, name, checked_scopes(scopes, held), auth_at, life))


def list_tokens(reader: Reader, account: str) -> list[dict[str, Any]]:
    """List an account's tokens with their last use: never their secrets."""
    t, uses = store.tokens, store.token_uses
    query = sa.select(t, uses.c.used_at).select_from(t.outerjoin(uses, uses.c.token == t.c.id))
    rows = reader.conn.execute(query.where(t.c.account == account).order_by(t.c.id))
    return [dict(row) for row in rows.mappings()]


_USED_AT = sa.select(store.token_uses.c.used_at).where(store.token_uses.c.token == sa.bindparam("token"))


def use_is_old(reader: Reader, token: str) -> bool:
    """Tell whether the kept time of a token's last use is worth renewing."""
    used_at = reader.conn.execute(_USED_AT, {"token": token}).scalar()
    return used_at is None or reader.now() - used_at >= USE_KEPT_EVERY


def note_use(tx: Tx, token: str) -> None:
    """Keep when a token was used last; of several first uses at once each is as good."""
    u = store.token_uses
    if tx.conn.execute(sa.update(u).where(u.c.token == token).values(used_at=tx.now())).rowcount == 0:
        insert = sqlite.insert if is_sqlite(tx.conn) else postgresql.insert
        tx.conn.execute(insert(u).values(token=token, used_at=tx.now()).on_conflict_do_nothing())


def revoke_token(tx: Tx, token: str, *, any_owner: bool) -> None:
    """Revoke a token; revoking it again changes nothing. Raises: NotFound."""
    t = store.tokens
    row = tx.conn.execute(sa.select(t.c.account, t.c.revoked_at).where(t.c.id == token)).first()
    if row is None or (row.account != tx.actor.id and not any_owner):
        raise NotFound(f"You have no token {token!r}.", remedy="`assent token list` shows yours.")
    if row.revoked_at is None:
        tx.record(TokenRevoked(token=token))


def authenticate(reader: Reader, secret: str) -> Credential:
    """Find whose token this is. Raises: Unauthenticated, saying whether it is unknown, expired or revoked."""
    found = store.find_credential(reader.conn, hashed(secret))
    if found is None:
        raise Unauthenticated("This token is not known here.", remedy="Check ASSENT_TOKEN and ASSENT_URL.")
    if found.revoked_at is not None:
        raise Unauthenticated(
            "This token was revoked.", remedy="Ask for a sign-in link and make a new token."
        )
    if found.expires_at <= reader.now():
        raise Unauthenticated(
            f"This token expired on {found.expires_at:%Y-%m-%d %H:%M} UTC.",
            remedy="Ask for a sign-in link and make a new token.",
        )
    return found


def allows(held: Credential, permission: str, project: str | None) -> bool:
    """Tell whether a token may do this in the project, or, for None, everywhere."""
    if held.scopes is not None and permission not in held.scopes:
        return False
    return permission in permissions_of(held.bindings, project)


def issue_link(tx: Tx, person: str) -> str:
    """Make a one-time sign-in code for a person. Raises: NotFound, Invalid."""
    account = store.find_account(tx.conn, person)
    if account is None:
        raise NotFound(f"There is no account {person!r}.", remedy="`assent user list` shows all.")
    if account.kind != "person":
        raise Invalid(
            f"{account.name} is a service account.", remedy="Give it a token: `assent token issue`."
        )
    code = secrets.token_urlsafe(32)
    link = new_id("lnk")
    tx.conn.execute(sa.insert(store.link_hashes).values(hash=hashed(code), link=link))
    tx.record(LinkIssued(link=link, person=account.id, expires_at=tx.now() + LINK_LIFE))
    return code


def redeem(tx: Tx, code: str) -> str:
    """Use a one-time code up; gives its person, who acts from now on. Raises: Unauthenticated."""
    table = store.links
    query = (
        sa.select(table)
        .join(store.link_hashes, store.link_hashes.c.link == table.c.id)
        .where(store.link_hashes.c.hash == hashed(code))
        .with_for_update()
    )
    row = tx.conn.execute(query).mappings().first()
    if row is None or row["used_at"] is not None or row["expires_at"] <= tx.now():
        raise Unauthenticated(
            "This link does not work: it was used, is older than 15 minutes, or was never made.",
            remedy="Ask an administrator for a new one: `assent user link NAME`.",
        )
    person = str(row["person"])
    tx.actor = Actor(person, "person", tx.now())
    tx.record(SignedIn(link=row["id"], person=person))
    return person


def redeem_link_for_token(tx: Tx, code: str) -> str:
    """Sign a person in on the command line. Raises: Unauthenticated."""
    return sign_in_token(tx, redeem(tx, code))


def sign_in_token(tx: Tx, person: str) -> str:
    """Issue the token of somebody who has just signed in."""
    return issue(tx, Grant(person, "sign-in", auth_at=tx.now(), life=SIGN_IN_LIFE))
