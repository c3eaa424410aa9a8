"""Observe calls: a bounded ring, batches that are on disk before they are sent, and what was lost.

A batch is one JSON object, POSTed with the header `Idempotency-Key: <batch>`:

    {"batch": "0190…", "instance": "9f…", "project": "acme", "environment": "production",
     "n_dropped": 0, "observations": [{"kind": "call", …}, {"kind": "feedback", …}]}

`n_dropped` counts what this instance (one process life) has lost so far, in rows; of an instance that was
killed, the next one in its place says it, in a batch without rows. A batch counts as delivered on a 2xx
answer only; it may arrive twice, so the server tells batches apart by their id.
"""

from __future__ import annotations

import logging
import os
import secrets
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, Protocol

import httpx
import msgspec

from assent_client import durable
from assent_client.spool import Life, Spool

log = logging.getLogger(__name__)

SHADOW: Final = "shadow"
"""Variant and reason of calls that were mirrored: they answered nobody."""

CHAT: Final = "chat"
"""The operation of calls that say none."""

_HOPELESS: Final = frozenset({400, 413, 415, 422})
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_encode = msgspec.json.Encoder().encode


class Call(
    msgspec.Struct, frozen=True, tag_field="kind", tag="call", gc=False, kw_only=True, omit_defaults=True
):
    """One governed call.

    `unit` is a keyed hash; `sticky` tells whether the caller named it; `as_approved` is None where the
    upstream did not say which model answered; `guardrails` names those that stopped the call (None where no
    guardrail looked at it); `language` is that of the question where the caller names it; `unguarded` tells
    that a guardrail which fails open gave no answer and was passed; `operation` is what the model did, in the
    words of OpenTelemetry (`chat`, `embeddings`). Times are seconds. A call whose variant and reason are
    `shadow` was mirrored and answered nobody.
    """

    at: datetime
    environment: str
    route: str
    variant: str
    version: str
    serial: int
    rule: str | None
    reason: str
    rollout: str | None
    unit: str
    sticky: bool
    stream: bool
    completion_id: str | None
    status: int
    error_class: str | None
    latency_s: float
    ttft_s: float | None
    tokens_in: int | None
    tokens_out: int | None
    finish_reason: str | None
    response_model: str | None
    as_approved: bool | None
    application: str
    guardrails: tuple[str, ...] | None = None
    language: str | None = None
    unguarded: bool = False
    operation: str = CHAT


class Feedback(msgspec.Struct, frozen=True, tag_field="kind", tag="feedback", gc=False, kw_only=True):
    """What somebody thought of a completion: 1 is good, 0 is bad.

    `matched` tells whether this gateway still knew the call; where it did not, the fields of the call
    are None and the server finds it by its completion id.
    """

    at: datetime
    environment: str
    completion_id: str
    value: float
    comment: str | None
    matched: bool
    route: str | None = None
    variant: str | None = None
    version: str | None = None
    unit: str | None = None
    called_at: datetime | None = None
    application: str


class Exposure(msgspec.Struct, frozen=True, tag_field="kind", tag="exposure", gc=False, kw_only=True):
    """A decision that an application acted on without the gateway."""

    at: datetime
    environment: str
    route: str
    variant: str
    serial: int
    rule: str | None
    reason: str
    rollout: str | None
    unit: str


class Sample(msgspec.Struct, frozen=True, tag_field="kind", tag="sample", gc=False, kw_only=True):
    """Question and answer of a sampled call, redacted and sealed to the server's key under the name `id`.

    `n_redacted` places were struck out; `is_cut` tells whether a text was too long.
    """

    id: str
    at: datetime
    environment: str
    route: str
    variant: str
    version: str
    rule: str | None
    reason: str
    rollout: str | None
    unit: str
    completion_id: str | None
    sealed: str
    n_redacted: int
    is_cut: bool


Row = Call | Feedback | Exposure | Sample


def hash_unit(key: bytes, unit: str) -> str:
    """Hash a unit's id so that only who holds the key (32 bytes) can tell who it was."""
    return blake2b(unit.encode("utf-8", "surrogatepass"), key=key, digest_size=16).hexdigest()


class Sink(Protocol):
    """Where batches go."""

    def __call__(self, batch: str, body: bytes) -> int:
        """Deliver one batch and give the HTTP status; raises httpx.HTTPError where nobody answers."""
        ...


class HttpSink:
    """POST batches to a server."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        tls: ssl.SSLContext | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._url = url.rstrip("/") + "/v1/observations"
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        if tls is None and self._url.startswith("http:"):
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # reading all certificates takes 40 to 130 ms
        self._http = httpx.Client(headers=headers, timeout=10.0, verify=tls or True, transport=transport)

    def __call__(self, batch: str, body: bytes) -> int:
        """Deliver one batch."""
        headers = {"idempotency-key": batch, "content-length": str(len(body))}
        # An answer of httpx is in a cycle with its request: given whole, megabytes wait for the collector.
        return self._http.post(self._url, content=iter((body,)), headers=headers).status_code

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


@dataclass(frozen=True, slots=True)
class Pace:
    """How much is kept, how often it goes out, and by which clock (seconds that never step back)."""

    capacity: int = 200_000
    batch_rows: int = 4_000
    interval_s: float = 1.0
    now: Callable[[], float] = time.monotonic


class Observations:
    """Take rows without waiting and deliver them from a thread of their own.

    A batch goes to disk before it is sent, so only rows in memory (those of one interval) can be lost when
    the process is killed; the next one that opens the folder reports how many those were.
    `add` is safe from any thread. `on_batch` sees each batch's rows before they leave. `make`, where it is
    given, turns what was added into a row, in that thread; None counts as lost.
    """

    def __init__(
        self,
        sink: Sink,
        spool: Spool,
        labels: Mapping[str, str],
        pace: Pace = Pace(),
        on_batch: Callable[[Sequence[Row]], None] | None = None,
        *,
        make: Callable[[Any], Row | None] | None = None,
    ) -> None:
        self._sink, self._spool, self._pace, self._on_batch = sink, spool, pace, on_batch
        self._make = make
        self._labels = dict(labels)
        self.instance = secrets.token_hex(8)
        self.n_delivered = 0
        self._life = Life.begin(spool.folder, self.instance)
        self._adopted = False
        self._ring: deque[Any] = deque()
        self._lock = threading.Lock()
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._pause_s, self._retry_at = 0.0, 0.0

    def start(self) -> None:
        """Start the delivering thread."""
        self._thread = threading.Thread(target=self._deliver_until_closed, name="observations", daemon=True)
        self._thread.start()

    def add(self, row: Any) -> None:
        """Take one row, or what `make` makes one of; a full ring drops it and counts it."""
        with self._lock:
            if len(self._ring) >= self._pace.capacity:
                self._life.n_dropped += 1
                return
            self._life.take()
            self._ring.append(row)
        if len(self._ring) == self._pace.batch_rows:
            self._wake.set()

    def close(self) -> None:
        """Deliver or spool what is left, and end the thread."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=15)
        if self._thread is None or not self._thread.is_alive():
            self._life.end()

    @property
    def n_dropped(self) -> int:
        """Give the number of rows that this instance has lost."""
        return self._life.n_dropped

    @property
    def n_waiting(self) -> int:
        """Give the number of batches on disk."""
        return len(self._spool)

    def _deliver_until_closed(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(self._pace.interval_s)
            self._wake.clear()
            self.flush()
        self.flush()
        while self._ring:
            self.flush()

    def flush(self) -> None:
        """Move what the ring holds to disk, and send what waits there, oldest first.

        What comes meanwhile waits for the next turn: a batch of few rows costs as much as one of many.
        """
        if not self._adopted:
            self._guarded(self._report_the_dead)
        n_left = len(self._ring)
        while n_left:
            rows = self._take(min(n_left, self._pace.batch_rows))
            n_left -= len(rows)
            if self._on_batch is not None:
                self._guarded(self._on_batch, rows)
            self._guarded(self._keep, rows)
            self._guarded(self._send_spooled)
        self._guarded(self._send_spooled)

    def _guarded(self, step: Callable[..., None], *arguments: object) -> None:
        """Keep the thread alive whatever a disk or a server does."""
        try:
            step(*arguments)
        except Exception:
            log.exception("observations: a step of the delivery failed")

    def _report_the_dead(self) -> None:
        """Report what earlier processes, killed without warning, had in memory."""
        self._adopted = True
        for life in Life.dead(self._spool.folder):
            if life.n_lost:
                log.warning("observations: %d rows were lost when a process was killed", life.n_lost)
            batch = _new_batch()
            self._spool.put(batch, 0, self._body(batch, life.instance, life.n_lost + life.n_dropped, ()))
            life.end()

    def _take(self, n: int) -> list[Any]:
        return [self._ring.popleft() for _ in range(n)]

    def _body(self, batch: str, instance: str, n_dropped: int, rows: Sequence[Row]) -> bytes:
        head = {"batch": batch, "instance": instance, **self._labels, "n_dropped": n_dropped}
        return _encode({**head, "observations": rows})

    def _keep(self, rows: list[Any]) -> None:
        """Make rows durable; where the disk refuses them, the server may still take them."""
        batch, n_taken = _new_batch(), len(rows)
        if self._make is not None:
            rows = [row for row in map(self._make, rows) if row is not None]
            self.lose(n_taken - len(rows))
        body = self._body(batch, self.instance, self.n_dropped, rows)
        self._life.settles(batch, n_taken)
        try:
            self.lose(self._spool.put(batch, len(rows), body))
        except OSError as error:
            if not self._delivered(batch, len(rows), body):
                self.lose(len(rows))
                log.error("observations: %d rows lost, the spool cannot be written: %s", len(rows), error)  # noqa: TRY400 -- the cause is in the text
        self._life.settled(n_taken)

    def lose(self, n_rows: int) -> None:
        """Count rows that are lost."""
        with self._lock:
            self._life.n_dropped += n_rows

    def _send_spooled(self) -> None:
        while (waiting := self._spool.first()) is not None:
            if not self._delivered(*waiting):
                return
            self._spool.drop_first()

    def _delivered(self, batch: str, n_rows: int, body: bytes) -> bool:
        """Tell whether the server has taken the batch, or will never take it."""
        if self._pace.now() < self._retry_at:
            return False
        try:
            status = self._sink(batch, body)
        except (httpx.HTTPError, OSError) as error:
            self._back_off(f"no answer: {error!r}")
            return False
        if status in _HOPELESS:
            self.lose(n_rows)
            log.error("observations: the server refuses batch %s for good: %d", batch, status)
        elif not 200 <= status < 300:  # noqa: PLR2004 -- the 2xx class
            self._back_off(f"status {status}")
            return False
        else:
            self.n_delivered += n_rows
        self._pause_s = self._retry_at = 0.0
        return True

    def _back_off(self, why: str) -> None:
        if not self._pause_s:
            log.warning("observations: kept on disk until the server takes them (%s)", why)
        self._pause_s = min(_LONGEST_PAUSE_S, max(_FIRST_PAUSE_S, self._pause_s * 2))
        self._retry_at = self._pace.now() + self._pause_s


def _new_batch() -> str:
    return f"{time.time_ns():016x}{secrets.token_hex(4)}"


def load_unit_key(path: Path, given: str | None = None) -> bytes:
    """Give the 32-byte key of unit hashes: derived from `given`, else kept in a file of this installation.

    Gateways that serve one environment must share it (`given`), or one person counts as several units.
    """
    if given:
        return blake2b(given.encode(), digest_size=32).digest()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        durable.replace(path, os.urandom(32))
    return path.read_bytes()
