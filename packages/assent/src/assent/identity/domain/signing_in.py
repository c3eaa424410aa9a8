"""Ways of signing in: what happens to them, the rules of passwords, and how guessing is slowed down."""

import base64
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from assent.kernel.errors import Invalid
from assent.kernel.events import Event

MIN_PASSWORD = 12
MAX_PASSWORD = 256
MIN_DISTINCT = 6
TOTP_STEP_S = 30
TOTP_SECRET_BYTES = 20
"""160 bits: RFC 4226 section 4, R6."""
N_RECOVERY_CODES = 10
RECOVERY_BYTES = 10
ENROLMENT_LIFE = timedelta(minutes=15)
FREE_FAILURES = {"account": 5, "address": 30}
LONGEST_WAIT = timedelta(minutes=15)
FORGOTTEN_AFTER = timedelta(hours=24)

How = Literal["password", "recovery", "oidc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordSet(Event):
    """A person's password was set or changed; its hash stands outside the ledger."""

    TYPE: ClassVar[str] = "identity.password.set"
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordRemoved(Event):
    """A person's password was removed."""

    TYPE: ClassVar[str] = "identity.password.removed"
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TotpEnrolled(Event):
    """A person's authenticator was enrolled and confirmed; its secret stands sealed outside the ledger."""

    TYPE: ClassVar[str] = "identity.totp.enrolled"
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TotpRemoved(Event):
    """A person's authenticator was removed."""

    TYPE: ClassVar[str] = "identity.totp.removed"
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginLinked(Event):
    """A login at a provider was linked to a person: whoever signs in there is they."""

    TYPE: ClassVar[str] = "identity.login.linked"
    login: str
    person: str
    issuer: str
    subject: str
    """Digest of {salt, issuer, subject}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginUnlinked(Event):
    """A login at a provider signs its person in no more."""

    TYPE: ClassVar[str] = "identity.login.unlinked"
    login: str
    person: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted(Event):
    """A person signed in: by password and authenticator, by password and recovery code, or at a provider."""

    TYPE: ClassVar[str] = "identity.session.started"
    person: str
    how: How


def checked_password(password: str, name: str) -> str:
    """Give the password in its normal form (RFC 8265). Raises: Invalid, naming every rule it breaks."""
    normal = unicodedata.normalize("NFC", password)
    faults = []
    if not MIN_PASSWORD <= len(normal) <= MAX_PASSWORD:
        faults.append(f"it has {len(normal)} characters, {MIN_PASSWORD} to {MAX_PASSWORD} are allowed")
    if len(set(normal)) < MIN_DISTINCT:
        faults.append(f"it has fewer than {MIN_DISTINCT} different characters")
    if name.casefold() in normal.casefold():
        faults.append("it contains the account's name")
    if any(unicodedata.category(one) in {"Cc", "Cs"} for one in normal):
        faults.append("it holds control characters")
    if faults:
        raise Invalid(
            f"This password is not accepted: {'; '.join(faults)}.",
            remedy="Four or five random words are good.",
        )
    return normal


def wait_after(n_failures: int, kind: Literal["account", "address"]) -> timedelta:
    """Say how long nobody may try again after so many failures: nothing, then doubling from 15 seconds."""
    beyond = n_failures - FREE_FAILURES[kind]
    if beyond < 0:
        return timedelta(0)
    return min(timedelta(seconds=15 * (1 << min(beyond, 10))), LONGEST_WAIT)


def locked_until(n_failures: int, last_at: datetime, kind: Literal["account", "address"]) -> datetime:
    """Say until when an account or an address is locked."""
    return last_at + wait_after(n_failures, kind)


def digits(code: str) -> str:
    """Give the six digits of an authenticator's code, or nothing."""
    plain = re.sub(r"[\s-]", "", code)
    return plain if re.fullmatch(r"[0-9]{6}", plain) else ""


def recovery_form(code: str) -> str:
    """Give a recovery code as it was made, whatever case and dashes it was typed in; or nothing."""
    plain = re.sub(r"[\s-]", "", code).upper()
    return plain if re.fullmatch(r"[A-Z2-7]{16}", plain) else ""


def recovery_text(random: bytes) -> str:
    """Write a recovery code for people: 80 bits in four groups."""
    text = base64.b32encode(random).decode()
    return "-".join(text[i : i + 4] for i in range(0, len(text), 4))


def steps_around(now: datetime) -> tuple[int, ...]:
    """Give the time steps that a code may be of: the present one and its neighbours, for clocks that differ.

    Source: RFC 6238 section 5.2.
    """
    step = int(now.timestamp()) // TOTP_STEP_S
    return (step - 1, step, step + 1)
