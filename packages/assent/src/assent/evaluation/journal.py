r"""The journal of a run: an append-only file that survives SIGKILL and a torn tail.

One line a record, after a header line: `<first 16 hex digits of SHA-256 of the JSON> <JSON>\n`.
A record is in the file as soon as `append` returns, so the death of the process loses nothing; it is on the
disk after the next `sync`. Opening reads the longest prefix of whole lines and cuts what follows it.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from assent.evaluation.domain.cases import CaseRecord
from assent.kernel.errors import Conflict, Invalid

FORMAT = 1
_CHECK = 16
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(CaseRecord)


def write_line(content: bytes) -> bytes:
    """Give a line with its checksum."""
    return _check(content) + content + b"\n"


def _check(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest()[:_CHECK].encode() + b" "


def read_lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Give (end offset, JSON) of each whole line until the first that is torn or damaged."""
    start = 0
    while (end := content.find(b"\n", start)) >= 0:
        line = content[start:end]
        body = line[_CHECK + 1 :]
        if line[: _CHECK + 1] != _check(body):
            return
        start = end + 1
        yield start, body


def read_records(content: bytes) -> tuple[dict[str, Any], list[CaseRecord]]:
    """Read a finished journal: header and records. Raises: Invalid where any byte does not belong."""
    lines = list(read_lines(content))
    if not lines or lines[-1][0] != len(content):
        raise Invalid(f"The journal is damaged after record {max(0, len(lines) - 1)}.")
    return _header(lines[0][1]), [_record(body, n) for n, (_, body) in enumerate(lines[1:], start=1)]


def _header(body: bytes) -> dict[str, Any]:
    try:
        header = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise Invalid(f"The journal's header cannot be read: {error}") from error
    if header.get("journal") != FORMAT:
        raise Invalid(f"The journal has format {header.get('journal')!r}; this release reads {FORMAT}.")
    return header


def _record(body: bytes, number: int) -> CaseRecord:
    try:
        return _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise Invalid(f"Record {number} of the journal cannot be read: {error}") from error


class Journal:
    """A run's file, held by one process at a time."""

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        """Open or begin. Raises: Conflict (another process writes it, or it belongs to another run)."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._lock()
            self.records = self._recover({"journal": FORMAT, **header})
        except BaseException:
            os.close(self._file)
            raise
        self._unsynced = False

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"Another process is at work on {self.path.name}.") from None

    def _recover(self, header: dict[str, Any]) -> dict[tuple[str, str], CaseRecord]:
        content = self.path.read_bytes()
        lines = list(read_lines(content))
        whole = lines[-1][0] if lines else 0
        if whole < len(content):
            os.ftruncate(self._file, whole)
            os.fsync(self._file)
        if not lines:
            _write(self._file, write_line(_encoder.encode(header)))
            os.fsync(self._file)
            _sync_folder(self.path.parent)
            return {}
        found = _header(lines[0][1])
        if found != header:
            raise Conflict(f"The journal {self.path.name} belongs to another run: {found}.")
        records = (_record(body, n) for n, (_, body) in enumerate(lines[1:], start=1))
        return {(record.side, record.answer_key): record for record in records}

    def append(self, record: CaseRecord) -> None:
        """Write a record once; a second one for the same side and key is a defect. Raises: Conflict."""
        at = (record.side, record.answer_key)
        if at in self.records:
            raise Conflict(f"The case {record.answer_key} stands in the journal already.")
        _write(self._file, write_line(_encoder.encode(record)))
        self.records[at] = record
        self._unsynced = True

    def sync(self) -> None:
        """Bring what was appended to the disk; may be called from another thread."""
        if self._unsynced:
            self._unsynced = False
            os.fsync(self._file)

    def content(self) -> bytes:
        """Give the whole file."""
        return self.path.read_bytes()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sync()
        os.close(self._file)


def _write(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
