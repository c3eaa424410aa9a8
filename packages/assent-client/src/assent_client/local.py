"""What a client has in memory, and what keeps it current, whether its owner waits or awaits."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import httpx
import msgspec

from assent_client.calls.core import About, Core
from assent_client.calls.feedback import Thumb
from assent_client.calls.places import Upstream
from assent_client.calls.sampling import Samples, Taken
from assent_client.calls.transport import AsyncTransport, Transport
from assent_client.decide import Decision
from assent_client.errors import AssentError, Conflict, Gone, Invalid, NotFound, Unavailable
from assent_client.feed import Follower
from assent_client.flags import Flag, Flags, Unit
from assent_client.observe import Exposure, HttpSink, Observations, Row, hash_unit, load_unit_key
from assent_client.pinned import choose
from assent_client.rendering import Prompt, Renderer
from assent_client.settings import ClientSettings, Listen, Notice
from assent_client.snapshot import Scope, Snapshot, SnapshotRefused, Version
from assent_client.spool import Spool
from assent_client.store import SnapshotStore, pin_root, read_root

log = logging.getLogger(__name__)

_NO_UPSTREAMS: Final[Mapping[str, Upstream]] = {}
_NO_CONTEXT: Final[Mapping[str, Any]] = {}


class Local:
    """Decisions from the current snapshot, kept current by a thread; safe in threads and after forks.

    What is public here is memory only, so it never waits; what waits is private, for clients to wrap.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._store: SnapshotStore | None = None
        self._follower: Follower | None = None
        self._observations: Observations | None = None
        self._samples: Samples | None = None
        self._sink: HttpSink | None = None
        self._listeners: tuple[Listen, ...] = ()
        self.flags = Flags(
            lambda: None if self._store is None else self._store.current,
            lambda name, chosen, unit: self.expose(name, chosen, unit=unit),
        )
        self._unit_key = b""
        self._core: Core | None = None
        self._renderer = Renderer()

    # decisions

    def decide(self, name: str, *, unit: str, context: Mapping[str, Any] = _NO_CONTEXT) -> Decision:
        """Say which variant a unit gets.

        Raises: Unavailable (no snapshot yet), NotFound, Gone (retired).
        """
        store = self._store
        snapshot = None if store is None else store.current
        if snapshot is None:
            raise self._no_snapshot()
        route = snapshot.routes.get(name)
        if route is None or name in snapshot.payload.gone:
            raise _missing(name, snapshot)
        return route(unit, context)

    def _no_snapshot(self) -> Unavailable:
        return Unavailable(
            f"There is no snapshot of {self.settings.environment} yet.",
            remedy="Wait with `client.wait()`, or look into the log for what keeps it away.",
        )

    def prompt(
        self,
        name: str,
        variables: Mapping[str, Any] = _NO_CONTEXT,
        *,
        unit: str | None = None,
        context: Mapping[str, Any] = _NO_CONTEXT,
    ) -> Prompt:
        """Render the prompt that a unit gets, or, without one, the stable version.

        `name` is that of a prompt, or of a system whose version pins one. The exposure of a unit is recorded
        as by `feature_enabled`. Raises: Unavailable (no snapshot yet), NotFound, Gone (retired), Conflict
        (systems pin different versions of it), Invalid (the variables do not fit).
        """
        snapshot = self.snapshot
        if snapshot is None:
            raise self._no_snapshot()
        pinned = choose(snapshot, name, unit, context)
        prompt = self._renderer.render(pinned, variables)
        if unit is not None and pinned.decision is not None:
            self.flags.expose_once(pinned.route, unit, pinned.decision)
        return prompt

    def feedback(
        self, completion_id: str, value: float | Literal["up", "down"], comment: str | None = None
    ) -> bool:
        """Say what somebody thought of an answer (1 is good, 0 is bad), by the id that the answer has.

        Tells whether this process made the call; else the server finds it. Raises: Invalid, Conflict.
        """
        told = {"completion_id": completion_id, "value": value, "comment": comment}
        try:
            thumb = msgspec.convert(told, Thumb)
        except msgspec.ValidationError as error:
            raise Invalid(f"This is no feedback: {error}.") from None
        return self._opened().feedback(thumb)

    def feature_enabled(
        self,
        name: str,
        *,
        user: Unit | None = None,
        organisation: Unit | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> bool:
        """Tell whether a boolean flag is on for somebody; False on any doubt, and it never raises.

        The exposure is recorded the first time that a unit gets this answer in the life of the process.
        """
        return self.flags.get(name, False, user, organisation, context).value is True

    def flag(
        self,
        name: str,
        default: Any,
        *,
        user: Unit | None = None,
        organisation: Unit | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Flag:
        """Give a flag's value and the reason; the default where there is doubt, or where the type differs.

        What the flag sticks to is looked up among user, organisation and the context. The exposure is
        recorded as by `feature_enabled`.
        """
        return self.flags.get(name, default, user, organisation, context)

    def version(self, name: str, decision: Decision) -> Version:
        """Give the version that a decision of a model's or prompt's route names.

        Raises: NotFound for a flag, or where a newer snapshot has dropped the version.
        """
        snapshot = self.snapshot
        versions = snapshot.payload.versions if snapshot is not None else {}
        version = versions.get(decision.value) if isinstance(decision.value, str) else None
        if version is None:
            raise NotFound(f"{name} gives no version for the variant {decision.variant}.")
        return version

    def expose(self, name: str, decision: Decision, *, unit: str) -> None:
        """Record that the application acted on a decision."""
        snapshot = self.snapshot
        if snapshot is None or decision.variant is None:
            return
        route = snapshot.payload.routes.get(name, {})
        self._observe(
            Exposure(
                at=datetime.now(UTC),
                environment=self.settings.environment,
                route=name,
                variant=decision.variant,
                serial=snapshot.payload.serial,
                rule=decision.rule,
                reason=decision.reason,
                rollout=route.get("rollout"),
                unit=hash_unit(self._unit_key, unit),
            )
        )

    # calls by the clients of model libraries

    def http_client(
        self,
        transport: Callable[[], Any] = httpx.HTTPTransport,
        *,
        upstreams: Mapping[str, Upstream] = _NO_UPSTREAMS,
    ) -> Any:
        """Give a client of httpx, or of httpx2, that takes `model` for a governed name.

        `transport` makes what sends, such as `httpx2.HTTPTransport`. `upstreams` are the application's own
        addresses and keys by the names of providers; a provider at the address of the library's own client
        needs none. Raises: Conflict (the client is not open), TypeError.
        """
        governed = Transport(self._opened(), transport, upstreams)
        return governed.library.module.Client(transport=governed)

    def async_http_client(
        self,
        transport: Callable[[], Any] = httpx.AsyncHTTPTransport,
        *,
        upstreams: Mapping[str, Upstream] = _NO_UPSTREAMS,
    ) -> Any:
        """Give the same for callers that await. Raises: Conflict (the client is not open), TypeError."""
        governed = AsyncTransport(self._opened(), transport, upstreams)
        return governed.library.module.AsyncClient(transport=governed)

    def _opened(self) -> Core:
        if self._core is None:
            raise self._closed()
        return self._core

    @staticmethod
    def _closed() -> Conflict:
        return Conflict("This client is not open.", remedy="Start it: await client.start()")

    def _observe(self, row: Row) -> None:
        observations = self._observations
        if observations is not None:
            observations.add(row)

    def _sample(self, taken: Taken) -> None:
        samples = self._samples
        if samples is not None:
            samples.take(taken)

    @property
    def snapshot(self) -> Snapshot | None:
        """Give the snapshot in use."""
        return None if self._store is None else self._store.current

    @property
    def trouble(self) -> str | None:
        """Say why the last snapshot, or the copy on disk, was kept out; None where nothing is wrong."""
        return None if self._store is None else self._store.trouble

    def listen(self, hear: Listen) -> Callable[[], None]:
        """Have `hear` called with each notice, from a thread of the client; gives what ends it."""
        with self._lock:
            self._listeners = (*self._listeners, hear)

        def stop() -> None:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not hear)

        return stop

    # opening, waiting, closing

    def _open(self) -> None:
        """Take up what is on disk, and start following."""
        settings = self.settings
        self._unit_key = load_unit_key(settings.data_dir / "unit.key", settings.unit_key)
        about = About(
            server_url=settings.url,
            environment=settings.environment,
            application=settings.application,
            unit_key=self._unit_key,
            max_staleness_s=settings.max_staleness_s,
        )
        self._core = Core(lambda: self.snapshot, self._observe, about, take=self._sample)
        root = read_root(self._root_path)
        if root is not None:
            self._load(root)
        self._start()
        _clients.add(self)

    def _close(self) -> None:
        """Stop following, and send what was observed."""
        _clients.discard(self)
        with self._lock:
            follower, self._follower = self._follower, None
            observations, self._observations = self._observations, None
            samples, self._samples = self._samples, None
        if follower is not None:
            follower.close()
        if observations is not None:
            observations.close()
        if samples is not None:
            samples.close()
        if self._sink is not None:
            self._sink.close()

    def _wait(self, timeout_s: float) -> bool:
        """Wait for a first snapshot, and tell whether there is one."""
        follower = self._follower
        return self.snapshot is not None or (follower is not None and follower.arrived.wait(timeout_s))

    def _refresh(self) -> None:
        """Ask for the snapshot now. Raises: Conflict (not open), Unavailable, SnapshotRefused."""
        follower, before = self._follower, self.snapshot
        if follower is None:
            raise self._closed()
        try:
            follower.refresh()
        except SnapshotRefused:
            if self.snapshot is before:  # else the stream brought a newer one meanwhile
                raise

    # keeping current

    @property
    def _root_path(self) -> Path:
        return self.settings.root_path or self.settings.data_dir / "root.json"

    def _load(self, root: Any) -> SnapshotStore:
        scope = Scope(self.settings.project, self.settings.environment, "sdk")
        store = SnapshotStore(self.settings.data_dir, root, scope)
        store.load()
        self._store = store
        return store

    def _start(self) -> None:
        """Start the threads of this process."""
        settings = self.settings
        base = f"/v1/projects/{settings.project}/environments/{settings.environment}/snapshot"
        self._follower = Follower(settings.url, settings.token, base, settings.poll_s, self._take)
        self._follower.on_reach = self._reached
        self._follower.start()
        if settings.observe:
            self._sink = HttpSink(settings.url, settings.token)
            labels = {"project": settings.project, "environment": settings.environment}
            spool = Spool(settings.data_dir / "observations")
            self._observations = Observations(self._sink, spool, labels)
            self._observations.start()
            self._samples = Samples(self._sink, settings.data_dir / "samples", labels)
            self._samples.start()

    def _take(self, envelope: bytes, http: httpx.Client) -> None:
        """Offer a snapshot to the store; the first one may need the root document. Raises: AssentError."""
        with self._lock:
            store = self._store
            if store is None:
                answer = http.get("/ledger/root")
                answer.raise_for_status()
                store = self._load(pin_root(self._root_path, answer.content))
            before = store.current
        try:
            after = store.offer(envelope)
        except AssentError as error:
            self._tell(Notice("refused", error.message))
            raise
        if before is None or (names := _changed(before, after)):
            self._tell(Notice("changed", names=tuple(after.routes) if before is None else names))

    def _reached(self, trouble: str | None) -> None:
        self._tell(Notice("reached") if trouble is None else Notice("stale", trouble))

    def _tell(self, notice: Notice) -> None:
        for hear in self._listeners:
            try:
                hear(notice)
            except Exception:  # an application's fault must not end the thread that brings rollbacks
                log.exception("a listener failed on %s", notice.kind)

    def _after_fork(self) -> None:
        """Replace the parent's threads, locks and sockets; the snapshot in memory stays good."""
        self._lock = threading.Lock()
        self.flags.after_fork()
        if self._core is not None:
            self._core.after_fork()
        if self._follower is not None:
            self._start()


def _changed(before: Snapshot, after: Snapshot) -> tuple[str, ...]:
    """Name the routes that may decide otherwise than before."""
    old, new = before.payload, after.payload
    names = old.routes.keys() | new.routes.keys()
    if old.segments == new.segments:
        moved = {name for name in names if old.routes.get(name) != new.routes.get(name)}
        names = moved | set(old.gone.keys() ^ new.gone.keys())
    return tuple(sorted(names))


def _missing(name: str, snapshot: Snapshot) -> AssentError:
    gone = snapshot.payload.gone.get(name)
    if gone is None:
        return NotFound(f"No approved version of {name!r} is live in {snapshot.payload.environment}.")
    message = f"{name} is not served: {gone.reason}."
    remedy = f"Use {gone.successor}." if gone.successor else None
    return Gone(message, remedy=remedy) if gone.status == 410 else NotFound(message, remedy=remedy)  # noqa: PLR2004 -- HTTP's Gone


_clients: weakref.WeakSet[Local] = weakref.WeakSet()


def _restart_all() -> None:
    for client in list(_clients):
        client._after_fork()  # noqa: SLF001 -- the hook belongs to the class


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_all)
