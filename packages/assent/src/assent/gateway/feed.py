"""Bring snapshots from the server: by push, by asking now and then, and from disk when it is away.

The stream `GET …/snapshot/stream` is server-sent events; an event `snapshot` carries the envelope, or
`{"serial": n}`, which makes the gateway ask for it. Comments keep the stream alive.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx

from assent.gateway.settings import GatewaySettings
from assent_client.errors import Invalid
from assent_client.sampling import TAKES
from assent_client.snapshot import Root, Scope, Snapshot, SnapshotRefused
from assent_client.store import SnapshotStore, pin_root, read_root

log = logging.getLogger(__name__)

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 10.0
_SILENCE_S = 45.0
"""A stream that sends not even a comment for so long is dead."""


class Feed:
    """Keep the store current and hand every new snapshot on."""

    def __init__(
        self, settings: GatewaySettings, tls: ssl.SSLContext, on_snapshot: Callable[[Snapshot], None]
    ) -> None:
        self._settings = settings
        self._on_snapshot = on_snapshot
        self._store: SnapshotStore | None = None
        self._etag: str | None = None
        self._acknowledged: tuple[int, int] | None = None
        self._trouble = ""
        self._news = asyncio.Event()
        """Set where a snapshot may be served that is not on the disk or not acknowledged yet."""
        base = f"/v1/projects/{settings.project}/environments/{settings.environment}/snapshot"
        self._path, self._stream_path = f"{base}?audience=gateway", f"{base}/stream?audience=gateway"
        self._acks_path = f"{base}/acks"
        self._http = httpx.AsyncClient(
            base_url=settings.server_url.rstrip("/"),
            headers={"authorization": f"Bearer {settings.token}", **TAKES},
            verify=tls,
            timeout=httpx.Timeout(10.0, connect=3.0, read=_SILENCE_S),
        )

    def open(self) -> None:
        """Take up the pinned root and the snapshot on disk, if both are there.

        Raises: Invalid where the root document is damaged or missing though named.
        """
        path = self._settings.root_path or self._pinned
        root = read_root(path)
        if root is not None:
            self._trust(root)
        elif self._settings.root_path is not None:
            raise Invalid(
                f"There is no root document at {path}.",
                remedy="Name the file that the server's operator gave you.",
            )

    def _current(self) -> Snapshot | None:
        return None if self._store is None else self._store.current

    @property
    def _pinned(self) -> Path:
        return self._settings.common_dir / "root.json"

    def _trust(self, root: Root) -> None:
        settings = self._settings
        scope = Scope(settings.project, settings.environment, "gateway")
        self._store = SnapshotStore(settings.data_dir, root, scope)
        snapshot = self._store.load() or self._borrowed(self._store)
        if snapshot is not None:
            log.info("gateway: serving serial %d from disk", snapshot.payload.serial)
            self._on_snapshot(snapshot)

    def _borrowed(self, store: SnapshotStore) -> Snapshot | None:
        """Take up the copy of another worker where this one has none: the server may be away."""
        if self._settings.shared_dir is None:
            return None
        for path in sorted(self._settings.shared_dir.glob(f"worker-*/{store.file_name}")):
            try:
                store.offer(path.read_bytes())
            except (OSError, SnapshotRefused) as error:
                log.warning("gateway: %s is of no use: %s", path, error)
        return store.current

    async def run(self) -> None:
        """Follow the server until cancelled."""
        try:
            async with self._http, asyncio.TaskGroup() as group:
                group.create_task(self._follow())
                group.create_task(self._settle())
                group.create_task(self._check())
        finally:
            if self._store is not None:
                self._store.keep()

    async def _follow(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                await self._fetch()
                self._news.set()  # what came from disk is not acknowledged yet
                if await self._listen():
                    pause_s = _FIRST_PAUSE_S
            except (httpx.HTTPError, OSError, Invalid) as error:
                self._report(f"{self._settings.server_url}: {error!r}")
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 -- spreads reconnects, no secret
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)

    async def _check(self) -> None:
        """Ask every `poll_s` whether the stream has kept us current: a stream may die silently."""
        while True:
            await asyncio.sleep(self._settings.poll_s)
            try:
                before = self._current()
                await self._fetch()
                after = self._current()
                if before is not None and after is not before:
                    log.warning("gateway: a newer snapshot was found by asking, not by the stream")
                self._news.set()  # an acknowledgement that failed is tried again
            except (httpx.HTTPError, OSError, Invalid) as error:
                self._report(f"{self._settings.server_url}: {error!r}")
            self._alarm_if_stale()

    def _alarm_if_stale(self) -> None:
        current = self._current()
        if current is not None and (stale_s := current.stale_s(datetime.now(UTC))) > 0:
            log.error(
                "gateway: serial %d expired %.0f s ago and is still served", current.payload.serial, stale_s
            )

    async def _fetch(self) -> None:
        if self._store is None:
            await self._pin()
        headers = {"if-none-match": self._etag} if self._etag else {}
        answer = await self._http.get(self._path, headers=headers)
        if answer.status_code == httpx.codes.NOT_MODIFIED:
            return
        answer.raise_for_status()
        self._offer(answer.content)
        self._etag = answer.headers.get("etag")

    async def _pin(self) -> None:
        """Trust the server's root document on first use, and only it from then on."""
        answer = await self._http.get("/ledger/root")
        answer.raise_for_status()
        known = read_root(self._pinned)  # another worker may have been first
        self._trust(known or pin_root(self._pinned, answer.content))

    async def _listen(self) -> bool:
        """Follow the stream to its end, and tell whether it gave anything."""
        was_alive = False
        async with self._http.stream("GET", self._stream_path) as answer:
            answer.raise_for_status()
            event, data = "", []
            async for line in answer.aiter_lines():
                if not was_alive:
                    was_alive = True
                    self._recovered()
                if line.startswith("event:"):
                    event = line[6:].strip()
                elif line.startswith("data:"):
                    data.append(line[5:].strip())
                elif not line and data:
                    await self._on_event(event, "\n".join(data).encode())
                    event, data = "", []
        return was_alive

    async def _on_event(self, event: str, data: bytes) -> None:
        if event != "snapshot":
            return
        if b'"payload"' in data:
            self._offer(data)
        else:
            await self._fetch()

    def _offer(self, envelope: bytes) -> None:
        """Serve a snapshot at once; neither the disk nor an acknowledgement may hold up the next one."""
        store = self._store
        if store is None:
            return
        before = store.current
        try:
            snapshot = store.take(envelope)
        except SnapshotRefused:
            return  # the store has logged why; the last good one serves on
        if snapshot is not before:
            self._on_snapshot(snapshot)
            self._news.set()

    async def _settle(self) -> None:
        """Write each new snapshot to the disk, beside the calls, and then acknowledge it."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self._store is not None:
                await asyncio.to_thread(self._store.keep)
            current = self._current()
            if current is not None and current.position != self._acknowledged:
                await self._acknowledge(current)

    async def _acknowledge(self, snapshot: Snapshot) -> None:
        epoch, serial = snapshot.position
        body = {"gateway": self._settings.name, "epoch": epoch, "serial": serial}
        try:
            answer = await self._http.post(self._acks_path, json=body)
            answer.raise_for_status()
        except (httpx.HTTPError, OSError) as error:
            self._report(f"serial {snapshot.payload.serial} is in use but not acknowledged: {error!r}")
        else:
            self._acknowledged = snapshot.position

    def _report(self, trouble: str) -> None:
        if trouble != self._trouble:
            log.warning("gateway: %s", trouble)
        self._trouble = trouble

    def _recovered(self) -> None:
        if self._trouble:
            log.info("gateway: the server answers again")
        self._trouble = ""
