"""One call in an application's process: which step comes next, without taking any of them.

A generator yields steps and is sent what they gave, so that one text serves callers that wait and callers
that await.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any, NamedTuple, Protocol

from assent_client.calls.choosing import FALLING, REDIRECTS, SUCCESS, Ending, error_class_of, prepare
from assent_client.calls.core import Asked, Chosen, Core, Header, answered_here
from assent_client.calls.dialects import MESSAGES
from assent_client.calls.guarding import blocked
from assent_client.calls.places import ANTHROPIC_VERSION, CREDENTIALS, HOP_BY_HOP, REPLACED
from assent_client.calls.refusals import Refusal
from assent_client.calls.sampling import Given
from assent_client.calls.stream import EventWatch, Outcome

_FIXED: Sequence[Header] = ((b"content-type", b"application/json"), (b"accept-encoding", b"identity"))
_OURS = b"x-assent-"
_MOST_KEPT_BYTES = 8_388_608


class Send(NamedTuple):
    """Send a request and give the response as soon as its head is there."""

    url: str
    headers: list[Header]
    body: bytes


class Read(NamedTuple):
    """Read a response to its end and give the bytes as they came."""

    response: Any


class Close(NamedTuple):
    """Close a response that nobody reads."""

    response: Any


Step = Send | Read | Close


class Failure(NamedTuple):
    """Why there is no answer; `falls` tells whether another version may be asked."""

    status: int
    kind: str
    falls: bool


class Wire(Protocol):
    """What is to be known of the library that sends."""

    def failure(self, error: BaseException) -> Failure:
        """Say what an exception means."""

    def broken(self, message: str) -> Exception:
        """Make the exception of an answer that was cut."""


class Answer(NamedTuple):
    """What the library gets; `response` is the provider's, None where Assent answers."""

    status: int
    headers: list[Header]
    body: bytes | Passing
    response: Any


class Exchange:
    """From a library's request to its answer."""

    def __init__(self, core: Core, asked: Asked, wire: Wire) -> None:
        self.core, self.wire = core, wire
        self._asked = asked
        self.outcome = Outcome()
        self.started_at = monotonic()
        self._chosen: Chosen | None = None

    @property
    def chosen(self) -> Chosen:
        """Give what was chosen. Raises: LookupError where nothing was yet."""
        if self._chosen is None:
            raise LookupError("no version is chosen yet")
        return self._chosen

    def run(self) -> Generator[Step, Any, Answer]:
        """Yield each step and take what it gave; the answer comes at the end."""
        try:
            if self._asked.dialect is None:
                status, body = answered_here(self.core, self._asked)
                return self._own(status, body, b"")
            self._chosen = self.core.choose(self._asked, self._asked.dialect)
        except Refusal as refusal:
            return self._refused(refusal)
        try:
            self.core.settle(self.chosen, self._asked)
            prepare(self.chosen, self.core.now)
        except Refusal as refusal:
            self.record(refusal.status, error_class_of(refusal))
            return self._refused(refusal)
        return (yield from self._send(iter(self.chosen.version.fallback)))

    def _send(self, hops: Iterator[str]) -> Generator[Step, Any, Answer]:
        while True:
            place, body = self.chosen.place, self.chosen.body
            try:
                response = yield Send(place.url, self._headers(), body)
            except BaseException as error:
                failure = self.wire.failure(error)
                if failure.falls and self._fall(failure.status, failure.kind, hops):
                    continue
                self.record(failure.status, failure.kind)
                raise
            status = response.status_code
            if status in FALLING and self._fall(status, f"upstream_{status}", hops):
                yield Close(response)
                continue
            if status in REDIRECTS:
                yield Close(response)
                if self._fall(502, "upstream_redirect", hops):
                    continue
                why = f"it redirects ({status}), and a redirect could lead anywhere"
                return self._refused(self._failure("upstream_redirect", why))
            return (yield from self._receive(response))

    def _headers(self) -> list[Header]:
        """Write the headers that go upstream: the caller's, without what belongs to this hop or to us."""
        credentials = self.chosen.place.credentials
        dropped = HOP_BY_HOP | REPLACED | (CREDENTIALS if credentials is not None else frozenset())
        sent = [(key, value) for key, value in passing(self._asked.headers) if key.lower() not in dropped]
        sent += _FIXED
        if credentials:
            sent += [(key.encode(), value.encode()) for key, value in credentials.items()]
        if self.chosen.dialect is MESSAGES and self._asked.header(ANTHROPIC_VERSION[0]) is None:
            sent.append(ANTHROPIC_VERSION)
        return sent

    def _fall(self, status: int, error_class: str, hops: Iterator[str]) -> bool:
        """Choose the next version of the chain, if there is one; this attempt is observed."""
        hop = self.core.hop(self.chosen, hops, self._asked)
        if hop is None:
            return False
        self.record(status, error_class)
        self._chosen, self.outcome, self.started_at = hop, Outcome(), monotonic()
        return True

    def _receive(self, response: Any) -> Generator[Step, Any, Answer]:
        """Choose how the body travels: as it comes, or whole where it is to be judged."""
        status = response.status_code
        found = {key.lower(): value for key, value in response.headers.raw}
        is_plain = found.get(b"content-encoding", b"identity").lower() in {b"", b"identity"}
        is_stream = found.get(b"content-type", b"").lower().startswith(b"text/event-stream")
        is_guarded = status in SUCCESS and self.chosen.version.guards.holds
        headers = [h for h in passing(response.headers.raw) if h[0].lower() not in HOP_BY_HOP]
        headers += _lines(self.chosen.headers)
        watch = self._watch() if is_stream and is_plain else None
        if not is_guarded and (is_stream or not is_plain):
            return Answer(status, headers, Passing(self, status, watch), response)
        try:
            body = yield Read(response)
        except BaseException as error:
            failure = self.wire.failure(error)
            self.record(failure.status, failure.kind)
            raise
        refusal, body = self._judge(status, body, watch, is_plain=is_plain)
        if refusal is not None:
            return self._refused(refusal)
        given = Given(body, watch is not None) if status in SUCCESS and is_plain else None
        self.record(status, None if status in SUCCESS else f"upstream_{status}", given=given)
        return Answer(status, [*headers, (b"content-length", b"%d" % len(body))], body, response)

    def _watch(self) -> EventWatch:
        chosen = self.chosen
        return EventWatch(self.outcome, chosen.dialect.read_event, drop_usage=not chosen.ask.wants_usage)

    def _judge(
        self, status: int, body: bytes, watch: EventWatch | None, *, is_plain: bool
    ) -> tuple[Refusal | None, bytes]:
        """Read a whole answer, and say why it may not pass; what is refused is observed."""
        chosen = self.chosen
        if watch is not None:
            body = watch.feed(body) + watch.rest()
        elif status in SUCCESS and is_plain and not chosen.dialect.read(self.outcome, body):
            return self._failure("upstream_rubbish", f"it answered {status} with something else"), body
        if status not in SUCCESS or not chosen.version.guards.holds:
            return None, body
        hit = chosen.version.guards.answered(body, is_stream=watch is not None)
        chosen.note(hit)
        stopped = blocked(hit)
        if stopped is not None:
            self.record(stopped.status, None)
        return stopped, body

    def _failure(self, kind: str, why: str) -> Refusal:
        """Observe an upstream's fault, and give the refusal that tells of it."""
        self.record(502, kind)
        return Refusal(502, kind, f"The upstream of {self.chosen.version.ref} failed: {why}.")

    def _refused(self, refusal: Refusal) -> Answer:
        ours = b"" if self._chosen is None else self._chosen.headers
        return self._own(refusal.status, refusal.body(self._asked.path), ours + refusal.lines)

    @staticmethod
    def _own(status: int, body: bytes, lines: bytes) -> Answer:
        kind, length = (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))
        return Answer(status, [kind, length, *_lines(lines)], body, None)

    def record(
        self,
        status: int,
        error_class: str | None,
        ttft_s: float | None = None,
        given: Given | None = None,
    ) -> None:
        """Observe the call, or this attempt of it."""
        ending = Ending(status, error_class, monotonic() - self.started_at, ttft_s)
        self.core.record(self.chosen, self.outcome, ending, given)


class Passing:
    """An answer that is read as it passes, and observed once when it ends, however it ends."""

    def __init__(self, exchange: Exchange, status: int, watch: EventWatch | None) -> None:
        self._exchange, self._status, self._watch = exchange, status, watch
        self._ttft_s: float | None = None
        self._is_done = False
        is_kept = watch is not None and status in SUCCESS and exchange.chosen.sampling is not None
        self._kept: list[bytes] | None = [] if is_kept else None
        self._n_kept = 0

    def feed(self, piece: bytes) -> bytes:
        """Take what arrived and give what may go on. Raises: the library's error where a kill cut it."""
        exchange = self._exchange
        if self._ttft_s is None:
            self._ttft_s = monotonic() - exchange.started_at
        name = exchange.chosen.route.key
        if exchange.core.is_cut(name):
            self._end(self._status, "killed")
            raise exchange.wire.broken(f"{name} was switched off with the calls under way")
        if self._kept is not None:
            self._keep(piece)
        return piece if self._watch is None else self._watch.feed(piece)

    def _keep(self, piece: bytes) -> None:
        """Keep a copy for a sample; above the limit there is none."""
        self._n_kept += len(piece)
        if self._n_kept > _MOST_KEPT_BYTES:
            self._kept = None
        elif self._kept is not None:
            self._kept.append(piece)

    def rest(self) -> bytes:
        """Give what was held back, at the end of a whole answer."""
        rest = b"" if self._watch is None else self._watch.rest()
        self._end(self._status, None if self._status in SUCCESS else f"upstream_{self._status}")
        return rest

    @contextmanager
    def observed(self) -> Iterator[None]:
        """Observe an answer that breaks off."""
        try:
            yield
        except GeneratorExit:
            self.leave()
            raise
        except BaseException as error:
            self._end(self._status, self._exchange.wire.failure(error).kind)
            raise

    def leave(self) -> None:
        """Take notice that nobody reads on; after its last word an answer counts as whole."""
        is_whole = self._exchange.outcome.finish_reason is not None
        self._end(self._status if is_whole else 499, None if is_whole else "client_gone")

    def _end(self, status: int, error_class: str | None) -> None:
        if not self._is_done:
            self._is_done = True
            given = None if error_class or self._kept is None else Given(b"".join(self._kept), is_stream=True)
            ttft_s = self._ttft_s if self._watch is not None else None
            self._exchange.record(status, error_class, ttft_s, given)


def passing(headers: Sequence[Header]) -> list[Header]:
    """Leave out what would pass for our own headers."""
    return [header for header in headers if not header[0].lower().startswith(_OURS)]


def _lines(lines: bytes) -> list[Header]:
    """Read header lines that we wrote."""
    parts = (line.partition(b": ") for line in lines.split(b"\r\n") if line)
    return [(name, value) for name, _, value in parts]
