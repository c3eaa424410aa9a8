"""Keep the last good snapshot on disk, and never step back behind it."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import msgspec

from assent_client import durable
from assent_client.errors import Unavailable
from assent_client.snapshot import Root, Scope, Snapshot, SnapshotRefused, verify

log = logging.getLogger(__name__)


class Mark(msgspec.Struct, frozen=True):
    """The furthest position that was ever accepted, kept apart from the snapshot itself."""

    epoch: int
    serial: int


def read_root(path: Path) -> Root | None:
    """Read a pinned root document, or None where there is none yet.

    Raises: Invalid, Unavailable.
    """
    try:
        return Root.parse(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(f"The root document {path} cannot be read: {error.strerror}.") from None


def pin_root(path: Path, document: bytes) -> Root:
    """Trust a root document on first use, and only it from then on.

    Raises: Invalid, OSError.
    """
    root = Root.parse(document)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    durable.replace(path, root.to_json())
    log.warning("pinned the root document of %s in %s", root.origin, path)
    return root


class SnapshotStore:
    """The current snapshot of one scope, in memory and on disk.

    `current` is replaced as one reference, so readers need no lock; one writer at a time may `take` or
    `offer`, and any thread may `keep`. `trouble` says why the last offer, or the copy on disk, was kept out.
    """

    def __init__(self, folder: Path, root: Root, scope: Scope) -> None:
        self.root = root
        self.scope = scope
        self.current: Snapshot | None = None
        self.trouble: str | None = None
        name = f"{scope.project}.{scope.environment}.{scope.audience}"
        self.file_name = f"{name}.snapshot.json"
        self._path = folder / self.file_name
        self._mark_path = folder / f"{name}.mark.json"
        self._keeping = threading.Lock()
        self._kept: Snapshot | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._mark = self._read_mark()
        except OSError as error:
            raise Unavailable(
                f"The folder {folder} cannot be used for snapshots: {error.strerror}.",
                remedy="Make it writable for this process, or name another one.",
            ) from None

    def load(self) -> Snapshot | None:
        """Take up the copy on disk; one that fails a check is kept out and `trouble` says why."""
        try:
            envelope = self._path.read_bytes()
            snapshot = verify(envelope, self.root, self.scope)
            self._check_position(snapshot)
        except FileNotFoundError:
            return None
        except (SnapshotRefused, OSError) as error:
            self._report(f"{self._path}: {error}")
            return None
        self.current = self._kept = snapshot
        return snapshot

    def offer(self, envelope: bytes) -> Snapshot:
        """Check a snapshot, make it current and durable; what is served now given again changes nothing.

        Raises: SnapshotRefused; the last good one stays current.
        """
        snapshot = self.take(envelope)
        self.keep()
        return snapshot

    def take(self, envelope: bytes) -> Snapshot:
        """Check a snapshot and make it current; `keep` makes it durable.

        No disk, slow or full, may hold up a rollback.

        Raises: SnapshotRefused; the last good one stays current.
        """
        if self.current is not None and envelope == self.current.envelope:
            return self.current
        try:
            snapshot = verify(envelope, self.root, self.scope)
            self._check_position(snapshot)
        except SnapshotRefused as refusal:
            self._report(str(refusal))
            raise
        self.current = snapshot
        self.trouble = None
        self._mark = Mark(*snapshot.position)
        return snapshot

    def keep(self) -> None:
        """Write the current snapshot to the disk, if it is not there; `trouble` says what went wrong."""
        with self._keeping:
            snapshot = self.current
            if snapshot is None or snapshot is self._kept:
                return
            try:
                durable.replace(self._mark_path, msgspec.json.encode(Mark(*snapshot.position)))
                durable.replace(self._path, snapshot.envelope)
            except OSError as error:
                self._report(
                    f"{self._path} could not be written ({error.strerror}); a restart may find an older one"
                )
            else:
                self._kept = snapshot

    def _check_position(self, snapshot: Snapshot) -> None:
        mark = (self._mark.epoch, self._mark.serial)
        if snapshot.position < mark:
            raise SnapshotRefused(f"its position {snapshot.position} (epoch, serial) lies behind {mark}")
        served = self.current
        if served is None or snapshot.position != served.position:
            return
        if snapshot.payload.issued_at < served.payload.issued_at:
            raise SnapshotRefused(f"it was issued before the one of the same serial {mark[1]} in use")

    def _read_mark(self) -> Mark:
        try:
            return msgspec.json.decode(self._mark_path.read_bytes(), type=Mark)
        except FileNotFoundError:
            return Mark(0, 0)
        except msgspec.MsgspecError as error:
            self._report(f"{self._mark_path} cannot be read ({error}); older snapshots would not be noticed")
            return Mark(0, 0)

    def _report(self, trouble: str) -> None:
        self.trouble = trouble
        log.error("snapshot: %s", trouble)
