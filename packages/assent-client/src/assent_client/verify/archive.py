"""The archive of a pack: a zip with one possible form for its files.

Names in ascending order, every file stored (never compressed), no times, no extra fields, no comments. A
reader writes what it read again and compares, so no byte of a pack is without meaning and none can be
changed unseen; since nothing is compressed, nothing can swell.

Source: PKWARE APPNOTE 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.16 (its end).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping

from assent_client.verify.merkle import VerificationError

MAX_ARCHIVE_BYTES = 512_000_000
MAX_FILES = 50_000
_FILE_NAME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._@-]{0,99}/){0,3}[A-Za-z0-9][A-Za-z0-9._@-]{0,99}\Z")
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_VERSION, _DATE = 20, 0x21  # 1 January 1980, the first day of the format
_LOCAL_MARK, _CENTRAL_MARK, _END_MARK = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_MAX_COUNT = 65_534


def write_archive(files: Mapping[str, bytes]) -> bytes:
    """Write files as the one archive that holds them. Raises: VerificationError for what cannot be held."""
    parts, directory, offset = [], [], 0
    if len(files) > min(MAX_FILES, _MAX_COUNT):
        raise VerificationError(f"a pack holds at most {MAX_FILES:,} files, not {len(files):,}")
    for name in sorted(files):
        _check_file_name(name)
        content, encoded = files[name], name.encode()
        sizes = (zlib.crc32(content), len(content), len(content), len(encoded))
        parts += [_LOCAL.pack(_LOCAL_MARK, _VERSION, 0, 0, 0, _DATE, *sizes, 0), encoded, content]
        directory += [
            _CENTRAL.pack(_CENTRAL_MARK, _VERSION, _VERSION, 0, 0, 0, _DATE, *sizes, 0, 0, 0, 0, 0, offset),
            encoded,
        ]
        offset += _LOCAL.size + len(encoded) + len(content)
        if offset > MAX_ARCHIVE_BYTES:
            raise VerificationError(f"a pack has at most {MAX_ARCHIVE_BYTES:,} bytes")
    length = sum(map(len, directory))
    end = _END.pack(_END_MARK, 0, 0, len(files), len(files), length, offset, 0)
    return b"".join([*parts, *directory, end])


def read_archive(content: bytes) -> dict[str, bytes]:
    """Read the files of an archive in this form.

    Raises: VerificationError naming the file, or the first byte, that is not as it must be.
    """
    if len(content) > 2 * MAX_ARCHIVE_BYTES:
        raise VerificationError(f"the pack has {len(content):,} bytes, more than a pack may have")
    files: dict[str, bytes] = {}
    at, last = 0, ""
    while content[at : at + 4] == _LOCAL_MARK:
        name, body, after = _read_file(content, at)
        if name <= last:
            raise VerificationError(f"byte {at}: the file {name} comes twice or out of order")
        files[name], at, last = body, after, name
        if len(files) > MAX_FILES:
            raise VerificationError(f"a pack holds at most {MAX_FILES:,} files")
    written = write_archive(files)
    if written != content:
        shorter = min(len(written), len(content))
        wrong = next((i for i in range(at, shorter) if written[i] != content[i]), shorter)
        raise VerificationError(f"byte {wrong}: the directory of the pack is not that of its files")
    return files


def _read_file(content: bytes, at: int) -> tuple[str, bytes, int]:
    """Read one file at an offset; give its name, its content and where the next begins."""
    if len(content) < at + _LOCAL.size:
        raise VerificationError(f"byte {at}: the pack ends within a file's header")
    _, *constant, crc, size, again, n_name, extra = _LOCAL.unpack_from(content, at)
    if constant != [_VERSION, 0, 0, 0, _DATE] or size != again or extra != 0:
        raise VerificationError(f"byte {at}: a file's header is not one of a pack, which compresses nothing")
    start = at + _LOCAL.size
    encoded = content[start : start + n_name]
    name = encoded.decode("ascii", "replace")
    _check_file_name(name)
    body = content[start + n_name : start + n_name + size]
    if len(body) != size:
        raise VerificationError(f"byte {at}: the pack ends within the file {name}")
    if zlib.crc32(body) != crc:
        raise VerificationError(f"byte {at}: the content of {name} does not have its checksum")
    return name, body, start + n_name + size


def _check_file_name(name: str) -> None:
    if not _FILE_NAME.match(name) or ".." in name:
        raise VerificationError(f"a file of a pack cannot be called {name[:100]!r}")
