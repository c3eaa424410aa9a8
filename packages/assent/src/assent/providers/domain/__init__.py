"""Providers: where models are asked, by which reference to a key; and when base models end."""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

from assent.kernel.addresses import METADATA_HOSTS, is_odd_number, never
from assent.kernel.errors import Invalid, Reason
from assent.kernel.events import Event
from assent.providers.domain.sources import VISIBLE, checked_source

KINDS = ("openai", "azure", "anthropic")
MIN_TIMEOUT_S = 0.001
MAX_TIMEOUT_S = 3600.0
MAX_URL = 2048
MAX_BASE_MODEL = 200

_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")
_FILE = re.compile(r"/[^\x00-\x1f\x7f]{1,1000}\Z")
_BASE_MODEL = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:/@-]{{0,{MAX_BASE_MODEL - 1}}}\Z")
_KEY_PREFIX = re.compile(
    r"(sk|pk|rk|gsk|hf|xai|pplx|key|ghp|glpat|assent_(pat|key))[-_]|AIza|AKIA|eyJ|bearer\b", re.IGNORECASE
)
_AZURE_QUERY = re.compile(r"api-version=[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?\Z")
_RANDOM_LENGTH = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSet(Event):
    """A project got a provider, or its provider changed. `api_key` is a reference, never a key."""

    TYPE: ClassVar[str] = "providers.provider.set"
    project: str
    name: str
    kind: str
    base_url: str
    api_key: str | None
    connect_timeout_ms: int
    first_token_timeout_ms: int
    idle_timeout_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRemoved(Event):
    """A project lost a provider."""

    TYPE: ClassVar[str] = "providers.provider.removed"
    project: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModelDated(Event):
    """An operator said when a base model ends (`ends_on` None: not at all); it goes before the calendar."""

    TYPE: ClassVar[str] = "providers.base_model.dated"
    base_model: str
    ends_on: str | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModelUndated(Event):
    """What an operator said of a base model's end no longer counts."""

    TYPE: ClassVar[str] = "providers.base_model.undated"
    base_model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """How an endpoint is reached: what people say of a provider.

    `base_url` is what `/chat/completions` is appended to (`/messages` for the kind anthropic; for azure also
    `https://NAME.openai.azure.com/openai?api-version=…`, where the path names the deployment); `api_key` is
    `env:NAME` or `file:/path`, read where calls are made (gateway, worker). `first_token_timeout_s` bounds
    the wait for an answer's first byte, `idle_timeout_s` a silence within it; all
    time-outs are 0.001 to 3600 s.
    """

    base_url: str
    kind: str = "openai"
    api_key: str | None = None
    connect_timeout_s: float = 2.0
    first_token_timeout_s: float = 60.0
    idle_timeout_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider(Upstream):
    """A named upstream endpoint of a project."""

    project: str
    name: str
    set_at: datetime
    set_by: str


@dataclass(frozen=True, slots=True)
class End:
    """When a base model ends, and who says so. `ends_on` None: an operator knows of no end."""

    base_model: str
    ends_on: date | None
    source: str
    as_of: date
    announced_on: date | None = None
    provider: str = ""
    is_override: bool = False


@dataclass(frozen=True, slots=True)
class Calendar:
    """Ends that providers announced, each by its own name and as `provider/name`."""

    ends: Mapping[str, End]

    def find(self, base_model: str) -> End | None:
        """Find a base model by either name."""
        return self.ends.get(base_model)


def checked_upstream(upstream: Upstream) -> Upstream:
    """Check all of it, so that every mistake is told at once. Raises: Invalid."""
    mistakes = [
        *_url_mistakes(upstream.base_url, upstream.kind),
        *_key_mistakes(upstream.api_key),
        *_timeout_mistakes(upstream),
    ]
    if upstream.kind not in KINDS:
        text = f"There is no kind {upstream.kind!r} of provider."
        kinds = "openai: whatever speaks its chat completions; azure; anthropic."
        mistakes.append(Reason("kind", text, kinds))
    if mistakes:
        message = " ".join(mistake.message for mistake in mistakes)
        remedy = mistakes[0].remedy if len(mistakes) == 1 else None
        raise Invalid(message, remedy=remedy, reasons=mistakes)
    return Upstream(
        base_url=upstream.base_url.rstrip("/"),
        kind=upstream.kind,
        api_key=upstream.api_key,
        connect_timeout_s=to_ms(upstream.connect_timeout_s) / 1000,
        first_token_timeout_s=to_ms(upstream.first_token_timeout_s) / 1000,
        idle_timeout_s=to_ms(upstream.idle_timeout_s) / 1000,
    )


def to_ms(seconds: float) -> int:
    """Give whole milliseconds: a ledger entry holds no fractions."""
    return round(seconds * 1000)


def _url_mistakes(url: str, kind: str) -> Iterator[Reason]:
    """Judge a base URL. Loopback and private addresses are fine: self-hosted models live there.

    Refused is where no model lives but credentials do: link-local and metadata addresses, in any spelling.
    A name that resolves to such an address is found by no check of text: keep egress rules for that.
    Azure's older form of address names the API's version, and the deployment follows from the model.
    """
    head, mark, query = url.partition("?")
    problem = _url_problem(head if kind == "azure" and mark and _AZURE_QUERY.match(query) else url)
    if problem:
        # The address is not repeated where it may hold a password.
        yield Reason("base_url", f"The base URL {problem}.", "Write one like https://api.example.com/v1.")


def _url_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return f"cannot be read: {error}"
    if not VISIBLE.match(url) or len(url) > MAX_URL or "\\" in url:
        return f"must be 1 to {MAX_URL} visible ASCII characters, without a backslash"
    if parts.scheme not in {"http", "https"}:
        return f"has the scheme {parts.scheme!r}; http and https are known"
    if not host or port == 0:
        return "names no host that can be called"
    if parts.username is not None or parts.password is not None:
        return "holds a name or password; the key is given as a reference instead"
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        return "holds a query or a fragment"
    return _host_problem(host)


def _host_problem(host: str) -> str | None:
    name = host.rstrip(".").lower()
    if name in METADATA_HOSTS:
        return f"leads to {host}, which hands out a machine's credentials"
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return f"names {host}, an address in an unusual spelling" if is_odd_number(name) else None
    kind = never(address)
    return None if kind is None else f"leads to {host}, {'which is ' if kind == 'no host' else ''}{kind}"


def _key_mistakes(reference: str | None) -> Iterator[Reason]:
    """Judge a reference to a key; what may be a key is never repeated."""
    if reference is None:
        return
    kind, _, where = reference.partition(":")
    form = _ENV if kind == "env" else _FILE if kind == "file" else None
    if form is None or not form.match(where):
        text = "The key must be a reference, env:NAME or file:/path; the key itself is never kept here."
    elif looks_like_key(where.rpartition("/")[2]):
        text = f"What follows {kind}: looks like a key itself; name the place where the key is."
    else:
        return
    remedy = "Put the key into a variable or file of gateway and worker, and name that."
    yield Reason("api_key", text, remedy)


def looks_like_key(text: str) -> bool:
    """Tell whether a text is more likely a secret than the name of one."""
    classes = (str.islower, str.isupper, str.isdigit)
    n_mixed = sum(any(is_class(character) for character in text) for is_class in classes)
    is_random = len(text) >= _RANDOM_LENGTH and n_mixed == len(classes) and "." not in text
    return is_random or (_KEY_PREFIX.match(text) is not None and any(map(str.isdigit, text)))


def _timeout_mistakes(upstream: Upstream) -> Iterator[Reason]:
    for name in ("connect_timeout_s", "first_token_timeout_s", "idle_timeout_s"):
        seconds = getattr(upstream, name)
        if not MIN_TIMEOUT_S <= seconds <= MAX_TIMEOUT_S:
            text = f"{name} must be {MIN_TIMEOUT_S} to {MAX_TIMEOUT_S:g} seconds."
            yield Reason(name, text, have=str(seconds))


def checked_base_model(name: str) -> str:
    """Check a base model's name. Raises: Invalid."""
    if not _BASE_MODEL.match(name):
        raise Invalid(
            f"{name!r} is not the name of a base model.",
            remedy=f"Use 1 to {MAX_BASE_MODEL} letters, digits and . _ : / @ -.",
        )
    return name


def parse_calendar(document: Mapping[str, Any]) -> Calendar:
    """Read a calendar's document.

    {"providers": [{"name", "source", "as_of", "ends": [{"base_model", "announced", "shut_down"}]}]}:
    dates read on the day `as_of` on the provider's public page `source`. Raises: Invalid.
    """
    try:
        ends = list(_ends(document["providers"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Invalid(f"This is not a calendar of base models: {error!r}.") from error
    by_name: dict[str, End] = {}
    for end in ends:
        for name in (end.base_model, f"{end.provider}/{end.base_model}"):
            if name in by_name:
                raise Invalid(f"The calendar names {name} twice.")
            by_name[name] = end
    return Calendar(by_name)


def _ends(providers: Sequence[Mapping[str, Any]]) -> Iterable[End]:
    for provider in providers:
        for one in provider["ends"]:
            yield End(
                base_model=checked_base_model(one["base_model"]),
                ends_on=date.fromisoformat(one["shut_down"]),
                source=checked_source(provider["source"]),
                as_of=date.fromisoformat(provider["as_of"]),
                announced_on=date.fromisoformat(one["announced"]),
                provider=provider["name"],
            )
