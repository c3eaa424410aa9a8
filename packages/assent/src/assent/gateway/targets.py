"""Providers made ready: where each is asked, with which headers."""

from __future__ import annotations

import logging
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from assent_client.calls.dialects import Dialect
from assent_client.calls.places import KINDS, credentials, target_of
from assent_client.calls.served import header_lines
from assent_client.snapshot import Provider

log = logging.getLogger(__name__)


class Endpoint(NamedTuple):
    """Where an upstream listens; equal ones share a pool of connections."""

    host: str
    port: int
    tls: bool
    connect_timeout_s: float


@dataclass(frozen=True, slots=True)
class Upstream:
    """A provider made ready: `lines` are the headers that never change."""

    endpoint: Endpoint
    kind: str
    path: str
    query: str
    lines: bytes
    first_token_timeout_s: float
    idle_timeout_s: float
    _starts: dict[tuple[str, str], bytes] = field(default_factory=dict, compare=False)

    def start(self, dialect: Dialect, model: str) -> bytes:
        """Give the request line and the headers that never change."""
        key = (dialect.name, model)
        found = self._starts.get(key)
        if found is None:
            target = target_of(self.path, self.query, dialect, model)
            found = self._starts[key] = b"POST %b HTTP/1.1\r\n%b" % (target.encode("ascii"), self.lines)
        return found


NOWHERE: Final = Upstream(Endpoint("", 0, tls=False, connect_timeout_s=0.0), "", "", "", b"", 0.0, 0.0)


def secret(reference: str | None) -> str | None:
    """Read a provider's key from where the reference points: `env:NAME` or `file:/path`.

    Raises: ValueError where it cannot be read.
    """
    if reference is None:
        return None
    scheme, _, place = reference.partition(":")
    try:
        value = os.environ[place] if scheme == "env" else _file(scheme, place)
    except (KeyError, OSError) as error:
        raise ValueError(f"the key reference {reference} cannot be read: {error!r}") from None
    value = value.strip()
    if not value or not value.isascii() or not value.isprintable():
        raise ValueError(f"the key behind {reference} is empty or has characters that a header cannot hold")
    return value


def _file(scheme: str, place: str) -> str:
    if scheme != "file":
        raise KeyError(scheme)
    return Path(place).read_text("utf-8")


def upstream(name: str, provider: Provider) -> Upstream | str:
    """Make a provider ready; a text says why it cannot be used."""
    try:
        return _ready(provider)
    except ValueError as error:
        log.error("gateway: the provider %s cannot be used: %s", name, error)  # noqa: TRY400 -- the cause is in the text
        return f"the provider {name} cannot be used: {error}"


def _ready(provider: Provider) -> Upstream:
    url = urlsplit(provider.base_url)
    is_odd = not url.hostname or url.fragment or url.username or (url.query and provider.kind != "azure")
    if url.scheme not in {"http", "https"} or is_odd or not url.hostname:
        raise ValueError(f"{provider.base_url!r} is not a base URL")
    if provider.kind not in KINDS:
        raise ValueError(f"its kind {provider.kind!r} is none of {', '.join(sorted(KINDS))}")
    tls, port = url.scheme == "https", url.port
    lines = {"host": url.netloc, "content-type": "application/json", "accept-encoding": "identity"}
    return Upstream(
        endpoint=Endpoint(url.hostname, port or (443 if tls else 80), tls, provider.connect_timeout_s),
        kind=provider.kind,
        path=url.path.rstrip("/"),
        query=url.query,
        lines=header_lines({**lines, **credentials(provider.kind, secret(provider.api_key))}),
        first_token_timeout_s=provider.first_token_timeout_s,
        idle_timeout_s=provider.idle_timeout_s,
    )


def tls_context(authorities: Path | None) -> ssl.SSLContext:
    """Give the context that verifies peers, by the system's authorities and those of a file."""
    context = ssl.create_default_context()
    if authorities is not None:
        context.load_verify_locations(cafile=authorities)
    context.set_alpn_protocols(["http/1.1"])
    return context
