"""What observations leave on disk: batches that wait, and how much a killed process had in memory."""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from assent_client import durable

log = logging.getLogger(__name__)


class Spool:
    """Batches on disk, oldest first, bounded in bytes; the oldest make room for the newest."""

    def __init__(self, folder: Path, max_bytes: int = 256_000_000) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in folder.glob(".*.part"):
            if not _is_written(part):
                part.unlink(missing_ok=True)  # a write that a crash cut short was acknowledged to nobody
        files = sorted(folder.glob("*.json"))
        self._sizes = {file.name: file.stat().st_size for file in files}
        self._n_bytes = sum(self._sizes.values())

    def __len__(self) -> int:
        """Give the number of batches that wait."""
        return len(self._sizes)

    def put(self, batch: str, n_rows: int, body: bytes) -> int:
        """Keep a batch durably and give the number of rows lost to make room for it.

        Raises: OSError where the disk refuses it.
        """
        n_lost = 0
        while self._sizes and self._n_bytes + len(body) > self._max_bytes:
            oldest = next(iter(self._sizes))
            n_lost += int(oldest.split(".")[1])
            self._remove(oldest)
        name = f"{batch}.{n_rows}.json"
        durable.replace(self.folder / name, body)
        self._sizes[name] = len(body)
        self._n_bytes += len(body)
        return n_lost

    def first(self) -> tuple[str, int, bytes] | None:
        """Give (batch, rows, body) of the oldest batch, or None."""
        while self._sizes:
            name = next(iter(self._sizes))
            batch, n_rows, _ = name.split(".")
            try:
                return batch, int(n_rows), (self.folder / name).read_bytes()
            except FileNotFoundError:
                self._forget(name)  # another process that shares the folder has sent it
        return None

    def drop_first(self) -> None:
        """Forget the oldest batch."""
        self._remove(next(iter(self._sizes)))

    def _remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)
        self._forget(name)

    def _forget(self, name: str) -> None:
        self._n_bytes -= self._sizes.pop(name)


def _is_written(part: Path) -> bool:
    """Tell whether another process, alive, writes this part now: its name ends in `.<process>.part`."""
    process = part.name.split(".")[-2]
    if not process.isdigit() or int(process) in {0, os.getpid()}:
        return False
    try:
        os.kill(int(process), 0)  # signal 0 only asks
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


class Life:
    """What one process has taken into memory, in a file whose pages outlive it when it is killed.

    Five numbers of 64 bits: rows taken; rows settled (on disk, delivered, or counted as dropped); rows
    dropped; the beginning of the batch that goes to disk now; rows settled once it is there. Who holds the
    file's lock lives. A power cut may lose what a kill does not: no write waits for the disk.
    """

    TAKEN, SETTLED, DROPPED, BATCH, AFTER = range(5)
    SIZE: Final = 40

    def __init__(self, instance: str, numbers: memoryview, path: Path | None, descriptor: int) -> None:
        self.instance = instance
        self._numbers, self._path, self._descriptor = numbers, path, descriptor

    @classmethod
    def begin(cls, folder: Path, instance: str) -> Life:
        """Begin a life; where the disk takes no file, a sudden end goes unreported."""
        path = folder / f".{instance}.life"
        try:
            return cls._open(path, instance, os.O_CREAT | os.O_EXCL)
        except OSError as error:
            log.warning("observations: what a kill would lose cannot be counted: %s", error)
            return cls(instance, memoryview(bytearray(cls.SIZE)).cast("Q"), None, -1)

    @classmethod
    def dead(cls, folder: Path) -> Iterator[Life]:
        """Give the lives that ended suddenly; the caller ends each."""
        for path in sorted(folder.glob(".*.life")):
            try:
                life = cls._open(path, path.name.split(".")[1], 0)
            except (BlockingIOError, FileNotFoundError):  # it lives, or another process was faster
                continue
            life.count_last_batch(folder)
            yield life

    @classmethod
    def _open(cls, path: Path, instance: str, flags: int) -> Life:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, cls.SIZE)
            pages = mmap.mmap(descriptor, cls.SIZE)
        except OSError:
            os.close(descriptor)
            raise
        return cls(instance, memoryview(pages).cast("Q"), path, descriptor)

    def count_last_batch(self, folder: Path) -> None:
        """Count a batch that reached the disk just before the end."""
        batch = self._numbers[self.BATCH]
        if batch and any(folder.glob(f"{batch:016x}*.json")):
            self._numbers[self.SETTLED] = max(self._numbers[self.SETTLED], self._numbers[self.AFTER])

    def take(self) -> None:
        """Count a row that is taken into memory."""
        self._numbers[self.TAKEN] += 1

    @property
    def n_dropped(self) -> int:
        """Give the number of rows that were dropped."""
        return self._numbers[self.DROPPED]

    @n_dropped.setter
    def n_dropped(self, n: int) -> None:
        self._numbers[self.DROPPED] = n

    @property
    def n_lost(self) -> int:
        """Give the number of rows that were in memory, and nowhere else, at the end."""
        return self._numbers[self.TAKEN] - self._numbers[self.SETTLED]

    def settles(self, batch: str, n_rows: int) -> None:
        """Say that a batch goes to disk now; its id begins with 16 hexadecimal digits."""
        self._numbers[self.AFTER] = self._numbers[self.SETTLED] + n_rows
        self._numbers[self.BATCH] = int(batch[:16], 16)

    def settled(self, n_rows: int) -> None:
        """Say that so many rows have left memory for the disk or the server, or are counted as dropped."""
        self._numbers[self.SETTLED] += n_rows

    def end(self) -> None:
        """End: nothing is left to report."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._path = None
