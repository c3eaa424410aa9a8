"""The pinned checkpoint: the last one signed, kept outside the database.

A database that was restored, truncated or edited disagrees with it, and is found before anything is signed.
"""

import fcntl
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from assent.kernel.errors import Frozen


class Pin:
    """One file that holds a signed checkpoint; it is replaced as a whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = threading.RLock()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other threads and processes of this machine from signing meanwhile."""
        with self._threads:
            with _writable(self._path):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
            finally:
                os.close(lock)

    def read(self) -> str | None:
        """Read the signed checkpoint; None where nothing was signed yet."""
        try:
            return self._path.read_bytes().decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Frozen(
                f"The pinned checkpoint {self._path} cannot be read: {error.strerror}.",
                remedy="Make it readable for the server.",
            ) from error

    def write(self, note: str) -> None:
        """Replace the checkpoint durably. Call it with the lock held."""
        with _writable(self._path):
            handle, part = tempfile.mkstemp(dir=self._path.parent)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(note)
                    file.flush()
                    os.fsync(file.fileno())
                Path(part).replace(self._path)
            except BaseException:
                Path(part).unlink(missing_ok=True)
                raise
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Frozen(
            f"The pinned checkpoint {path} cannot be written: {error.strerror}.",
            remedy="Free disk space, or make the folder writable for the server.",
        ) from error
