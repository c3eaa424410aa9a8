"""What all workers of a gateway have leased of their keys' limits: a small file under a lock."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

_Lines = dict[str, tuple[int, int]]
_decode = msgspec.json.Decoder(_Lines).decode


class Book:
    """What all workers have leased: {"key kind": [window, amount]}; it survives restarts."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path

    def lease(self, line: str, window: int, wanted: int, limit: int) -> int:
        """Take up to `wanted` of what the window still holds, and give what was got."""
        with self._locked() as descriptor:
            lines = self._read(descriptor)
            known, leased = lines.get(line, (window, 0))
            taken = leased if known == window else 0
            granted = max(0, min(wanted, limit - taken))
            if granted:
                lines[line] = (window, taken + granted)
                self._write(descriptor, lines)
        return granted

    def give_back(self, line: str, window: int, amount: int) -> None:
        """Put back what was leased in a window and not used."""
        with self._locked() as descriptor:
            lines = self._read(descriptor)
            known, leased = lines.get(line, (window, 0))
            if known == window:
                lines[line] = (window, max(0, leased - amount))
                self._write(descriptor, lines)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    @staticmethod
    def _write(descriptor: int, lines: _Lines) -> None:
        content = msgspec.json.encode(lines)
        os.pwrite(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))

    @staticmethod
    def _read(descriptor: int) -> _Lines:
        content = os.pread(descriptor, 16_000_000, 0)
        try:
            return _decode(content) if content else {}
        except msgspec.MsgspecError:
            return {}  # cut short by a crash: the windows begin anew


@dataclass(slots=True)
class Lease:
    """What a worker has of a limit in one window, and how much of it is left."""

    window: int
    left: int
