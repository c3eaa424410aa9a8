"""Remember which version gave which completion, so that a thumb finds what it judges.

The answer's id is the provider's and must reach the client unchanged, so nothing can be written into
it. Hence a bounded map in memory, and beside it a journal of the same lines on disk, written with each
batch of observations and read at the start. What a restart or another gateway does not know is sent on
as `matched: false`, and the server finds the call by its completion id.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from assent_client.calls.feedback import Known, Remembered
from assent_client.observe import Call, Row

log = logging.getLogger(__name__)


_decode_line = msgspec.json.Decoder(tuple[str, Known]).decode
_encode = msgspec.json.Encoder().encode


class Completions(Remembered):
    """The latest completions, newest last, at most `capacity`; the journal holds up to twice as many.

    20,000 of them take 9 MB. A thumb that comes later, or to another worker, is matched by the server.
    """

    def __init__(self, folder: Path, capacity: int = 20_000) -> None:
        super().__init__(capacity)
        self._now = folder / "completions.jsonl"
        self._before = folder / "completions.before.jsonl"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._n_lines = 0
        for path in (self._before, self._now):
            self._n_lines = self._load(path)

    def write(self, rows: Sequence[Row]) -> None:
        """Append a batch's calls to the journal, and keep no more of them in memory than it has of each.

        Raises: OSError.
        """
        known = {
            row.completion_id: Known(row.at, row.route, row.variant, row.version, row.unit, row.application)
            for row in rows
            if isinstance(row, Call) and row.completion_id is not None
        }
        if not known:
            return
        self.shorten(known)
        lines = [_encode(one) for one in known.items()]
        if self._n_lines >= self._capacity:
            self._now.replace(self._before)
            self._n_lines = 0
        self._append(self._now, b"\n".join(lines))
        self._n_lines += len(lines)

    @staticmethod
    def _append(path: Path, line: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write(line + b"\n")

    def _load(self, path: Path) -> int:
        if not path.exists():
            return 0
        content = path.read_bytes()
        if content and not content.endswith(b"\n"):
            self._append(path, b"")  # a crash cut the last line short; the next must not continue it
        n_bad, lines = 0, content.splitlines()
        for line in lines:
            try:
                self.remember(*_decode_line(line))
            except msgspec.MsgspecError:
                n_bad += 1
        if n_bad:
            log.warning("gateway: %d lines of %s cannot be read and are passed over", n_bad, path)
        return len(lines)
