"""Signing in by password and authenticator.

The edge does it in three steps, because hashing takes long and must not hold the database's write lock:
`open_attempt` counts a failure beforehand and commits, so parallel guesses cannot outrun the count;
`is_right` hashes; `close_attempt` checks the authenticator's code and takes the failure back.
"""

import functools
import threading
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import argon2
import sqlalchemy as sa

from assent.identity import store
from assent.identity.domain.signing_in import (
    FORGOTTEN_AFTER,
    PasswordRemoved,
    PasswordSet,
    SessionStarted,
    checked_password,
    locked_until,
)
from assent.identity.service import authenticators, sessions
from assent.identity.service.accounts import get_account
from assent.kernel.errors import NotFound, RateLimited, Unauthenticated
from assent.kernel.sealing import keyed_hash
from assent.kernel.tx import Actor, Reader, Tx

HASHER = argon2.PasswordHasher()  # Argon2id with the parameters of RFC 9106, low memory: 64 MiB, 3 passes
_AT_ONCE = threading.BoundedSemaphore(4)
LONGEST_TYPED = 1000


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt under way: counted as a failure until it is closed."""

    person: str | None
    hash: str
    keys: tuple[str, str]


def open_attempt(tx: Tx, name: str, address: str, secret: bytes) -> Attempt:
    """Count an attempt, whether there is such an account or not. Raises: RateLimited."""
    keys = (
        keyed_hash(secret, "attempts", f"account {name}"),
        keyed_hash(secret, "attempts", f"address {address}"),
    )
    tx.conn.execute(sa.delete(store.attempts).where(store.attempts.c.last_at < tx.now() - FORGOTTEN_AFTER))
    waits = [_count(tx, keys[0], "account"), _count(tx, keys[1], "address")]
    until = max((wait for wait in waits if wait is not None), default=None)
    if until is not None:
        seconds = max(1, round((until - tx.now()).total_seconds()))
        raise RateLimited(
            "There were too many attempts for this name or from this address.",
            remedy=f"Wait {seconds} s, or sign in by a one-time link.",
        )
    account = store.find_account(tx.conn, name)
    person = account.id if account and account.kind == "person" else None
    held = None if person is None else _hash_of(tx, person)
    return Attempt(person if held else None, held or _nobodys(), keys)


@functools.cache
def _nobodys() -> str:
    """Give what an account without a password is compared with."""
    return HASHER.hash("nobody's")


def _count(tx: Tx, key: str, kind: Literal["account", "address"]) -> datetime | None:
    """Count a failure; gives until when the key is locked, where it is."""
    a = store.attempts
    row = tx.conn.execute(sa.select(a).where(a.c.key == key).with_for_update()).first()
    if row is None:
        tx.conn.execute(sa.insert(a).values(key=key, n_failures=1, last_at=tx.now()))
        return None
    until = locked_until(row.n_failures, row.last_at, kind)
    if until > tx.now():
        return until
    changed = sa.update(a).where(a.c.key == key).values(n_failures=a.c.n_failures + 1, last_at=tx.now())
    tx.conn.execute(changed)
    return None


def is_right(attempt: Attempt, password: str) -> bool:
    """Compare the password; it takes as long for an account that does not exist."""
    typed = unicodedata.normalize("NFC", password[:LONGEST_TYPED]).encode(errors="replace")
    with _AT_ONCE:
        try:
            return HASHER.verify(attempt.hash, typed)
        except argon2.exceptions.VerificationError:
            return False


def close_attempt(tx: Tx, attempt: Attempt, code: str, secret: bytes, *, right: bool) -> str:
    """Check the authenticator's or a recovery code, which is used up, and give the person.

    Whatever is wrong, the answer is the same. Raises: Unauthenticated.
    """
    how = authenticators.use(tx, attempt.person or "nobody", code, secret)
    if not right or attempt.person is None or how is None:
        raise Unauthenticated(
            "The name, the password or the code is not right.",
            remedy="A code works once. Without a password or an authenticator, sign in by a one-time link.",
        )
    account_key, address_key = attempt.keys
    a = store.attempts
    tx.conn.execute(sa.delete(a).where(a.c.key == account_key))
    given_back = sa.update(a).where(a.c.key == address_key, a.c.n_failures > 0)
    tx.conn.execute(given_back.values(n_failures=a.c.n_failures - 1))
    tx.actor = Actor(attempt.person, "person", tx.now())
    tx.record(SessionStarted(person=attempt.person, how=how))
    return attempt.person


def _hash_of(reader: Reader, person: str) -> str | None:
    p = store.passwords
    return reader.conn.execute(sa.select(p.c.hash).where(p.c.person == person)).scalar()


def has_password(reader: Reader, person: str) -> bool:
    """Tell whether a password is set."""
    return _hash_of(reader, person) is not None


def hash_password(password: str, name: str) -> str:
    """Check a new password and hash it, outside any transaction. Raises: Invalid."""
    normal = checked_password(password, name)
    with _AT_ONCE:
        return HASHER.hash(normal)


def set_password(tx: Tx, person: str, hash_: str) -> None:
    """Set a password by its hash."""
    account = get_account(tx, person)
    tx.conn.execute(sa.delete(store.passwords).where(store.passwords.c.person == account.id))
    tx.conn.execute(sa.insert(store.passwords).values(person=account.id, hash=hash_))
    tx.record(PasswordSet(person=account.id))


def remove_password(tx: Tx, person: str) -> None:
    """Remove a password. Raises: NotFound."""
    account = get_account(tx, person)
    if not has_password(tx, account.id):
        raise NotFound(f"{account.name} has no password.")
    tx.conn.execute(sa.delete(store.passwords).where(store.passwords.c.person == account.id))
    tx.record(PasswordRemoved(person=account.id))


def reset(tx: Tx, person: str) -> None:
    """Remove whatever a person signs in by, and end their sessions. Raises: NotFound."""
    account = get_account(tx, person)
    if has_password(tx, account.id):
        remove_password(tx, account.id)
    if authenticators.has_totp(tx, account.id):
        authenticators.remove_totp(tx, account.id)
    sessions.end_sessions(tx, account.id)
