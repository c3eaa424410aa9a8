"""Where versions are asked: paths and credentials by kind of provider, and an application's own upstreams."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

from assent_client.calls.dialects import Dialect
from assent_client.calls.refusals import Refusal
from assent_client.calls.served import Served, ServedVersion

KINDS: Final = frozenset({"openai", "azure", "anthropic"})
ANTHROPIC_VERSION: Final = (b"anthropic-version", b"2023-06-01")
HOP_BY_HOP: Final = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection",
        b"te", b"trailer", b"transfer-encoding", b"upgrade", b"content-length",
    }
)  # fmt: skip
CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key", b"api-key"})
REPLACED: Final = frozenset({b"host", b"expect", b"accept-encoding", b"content-type", b"cookie"})
"""Headers of a client that the request upstream has anew."""

_PORTS: Final = {"https": 443, "http": 80}
_DEPLOYMENTS: Final = "/deployments/"


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where an application asks a provider, and with which key; Assent never holds or moves it.

    `base_url` is that of a library's client, such as `https://api.openai.com/v1`; `api_key` a text, or what
    gives one for each call.
    """

    base_url: str
    api_key: str | Callable[[], str] | None = field(default=None, repr=False)


class Place(NamedTuple):
    """Where one version is asked; `credentials` are None where the caller's own go along."""

    url: str
    credentials: Mapping[str, str] | None


NOWHERE: Final = Place("", None)


def credentials(kind: str, key: str | None) -> dict[str, str]:
    """Give the header that carries a provider's key."""
    if key is None:
        return {}
    names = {"azure": "api-key", "anthropic": "x-api-key"}
    return {names[kind]: key} if kind in names else {"authorization": f"Bearer {key}"}


def target_of(path: str, query: str, dialect: Dialect, model: str) -> str:
    """Give path and query of a form of request; Azure's older form names the deployment in it."""
    if not query:
        return path + dialect.target
    place = "" if dialect.name == "responses" else _DEPLOYMENTS + quote(model, safe="")
    return f"{path}{place}{dialect.target}?{query}"


def place_of(
    served: Served, version: ServedVersion, dialect: Dialect, base: str, upstreams: Mapping[str, Upstream]
) -> Place:
    """Give where a version is asked by a client that was made for the address `base`.

    A key goes only where the application itself says: to an upstream that it names, or to its client's own
    address, if the provider of the version has this one. Raises: Refusal (503).
    """
    provider = served.payload.providers.get(version.provider)
    if provider is None:
        raise _unusable(version, "the snapshot does not say what that is. Update the server, or add it")
    own = upstreams.get(version.provider)
    if own is not None:
        key = own.api_key() if callable(own.api_key) else own.api_key
        return Place(_url(own.base_url, dialect, version.model), credentials(provider.kind, key))
    if _address(base) == _address(provider.base_url):
        return Place(_url(provider.base_url, dialect, version.model), None)
    raise _unusable(
        version,
        f"that is at {provider.base_url}, while this client is made for {base}. Name it: "
        f'http_client(upstreams={{"{version.provider}": Upstream("{provider.base_url}", key)}})',
    )


def _unusable(version: ServedVersion, why: str) -> Refusal:
    message = f"{version.ref} is asked at the provider {version.provider}: {why}."
    return Refusal(503, "provider_unusable", message, "model")


def _url(base: str, dialect: Dialect, model: str) -> str:
    url = urlsplit(base)
    return f"{url.scheme}://{url.netloc}{target_of(url.path.rstrip('/'), url.query, dialect, model)}"


def _address(base: str) -> tuple[str, str | None, int | None, str]:
    """Give what must be equal for two base URLs to mean one place."""
    url = urlsplit(base)
    path = url.path.partition(_DEPLOYMENTS)[0].rstrip("/")
    return url.scheme, url.hostname, url.port or _PORTS.get(url.scheme), path
