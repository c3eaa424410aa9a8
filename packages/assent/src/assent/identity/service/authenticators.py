"""Authenticators (TOTP, RFC 6238) and the recovery codes for the day when one is lost."""

import hashlib
import hmac
import secrets
from base64 import b32encode
from dataclasses import dataclass
from typing import Literal

import pyotp
import segno
import sqlalchemy as sa

from assent.identity import store
from assent.identity.domain.signing_in import (
    ENROLMENT_LIFE,
    N_RECOVERY_CODES,
    RECOVERY_BYTES,
    TOTP_SECRET_BYTES,
    TOTP_STEP_S,
    TotpEnrolled,
    TotpRemoved,
    digits,
    recovery_form,
    recovery_text,
    steps_around,
)
from assent.identity.service.accounts import get_account
from assent.kernel.errors import Conflict, Invalid, NotFound
from assent.kernel.sealing import seal, unseal
from assent.kernel.tx import Reader, Tx

PURPOSE = "totp"
ISSUER = "Assent"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator is set up with; shown once, until a code confirms it."""

    secret: str
    uri: str

    @property
    def drawing(self) -> str:
        """Draw the QR code as inline SVG."""
        return segno.make(self.uri, error="m").svg_inline(
            scale=4, border=4, dark="#000", light="#fff", title="QR code for your authenticator"
        )


def begin_totp(tx: Tx, person: str, secret: bytes) -> Enrolment:
    """Make a secret for an authenticator; nothing changes until `confirm_totp`. Raises: Conflict."""
    account = get_account(tx, person)
    row = _row(tx, account.id)
    if row is not None and row.is_confirmed:
        raise Conflict("You have an authenticator already.", remedy="Remove it first.")
    plain = secrets.token_bytes(TOTP_SECRET_BYTES)
    tx.conn.execute(sa.delete(store.totps).where(store.totps.c.person == account.id))
    tx.conn.execute(
        sa.insert(store.totps).values(
            person=account.id,
            sealed=seal(secret, PURPOSE, account.id, plain),
            is_confirmed=False,
            begun_at=tx.now(),
            last_step=0,
        )
    )
    return _enrolment(plain, account.name)


def pending_totp(reader: Reader, person: str, secret: bytes) -> Enrolment | None:
    """Give what waits to be confirmed, so that a page can show it again."""
    row = _row(reader, person)
    if row is None or row.is_confirmed or row.begun_at + ENROLMENT_LIFE <= reader.now():
        return None
    return _enrolment(unseal(secret, PURPOSE, person, row.sealed), get_account(reader, person).name)


def _enrolment(plain: bytes, name: str) -> Enrolment:
    text = b32encode(plain).decode()
    return Enrolment(text, pyotp.TOTP(text).provisioning_uri(name=name, issuer_name=ISSUER))


def confirm_totp(tx: Tx, person: str, code: str, secret: bytes) -> list[str]:
    """Enrol the authenticator that shows this code; gives the recovery codes, once. Raises: Invalid."""
    row = _row(tx, person)
    if row is None or row.is_confirmed or row.begun_at + ENROLMENT_LIFE <= tx.now():
        raise Invalid("No authenticator waits to be confirmed.", remedy="Begin again.")
    if not _take_step(tx, row, code, secret):
        raise Invalid(
            "This is not the code that the authenticator shows.",
            remedy="Look whether the clock of your device is right, and type the newest code.",
        )
    t = store.totps
    tx.conn.execute(sa.update(t).where(t.c.person == person).values(is_confirmed=True))
    tx.record(TotpEnrolled(person=person))
    return renew_recovery(tx, person)


def renew_recovery(tx: Tx, person: str) -> list[str]:
    """Make new recovery codes; the old ones end. Raises: NotFound (no authenticator)."""
    if not has_totp(tx, person):
        raise NotFound("You have no authenticator.", remedy="Set one up first.")
    r = store.recovery_codes
    tx.conn.execute(sa.delete(r).where(r.c.person == person))
    codes = [recovery_text(secrets.token_bytes(RECOVERY_BYTES)) for _ in range(N_RECOVERY_CODES)]
    rows = [{"hash": _hashed(person, code), "person": person} for code in codes]
    tx.conn.execute(sa.insert(r), rows)
    return codes


def remove_totp(tx: Tx, person: str) -> None:
    """Remove an authenticator and its recovery codes. Raises: NotFound."""
    account = get_account(tx, person)
    if not has_totp(tx, account.id):
        raise NotFound(f"{account.name} has no authenticator.")
    for table in (store.totps, store.recovery_codes):
        tx.conn.execute(sa.delete(table).where(table.c.person == account.id))
    tx.record(TotpRemoved(person=account.id))


def has_totp(reader: Reader, person: str) -> bool:
    """Tell whether an authenticator is enrolled."""
    row = _row(reader, person)
    return row is not None and bool(row.is_confirmed)


def n_recovery_codes(reader: Reader, person: str) -> int:
    """Count the recovery codes that are left."""
    r = store.recovery_codes
    query = sa.select(sa.func.count()).select_from(r).where(r.c.person == person)
    return int(reader.conn.execute(query).scalar_one())


def use(tx: Tx, person: str, code: str, secret: bytes) -> Literal["password", "recovery"] | None:
    """Use a code up: of the authenticator, each step once, or a recovery code. None: it is not right."""
    row = _row(tx, person)
    if row is None or not row.is_confirmed:
        return None
    if _take_step(tx, row, code, secret):
        return "password"
    r = store.recovery_codes
    gone = sa.delete(r).where(r.c.hash == _hashed(person, code), r.c.person == person)
    return "recovery" if recovery_form(code) and tx.conn.execute(gone).rowcount == 1 else None


def _take_step(tx: Tx, row: sa.Row[tuple[object, ...]], code: str, secret: bytes) -> bool:
    """Accept a code of a step that was not used yet; of two at once one wins."""
    plain = unseal(secret, PURPOSE, row.person, row.sealed)
    totp = pyotp.TOTP(b32encode(plain).decode())
    shown = digits(code)
    fitting = [s for s in steps_around(tx.now()) if hmac.compare_digest(totp.at(s * TOTP_STEP_S), shown)]
    if not fitting:
        return False
    t = store.totps
    step = max(fitting)
    taken = sa.update(t).where(t.c.person == row.person, t.c.last_step < step).values(last_step=step)
    return tx.conn.execute(taken).rowcount == 1


def _row(reader: Reader, person: str) -> sa.Row[tuple[object, ...]] | None:
    return reader.conn.execute(sa.select(store.totps).where(store.totps.c.person == person)).first()


def _hashed(person: str, code: str) -> str:
    return hashlib.sha256(f"{person} {recovery_form(code)}".encode()).hexdigest()
