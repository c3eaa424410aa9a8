"""Follow a server's snapshots from a thread: by stream, and by asking where the stream fails."""

from __future__ import annotations

import logging
import random
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import httpx

from assent_client.errors import AssentError, Unavailable
from assent_client.sampling import TAKES

log = logging.getLogger(__name__)

_FIRST_PAUSE_S: Final = 0.2
_SILENCE_S: Final = 45.0
"""The server sends a comment every 15 s; a stream that is silent for so long is dead."""

Take = Callable[[bytes, httpx.Client], None]


def read_events(lines: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Give (event, data) of server-sent events; comments and other fields are passed over."""
    event, data = "", []
    for line in lines:
        if line.startswith("event:"):
            event = line[6:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].strip())
        elif not line and data:
            yield event, "\n".join(data).encode()
            event, data = "", []


class Follower:
    """One thread that hands every new snapshot to `take`; `arrived` is set with the first good one."""

    def __init__(self, url: str, token: str, path: str, poll_s: float, take: Take) -> None:
        self.arrived = threading.Event()
        self._path = path
        self._poll_s = poll_s
        self._take = take
        self._etag: str | None = None
        self._trouble = ""
        self.on_reach: Callable[[str | None], None] = lambda _: None
        self._is_away = False
        self._closing = threading.Event()
        self._offering = threading.Lock()
        self._stream: httpx.Response | None = None
        self._http = httpx.Client(
            base_url=url.rstrip("/"),
            params={"audience": "sdk"},
            headers={"authorization": f"Bearer {token}", **TAKES},
            timeout=httpx.Timeout(10.0, connect=3.0, read=_SILENCE_S),
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if url.startswith("http:") else True,
        )  # reading all certificates takes 40 to 130 ms; a plain address needs none
        self._thread = threading.Thread(target=self._run, name="snapshots", daemon=True)

    def start(self) -> None:
        """Start following."""
        self._thread.start()

    def close(self) -> None:
        """Stop following."""
        self._closing.set()
        stream = self._stream
        if stream is not None:
            _wake(stream)
        self._thread.join(timeout=5)
        self._http.close()

    def refresh(self) -> None:
        """Ask for the snapshot now, in the caller's thread. Raises: Unavailable, or what refuses it."""
        try:
            self._fetch()
        except (httpx.HTTPError, OSError) as error:
            raise Unavailable(
                f"{self._http.base_url} gave no snapshot: {error}",
                remedy="See why the server does not answer; what was known serves on.",
            ) from error

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._closing.is_set():
            has_answered = False
            try:
                self._fetch()
                has_answered = True
                self._reach(None)
                if self._listen():
                    pause_s = _FIRST_PAUSE_S
            except (httpx.HTTPError, OSError, AssentError) as error:
                self._report(repr(error))
                if not has_answered and not isinstance(error, AssentError):
                    self._reach(repr(error))
            self._closing.wait(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 -- spreads reconnects, no secret
            pause_s = min(self._poll_s, pause_s * 2)

    def _fetch(self) -> None:
        headers = {"if-none-match": self._etag} if self._etag else {}
        answer = self._http.get(self._path, headers=headers)
        if answer.status_code == httpx.codes.NOT_MODIFIED:
            return
        answer.raise_for_status()
        self._offer(answer.content)
        self._etag = answer.headers.get("etag")

    def _listen(self) -> bool:
        """Follow the stream to its end, and tell whether it was alive."""
        was_alive = False
        with self._http.stream("GET", f"{self._path}/stream") as answer:
            answer.raise_for_status()
            self._stream = answer
            if self._closing.is_set():  # `close` looked for the stream before there was one
                return was_alive
            try:
                for event, envelope in read_events(answer.iter_lines()):
                    was_alive = True
                    self._trouble = ""
                    if event == "snapshot":
                        self._offer(envelope)
            finally:
                self._stream = None
        return was_alive

    def _offer(self, envelope: bytes) -> None:
        with self._offering:
            self._take(envelope, self._http)
        self.arrived.set()

    def _reach(self, trouble: str | None) -> None:
        """Say once that the server went away (why), and once that it is back (None)."""
        is_away = trouble is not None
        if is_away != self._is_away and not self._closing.is_set():
            self._is_away = is_away
            self.on_reach(trouble)

    def _report(self, trouble: str) -> None:
        if trouble != self._trouble and not self._closing.is_set():
            log.warning("snapshots of %s: %s", self._http.base_url, trouble)
        self._trouble = trouble


def _wake(stream: httpx.Response) -> None:
    """Shut the stream's socket, so that the thread reading it returns at once."""
    connection = stream.extensions["network_stream"].get_extra_info("socket")
    if connection is not None:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            log.debug("snapshots: the stream had already ended: %s", error)
