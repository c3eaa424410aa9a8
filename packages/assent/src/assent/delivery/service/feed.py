"""Keep the signed snapshots of this process current, and hand each change to whoever listens.

A change reaches the feed by the signal of this process, or, when another process committed it, by
PostgreSQL's NOTIFY or by SQLite's data version, looked at every 20 ms. No queue stands between.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

from assent.delivery.service.snapshots import Issue, Scope, compile_snapshot
from assent.delivery.service.watch import watch_of
from assent.kernel.announcing import TOPIC
from assent.kernel.errors import AssentError
from assent.kernel.runtime import Runtime
from assent.kernel.tx import Reader
from assent.ledger import service as ledger

log = logging.getLogger(__name__)

__all__ = ["TOPIC", "Feed"]

LOOK_ANYWAY_S = 1.0
LEAVES_PER_LOOK = 1000
HEAD_START_S = 0.03
"""How long applications wait while gateways, which carry the traffic, take up a new snapshot."""
CALLS_AT_ONCE = 25
PAUSE_S = 0.002
"""After so many listeners, the requests of this process get their turn."""
REISSUE_AT = 0.5
"""Share of its life after which a snapshot is issued anew."""

RELEVANT = ("delivery.", "flags.", "identity.key.", "providers.", "registry.", "retirement.")

Listener = Callable[[Issue], None]


class Feed:
    """Current snapshots by scope; one thread watches while somebody subscribes."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self._compiling = threading.Lock()
        self._issues: dict[Scope, tuple[int, Issue]] = {}
        self._listeners: dict[Scope, list[Listener]] = {}
        self._wake = threading.Event()
        self._watch: threading.Thread | None = None

    def current(self, scope: Scope) -> Issue:
        """Give the snapshot in force, compiled again only if something in it may have changed or it ages.

        Raises: NotFound, Frozen.
        """
        with self._compiling, self._runtime.session.read() as reader:
            seen, issue = self._issues.get(scope, (0, None))
            size = ledger.head(reader).size
            if issue is None or self._ages(issue) or (size != seen and self._touched(reader, scope, seen)):
                signer = self._runtime.signers.snapshot
                issue = compile_snapshot(reader, scope, signer, self._runtime.settings.snapshot_ttl_s)
                for reason in issue.omitted:
                    log.error("left out of the snapshot of %s: %s", scope.environment, reason.message)
            self._issues[scope] = (size, issue)
            return issue

    def subscribe(self, scope: Scope, listener: Listener) -> Callable[[], None]:
        """Call `listener`, on the feed's thread, with each new snapshot of a scope; gives what ends it.

        It must not raise.
        """
        with self._lock:
            self._listeners.setdefault(scope, []).append(listener)
            if self._watch is None:
                self._watch = threading.Thread(target=self._run, daemon=True, name="delivery-feed")
                self._watch.start()

        def end() -> None:
            with self._lock:
                self._listeners[scope].remove(listener)
                if not self._listeners[scope]:
                    del self._listeners[scope]
            self._wake.set()

        return end

    def _ages(self, issue: Issue) -> bool:
        life = issue.expires_at - issue.issued_at
        due = issue.issued_at + timedelta(seconds=REISSUE_AT * life.total_seconds())
        return self._runtime.clock.now() >= min(due, issue.renew_at or due)

    def _touched(self, reader: Reader, scope: Scope, seen: int) -> bool:
        leaves = ledger.leaves(reader, seen, LEAVES_PER_LOOK)
        return len(leaves) == LEAVES_PER_LOOK or any(
            leaf.type.startswith(RELEVANT) and leaf.project in {None, scope.project} for leaf in leaves
        )

    def _run(self) -> None:
        end_signal = self._runtime.signals.subscribe(TOPIC, self._wake.set)
        try:
            while self._goes_on():
                try:
                    self._follow()
                except Exception:
                    # A feed that dies silently leaves gateways on old routes: it says so and begins again.
                    log.exception("the watch on the database broke; looking again")
                    self._wake.wait(LOOK_ANYWAY_S)
        finally:
            end_signal()

    def _follow(self) -> None:
        watch = watch_of(self._runtime.session.engine)
        known: dict[Scope, str] = {}
        try:
            while self._goes_on():
                if watch.wait(self._wake, LOOK_ANYWAY_S):
                    self._wake.clear()
                self._publish(known)
        finally:
            watch.close()

    def _goes_on(self) -> bool:
        with self._lock:
            mine = self._watch is threading.current_thread()
            if mine and not self._listeners:
                self._watch = None
            return mine and bool(self._listeners)

    def _publish(self, known: dict[Scope, str]) -> None:
        with self._lock:
            listeners = [(scope, list(calls)) for scope, calls in self._listeners.items()]
        # Hundreds of applications may listen; the few gateways that carry the traffic do not wait for them.
        told_gateways = False
        for scope, calls in sorted(listeners, key=lambda one: one[0].audience != "gateway"):
            if told_gateways and scope.audience != "gateway":
                self._wake.wait(HEAD_START_S)
                told_gateways = False
            try:
                issue = self.current(scope)
            except AssentError as error:
                log.warning("no new snapshot of %s: %s", scope.environment, error.message)
                continue
            if known.get(scope) != issue.etag:
                known[scope] = issue.etag
                told_gateways = told_gateways or scope.audience == "gateway"
                self._tell(calls, issue)

    def _tell(self, calls: Sequence[Listener], issue: Issue) -> None:
        for i, call in enumerate(calls, 1):
            call(issue)
            if i % CALLS_AT_ONCE == 0:
                self._wake.wait(PAUSE_S)
