"""What a client in an application's process makes of the requests of model libraries."""

from __future__ import annotations

import secrets
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

import msgspec

from assent_client.calls import choosing
from assent_client.calls.choosing import Caller, Ending, choose, next_hop
from assent_client.calls.dialects import DIALECTS, Dialect
from assent_client.calls.edit import Ask
from assent_client.calls.feedback import Remembered, Thumb, opinion, read_thumb
from assent_client.calls.places import NOWHERE, Place, Upstream, place_of
from assent_client.calls.refusals import Refusal
from assent_client.calls.sampling import Given, Taken
from assent_client.calls.served import Served, ServedVersion, model_entry, models_body
from assent_client.calls.stream import Outcome
from assent_client.observe import Row, hash_unit
from assent_client.snapshot import Snapshot

Header = tuple[bytes, bytes]

_FORMS: Final = tuple((dialect.target, dialect) for dialect in DIALECTS.values())
_MODELS: Final = "/models"
_FEEDBACK: Final = "/feedback"


def _new_unit() -> str:
    return secrets.token_hex(12)


def utc_now() -> datetime:
    """Give the time."""
    return datetime.now(UTC)


@dataclass(slots=True, kw_only=True)
class Chosen(choosing.Chosen):
    """A request with the version that answers it, and where that is asked."""

    place: Place = NOWHERE


class Asked(NamedTuple):
    """A request as a library made it; `base` is the address that its client was made for."""

    method: str
    base: str
    dialect: Dialect | None
    headers: Sequence[Header]
    body: bytes
    upstreams: Mapping[str, Upstream]

    def header(self, name: bytes) -> str | None:
        """Give the value of a header, named in lower case."""
        found = next((value for key, value in self.headers if key.lower() == name), None)
        return None if found is None else found.decode("latin-1")

    @property
    def path(self) -> bytes:
        """Give the path by which the gateway knows this form."""
        return b"" if self.dialect is None else self.dialect.path


def read_asked(
    method: str, url: str, headers: Sequence[Header], body: bytes, upstreams: Mapping[str, Upstream]
) -> Asked:
    """Tell base and form of a request from its address."""
    place = url.partition("?")[0]
    for target, dialect in _FORMS:
        if place.endswith(target):
            return Asked(method, place[: -len(target)], dialect, headers, body, upstreams)
    return Asked(method, place, None, headers, body, upstreams)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is said of a client in refusals and observations; seconds, and a key of 32 bytes."""

    server_url: str
    environment: str
    application: str
    unit_key: bytes
    max_staleness_s: float | None = None


class Forked(Protocol):
    """What has to begin anew in a forked child."""

    def after_fork(self) -> None:
        """Leave to the parent what is the parent's."""


class Core:
    """The snapshot in use made ready for calls, and what is observed of them; safe in threads."""

    def __init__(
        self,
        current: Callable[[], Snapshot | None],
        record: Callable[[Row], None],
        about: About,
        now: Callable[[], datetime] = utc_now,
        take: Callable[[Taken], None] | None = None,
    ) -> None:
        self.now = now
        self._current = current
        self._record = record
        self._take = take
        self._about = about
        self._completions = Remembered(10_000)
        self._served: Served | None = None
        self._lock = threading.Lock()
        self._parts: weakref.WeakSet[Forked] = weakref.WeakSet()

    def on_fork(self, part: Forked) -> None:
        """Have a part told in each forked child, for as long as somebody uses it."""
        self._parts.add(part)

    def after_fork(self) -> None:
        """Leave the parent's lock and connections to the parent."""
        self._lock = threading.Lock()
        for part in list(self._parts):
            part.after_fork()

    def ready(self) -> Served:
        """Give the snapshot in use, made ready. Raises: Refusal (503)."""
        snapshot = self._current()
        if snapshot is None:
            raise Refusal(
                503, "no_snapshot", "This client has no signed snapshot yet. Retry in a few seconds."
            )
        limit_s = self._about.max_staleness_s
        if limit_s is not None and (stale_s := snapshot.stale_s(self.now())) > limit_s:
            raise Refusal(
                503, "snapshot_stale", f"The snapshot expired {stale_s:.0f} s ago; calls are refused."
            )
        served = self._served
        if served is None or served.payload is not snapshot.payload:
            served = self._make_ready(snapshot)
        return served

    def _make_ready(self, snapshot: Snapshot) -> Served:
        with self._lock:
            served = self._served
            if served is None or served.payload is not snapshot.payload:
                served = self._served = Served(snapshot, self._about.server_url, served)
            return served

    def is_cut(self, name: str) -> bool:
        """Tell whether a kill ends a name's calls under way."""
        snapshot = self._current()
        gone = None if snapshot is None else snapshot.payload.gone.get(name)
        return gone is not None and gone.cut

    def choose(self, asked: Asked, dialect: Dialect) -> Chosen:
        """Choose what answers. Raises: Refusal."""
        if asked.method != "POST":
            raise Refusal(405, "method_not_allowed", f"Use POST for {dialect.target}.")
        served = self.ready()
        ask = Ask(asked.body)
        route = served.route(ask.model)
        conversation, preview = map(asked.header, (b"x-assent-conversation", b"x-assent-preview"))
        caller = Caller(self._about.application, conversation, preview)
        return choose(Chosen, ask, dialect, served, route, caller, new_unit=_new_unit)

    @staticmethod
    def settle(chosen: Chosen, asked: Asked) -> None:
        """Settle where the version is asked. Raises: Refusal (503)."""
        chosen.place = place_of(chosen.served, chosen.version, chosen.dialect, asked.base, asked.upstreams)

    @staticmethod
    def hop(before: Chosen, hops: Iterator[str], asked: Asked) -> Chosen | None:
        """Choose the next version of the chain."""

        def place(version: ServedVersion) -> Mapping[str, Any]:
            found = place_of(before.served, version, before.dialect, asked.base, asked.upstreams)
            return {"place": found}

        return next_hop(before, hops, place)

    def record(self, chosen: Chosen, outcome: Outcome, ending: Ending, given: Given | None = None) -> None:
        """Write a call down; `given` is the answer of a sampled one, where it was read whole."""
        row = choosing.observed(chosen, outcome, ending, hash_unit(self._about.unit_key, chosen.unit))
        self._record(row)
        if row.completion_id is not None:
            self._completions.remember(row.completion_id, row)
        if given is not None and chosen.sampling is not None and self._take is not None:
            self._take(Taken(row, chosen.sampling, chosen.ask, *given))

    def feedback(self, thumb: Thumb) -> bool:
        """Write an opinion down, and tell whether this process made the call."""
        known = self._completions.find(thumb.completion_id)
        self._record(opinion(thumb, known, self._about.environment, self._about.application))
        return known is not None

    def models(self, path: str) -> bytes:
        """List the names that may be called, or describe one. Raises: Refusal (404, 410)."""
        served = self.ready()
        _, _, name = path.rpartition(_MODELS)
        if not name.strip("/"):
            return models_body(sorted(served.routes))
        route = served.route(unquote(name.strip("/")))
        return msgspec.json.encode(model_entry(route.key))


def answered_here(core: Core, asked: Asked) -> tuple[int, bytes]:
    """Answer what no provider is asked for: the list of names, and feedback. Raises: Refusal."""
    path = urlsplit(asked.base).path
    if asked.method == "GET" and _MODELS in path:
        return 200, core.models(path)
    if asked.method == "POST" and path.endswith(_FEEDBACK):
        matched = core.feedback(read_thumb(asked.body))
        return 202, b'{"accepted":true,"matched":%b}' % (b"true" if matched else b"false")
    served = ", ".join(target for target, _ in _FORMS)
    message = f"Governed are {served}, {_MODELS} and {_FEEDBACK}. Use a client of its own for {path}."
    raise Refusal(404, "unknown_path", message)
