"""What happens to the keys of applications and to one-time links."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from assent.kernel.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyIssued(Event):
    """An application got a key for an environment: which names it may call."""

    TYPE: ClassVar[str] = "identity.key.issued"
    key: str
    project: str
    environment: str
    name: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRevoked(Event):
    """An application's key was revoked."""

    TYPE: ClassVar[str] = "identity.key.revoked"
    key: str
    project: str
    environment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkIssued(Event):
    """A one-time sign-in link was made for a person: who made it is on record."""

    TYPE: ClassVar[str] = "identity.link.issued"
    link: str
    person: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn(Event):
    """A person signed in by a link."""

    TYPE: ClassVar[str] = "identity.session.opened"
    link: str
    person: str
