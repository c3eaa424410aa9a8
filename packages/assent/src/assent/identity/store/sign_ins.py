"""Ways of signing in: passwords, authenticators and providers' logins; and what sign-ins leave behind."""

import sqlalchemy as sa

from assent.identity.domain.signing_in import (
    LoginLinked,
    LoginUnlinked,
    PasswordRemoved,
    PasswordSet,
    SessionStarted,
    TotpEnrolled,
    TotpRemoved,
)
from assent.identity.store.tables import ID, NAME, projections
from assent.kernel.db import Utc, table
from assent.kernel.events import Recorded
from assent.kernel.tx import Writer

HASH = sa.String(64)

passwords = table(
    "identity_passwords",
    sa.Column("person", ID, primary_key=True),
    sa.Column("hash", sa.String(200), nullable=False),
    kind="operational",
)
totps = table(
    "identity_totps",
    sa.Column("person", ID, primary_key=True),
    sa.Column("sealed", sa.String(200), nullable=False),
    sa.Column("is_confirmed", sa.Boolean, nullable=False),
    sa.Column("begun_at", Utc, nullable=False),
    sa.Column("last_step", sa.BigInteger, nullable=False),
    kind="operational",
)
recovery_codes = table(
    "identity_recovery_codes",
    sa.Column("hash", HASH, primary_key=True),
    sa.Column("person", ID, nullable=False, index=True),
    kind="operational",
)
attempts = table(
    "identity_attempts",
    sa.Column("key", HASH, primary_key=True),
    sa.Column("n_failures", sa.Integer, nullable=False),
    sa.Column("last_at", Utc, nullable=False, index=True),
    kind="operational",
)
credentials = table(
    "identity_credentials",
    sa.Column("person", ID, primary_key=True),
    sa.Column("kind", sa.String(10), primary_key=True),
    sa.Column("set_at", Utc, nullable=False),
    sa.Column("set_by", ID, nullable=False),
    kind="governed",
)
logins = table(
    "identity_logins",
    sa.Column("id", ID, primary_key=True),
    sa.Column("person", ID, nullable=False, index=True),
    sa.Column("issuer", sa.String(500), nullable=False),
    sa.Column("subject", sa.String(71), nullable=False),
    sa.Column("linked_at", Utc, nullable=False),
    sa.Column("linked_by", ID, nullable=False),
    kind="governed",
)
login_subjects = table(
    "identity_login_subjects",
    sa.Column("login", ID, primary_key=True),
    sa.Column("issuer", sa.String(500), nullable=False),
    sa.Column("subject", sa.String(255), nullable=False),
    sa.Column("salt", sa.String(64), nullable=False),
    sa.UniqueConstraint("issuer", "subject"),
    kind="body",
)
oidc_flows = table(
    "identity_oidc_flows",
    sa.Column("state", HASH, primary_key=True),
    sa.Column("browser", HASH, nullable=False),
    sa.Column("provider", NAME, nullable=False),
    sa.Column("nonce", sa.String(64), nullable=False),
    sa.Column("verifier", sa.String(128), nullable=False),
    sa.Column("purpose", sa.String(10), nullable=False),
    sa.Column("person", ID),
    sa.Column("onward", sa.Text, nullable=False),
    sa.Column("expires_at", Utc, nullable=False),
    kind="operational",
)
token_uses = table(
    "identity_token_uses",
    sa.Column("token", ID, primary_key=True),
    sa.Column("used_at", Utc, nullable=False),
    kind="operational",
)


def _set(conn: Writer, r: Recorded[PasswordSet] | Recorded[TotpEnrolled], kind: str) -> None:
    _removed(conn, r.event.person, kind)
    conn.execute(sa.insert(credentials).values(person=r.event.person, kind=kind, set_at=r.at, set_by=r.actor))


def _removed(conn: Writer, person: str, kind: str) -> None:
    conn.execute(sa.delete(credentials).where(credentials.c.person == person, credentials.c.kind == kind))


@projections.on(PasswordSet)
def _password(conn: Writer, r: Recorded[PasswordSet]) -> None:
    _set(conn, r, "password")


@projections.on(PasswordRemoved)
def _no_password(conn: Writer, r: Recorded[PasswordRemoved]) -> None:
    _removed(conn, r.event.person, "password")


@projections.on(TotpEnrolled)
def _totp(conn: Writer, r: Recorded[TotpEnrolled]) -> None:
    _set(conn, r, "totp")


@projections.on(TotpRemoved)
def _no_totp(conn: Writer, r: Recorded[TotpRemoved]) -> None:
    _removed(conn, r.event.person, "totp")


@projections.on(LoginLinked)
def _linked(conn: Writer, r: Recorded[LoginLinked]) -> None:
    e = r.event
    values = {"id": e.login, "person": e.person, "issuer": e.issuer, "subject": e.subject}
    conn.execute(sa.insert(logins).values(**values, linked_at=r.at, linked_by=r.actor))


@projections.on(LoginUnlinked)
def _unlinked(conn: Writer, r: Recorded[LoginUnlinked]) -> None:
    conn.execute(sa.delete(logins).where(logins.c.id == r.event.login))


@projections.on(SessionStarted)
def _started(_conn: Writer, _r: Recorded[SessionStarted]) -> None:
    """Write nothing: the ledger says who signed in and how; the session itself is operational."""
