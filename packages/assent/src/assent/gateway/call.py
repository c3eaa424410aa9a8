"""One governed call: from a client's request to the upstream and back, observed."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Coroutine
from time import monotonic
from typing import Final

from assent.gateway.asking import judge_answer, judge_request, watch
from assent.gateway.inbound import ClientConnection
from assent.gateway.problems import PHRASES
from assent.gateway.recorder import Chosen, Recorder
from assent.gateway.request import Header, Request, passing
from assent.gateway.shared import Shared
from assent.gateway.upstream import Failure, UpstreamConnection
from assent_client.calls.choosing import FALLING, SUCCESS, Ending, error_class_of
from assent_client.calls.guarding import blocked
from assent_client.calls.places import HOP_BY_HOP
from assent_client.calls.refusals import Refusal
from assent_client.calls.sampling import Given
from assent_client.calls.stream import EventWatch, Outcome

log = logging.getLogger(__name__)

CLIENT_LEFT: Final = 499
_PLAIN: Final = frozenset({b"", b"identity"})
_STARTS: Final = {status: b"HTTP/1.1 %d %b\r\n" % (status, phrase) for status, phrase in PHRASES.items()}
_UNREADABLE: Final = b"data: {"
"""Neither JSON nor an event: what stands for an answer too long to be kept."""


class Call:
    """The exchange between one client connection and one upstream connection."""

    __slots__ = (
        "_chosen", "_connection", "_head", "_headers", "_held", "_is_chunked", "_is_guarded", "_n_held",
        "_n_seen", "_out", "_outcome", "_recorder", "_replaced", "_request", "_seen", "_shared",
        "_started_at", "_status", "_task", "_ttft_s", "_was_retried", "_watch",
        "client", "deadline", "is_done",
    )  # fmt: skip

    def __init__(
        self, shared: Shared, recorder: Recorder, client: ClientConnection, request: Request, chosen: Chosen
    ) -> None:
        self._shared, self._recorder = shared, recorder
        self.client, self._request, self._chosen = client, request, chosen
        self._started_at = request.started_at
        self._outcome = Outcome()
        self._connection: UpstreamConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._watch: EventWatch | None = None
        self._held: list[bytes] | None = None
        self._n_held = self._n_seen = 0
        self._seen: list[bytes] | None = None
        self._replaced: bytes | None = None
        self._headers: list[Header] = []
        self._head: bytes | None = None
        self._out: list[bytes] = []
        self._status = 0
        self._ttft_s: float | None = None
        self._is_chunked = False
        self._is_guarded = False
        self._was_retried = False
        self.is_done = False
        self.deadline = float("inf")

    @property
    def name(self) -> str:
        """Give the name that was called."""
        return self._chosen.route.key

    def start(self) -> None:
        """Begin; what follows is told through the `on_…` methods."""
        self._shared.begin(self)
        self._approach()

    def _approach(self) -> None:
        """Ask the guardrails that stand before the upstream, then for a connection to it."""
        if self._chosen.version.guards.before:
            self._wait_for(self._judge_request())
        else:
            self._connect()

    def _connect(self, *, fresh: bool = False) -> None:
        self.deadline = float("inf")
        self._task = self._shared.pool(self._chosen.upstream.endpoint).acquire(self, fresh=fresh)

    async def _judge_request(self) -> None:
        await judge_request(self._shared.hooks, self._chosen)
        self._connect()

    def _wait_for(self, step: Coroutine[None, None, None]) -> None:
        """Take a step that waits for others; it ends with the call."""
        self.deadline = float("inf")  # each hook has a time limit of its own
        self._task = self._shared.spawn(self._taken(step))

    async def _taken(self, step: Coroutine[None, None, None]) -> None:
        try:
            await step
        except Refusal as refusal:
            self._refuse(refusal)
        except Exception:
            reference = secrets.token_hex(6)
            log.exception("gateway: defect %s", reference)
            message = f"The gateway failed; its log has the detail under {reference}."
            self._refuse(Refusal(500, "internal", message))

    # upstream's events

    def on_connection(self, connection: UpstreamConnection) -> None:
        """Send the request."""
        self._task = None
        if self.is_done:
            self._shared.pool(self._chosen.upstream.endpoint).release(connection)
            return
        self._connection = connection
        self.deadline = monotonic() + self._chosen.upstream.first_token_timeout_s
        body = self._chosen.body
        length = b"content-length: %d\r\n\r\n" % len(body)
        connection.send(self, b"".join((self._chosen.start, self._request.lines, length, body)))

    def on_head(self, head: UpstreamConnection) -> None:
        """Choose how the body travels, and write the head; or ask the next version of the chain."""
        status, length = head.status, head.length
        if status in FALLING and self._fall_back(status, f"upstream_{status}"):
            return
        self._status = status
        self._headers = head.headers
        is_success = status in SUCCESS
        if is_success:
            guards = self._chosen.version.guards
            self._is_guarded = guards.holds
            self._seen = [] if guards.watching or self._chosen.sampling is not None else None
        if head.content_encoding not in _PLAIN:
            pass  # nobody asked for it; the bytes go on as they are, unread
        elif head.content_type.startswith(b"text/event-stream"):
            self._watch = self._watching()
            length = None
        elif is_success:
            self._held = []
        self._write_head(status, head.headers, length)

    def _watching(self) -> EventWatch:
        drop_usage = not self._chosen.ask.wants_usage
        return EventWatch(self._outcome, self._chosen.dialect.read_event, drop_usage=drop_usage)

    def _write_head(self, status: int, headers: list[Header], length: int | None) -> None:
        start = _STARTS.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status
        lines = [start, passing(headers, HOP_BY_HOP), self._chosen.headers]
        has_body = status not in {204, 304}
        if length is not None:
            lines.append(b"content-length: %d\r\n" % length)
        elif has_body and self._request.is_http11:
            self._is_chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        elif has_body:
            self._request.keep_alive = False
        if not self._request.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        self._head = b"".join(lines)

    def on_body(self, content: bytes) -> None:
        """Pass a piece on, or hold it where the whole is still to be judged."""
        if self._ttft_s is None:
            self._ttft_s = monotonic() - self._started_at
        if self._seen is not None:
            self._keep(content)
        if self._watch is not None:
            content = self._watch.feed(content)
            if content:
                self._out.append(content)
            return
        if self._held is None:
            self._out.append(content)
            return
        self._held.append(content)
        self._n_held += len(content)
        if self._n_held > self._shared.limits.held_response_bytes and not self._is_guarded:
            self._out, self._held = self._held, None

    def _keep(self, content: bytes) -> None:
        """Keep a copy of what passes, for a sample and guardrails that only record, up to a limit."""
        if self._seen is not None:
            self._seen.append(content)
            self._n_seen += len(content)
            if self._n_seen > self._shared.limits.held_response_bytes:
                self._seen = [_UNREADABLE]

    def on_pause(self) -> None:
        """Write what one read brought."""
        self.deadline = monotonic() + self._chosen.upstream.idle_timeout_s
        if self._is_guarded:
            self._check_held()
        elif (self._held is None and self._head is not None) or self._out:
            self._flush(b"")

    def _check_held(self) -> None:
        """Give up where an answer grows too large to be held back for its guardrails."""
        limit = self._shared.limits.held_response_bytes
        if self._n_held + sum(map(len, self._out)) > limit and self._connection is not None:
            self._connection.abort()
            self.on_failure(Failure("upstream_too_large", f"its answer is larger than {limit} bytes"))

    def _stopped(self) -> Refusal | None:
        """Let the guardrails look at the whole answer."""
        hit = self._chosen.version.guards.answered(b"".join(self._out), is_stream=self._watch is not None)
        self._chosen.note(hit)
        return blocked(hit)

    def on_end(self) -> None:
        """Write the rest and report."""
        self._connection = None  # it serves others by now, so a client that reads slowly must not hold it
        if self._held is not None:
            body = b"".join(self._held)
            if not self._chosen.dialect.read(self._outcome, body):
                self.on_failure(
                    Failure("upstream_rubbish", "it answered 200 with something that is no completion")
                )
                return
            self._out = [body]
        if self._watch is not None and (rest := self._watch.rest()):
            self._out.append(rest)
        if not self._is_guarded:
            self._complete()
        elif (refusal := self._stopped()) is not None:
            self._refuse(refusal)
        elif self._chosen.version.guards.after:
            self._wait_for(self._judge_answer())
        else:
            self._complete()

    async def _judge_answer(self) -> None:
        body, is_stream = b"".join(self._out), self._watch is not None
        judged = await judge_answer(self._shared.hooks, self._chosen, body, is_stream=is_stream)
        if judged is not body:
            self._out, self._is_chunked, self._replaced = [judged], False, judged
            self._write_head(self._status, self._headers, len(judged))
        self._complete()

    def _complete(self) -> None:
        """Send what is left of an answer that may pass."""
        self._task = None
        self._flush(b"0\r\n\r\n" if self._is_chunked else b"")
        error_class = None if self._status in SUCCESS else f"upstream_{self._status}"
        self._finish(self._status, error_class)
        self.client.answered(self._request)

    def _refuse(self, refusal: Refusal) -> None:
        """Refuse by a guardrail: what it stopped is no error of the version, unless it could not be asked."""
        self._task = None
        self._seen = None
        self._finish(refusal.status, error_class_of(refusal))
        self.client.refuse(self._request, refusal, self._chosen.headers)

    def on_failure(self, failure: Failure) -> None:
        """Answer with the reason, try a stale connection's successor, or cut a half-sent answer."""
        if self.is_done:
            return
        connection, self._connection = self._connection, None
        if connection is not None and self._is_stale(connection, failure):
            self._was_retried = True
            self._connect(fresh=True)
            return
        status = 504 if failure.kind == "upstream_timeout" else 502
        if not self._status and self._fall_back(status, failure.kind):
            return
        if self._status and self._head is None:  # the head has gone out: only a cut can tell the client
            self._finish(self._status, failure.kind)
            self.client.abort()
            return
        self._finish(status, failure.kind)
        message = f"The upstream of {self._chosen.version.ref} failed: {failure}."
        refusal = Refusal(status, failure.kind, message)
        self.client.refuse(self._request, refusal, self._chosen.headers)

    def _fall_back(self, status: int, error_class: str) -> bool:
        """Ask the next approved version of the chain, if there is one; this attempt is observed."""
        hop = self._chosen.next() if self._chosen.next is not None else None
        if hop is None:
            return False
        if self._connection is not None:
            self._connection.abort()
            self._connection = None
        ending = Ending(status, error_class, monotonic() - self._started_at, None)
        self._recorder.call(self._chosen, self._outcome, ending)
        self._chosen, self._outcome, self._started_at = hop, Outcome(), monotonic()
        self._was_retried = False
        self._approach()
        return True

    def _is_stale(self, connection: UpstreamConnection, failure: Failure) -> bool:
        """Tell whether a pooled connection was closed before it could have seen this request."""
        is_fresh = connection.n_sent == 1 or connection.has_answered
        return failure.kind == "upstream_cut" and not is_fresh and not self._was_retried

    def _flush(self, ending: bytes) -> None:
        head, out = self._head, self._out
        self._head = None
        content = b"".join(out) if len(out) != 1 else out[0]
        if out:
            self._out = []
        if self._is_chunked and content:
            content = b"%x\r\n%b\r\n" % (len(content), content)
        if head is not None or content or ending:
            self.client.write(b"".join((head or b"", content, ending)))

    # client's events

    def on_client_gone(self, error_class: str = "client_gone") -> None:
        """Abort the upstream: nobody waits for its answer."""
        if self.is_done:
            return
        if self._task is not None:
            self._task.cancel()
        if self._connection is not None:
            self._connection.abort()
        self._finish(CLIENT_LEFT, error_class)

    def on_client_slow(self) -> None:
        """Stop reading from the upstream until the client has read."""
        self.deadline = monotonic() + self._shared.limits.stalled_s
        if self._connection is not None:
            self._connection.pause()

    def on_client_ready(self) -> None:
        """Read from the upstream again."""
        self.deadline = monotonic() + self._chosen.upstream.idle_timeout_s
        if self._connection is not None:
            self._connection.resume()

    def on_deadline(self) -> None:
        """End what takes too long, by the phase it is in."""
        if self.client.is_slow:
            self.on_client_gone("client_stalled")
            self.client.abort()
            return
        upstream = self._chosen.upstream
        phase, seconds = ("first token", upstream.first_token_timeout_s)
        if self._status:
            phase, seconds = "further token", upstream.idle_timeout_s
        if self._connection is not None:
            self._connection.abort()
        self.on_failure(Failure("upstream_timeout", f"no {phase} within {seconds:g} s"))

    def cut(self, refusal: Refusal) -> None:
        """End: its name was switched off with the calls under way."""
        if self._task is not None:
            self._task.cancel()
        if self._connection is not None:
            self._connection.abort()
        if self._status and self._head is None:
            self._finish(self._status, "killed")
            self.client.abort()
        else:
            self._finish(refusal.status, "killed")
            self.client.refuse(self._request, refusal, self._chosen.headers)

    # observation

    def _finish(self, status: int, error_class: str | None) -> None:
        self.is_done = True
        self._shared.forget(self)
        ttft_s = self._ttft_s if self._watch is not None else None
        ending = Ending(status, error_class, monotonic() - self._started_at, ttft_s)
        if self._chosen.mirror is not None and status != CLIENT_LEFT and error_class != "killed":
            self._chosen.mirror()
        given = None if self._chosen.sampling is None else self._given(ending)
        if self._chosen.version.guards.watching:
            self._shared.spawn(self._watched(ending, given))
        else:
            self._recorder.call(self._chosen, self._outcome, ending, given)

    def _given(self, ending: Ending) -> Given | None:
        """Give the answer of a call that ended well, as the client got it."""
        if self._seen is None or ending.error_class is not None or ending.status not in SUCCESS:
            return None
        answer = b"".join(self._seen) if self._replaced is None else self._replaced
        return Given(answer, self._watch is not None)

    async def _watched(self, ending: Ending, given: Given | None) -> None:
        """Write the call down once the guardrails that only record have looked at it."""
        body = None if self._seen is None else b"".join(self._seen)
        try:
            await watch(self._shared.hooks, self._chosen, body, is_stream=self._watch is not None)
        finally:
            self._recorder.call(self._chosen, self._outcome, ending, given)
