"""Untrusted bytes, read within limits: JSON without NaN, zip members without bombs, XML without entities."""

import json
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

import zstandard

from assent.kernel.errors import Invalid, TooLarge

MAX_MEMBERS = 20_000
MAX_MEMBER = 32_000_000
MAX_UNPACKED = 128_000_000
_ZSTD = 93
_LOCAL_HEADER = 30
_ENCRYPTED = 0x1
_DAMAGES = (
    zipfile.BadZipFile,
    zlib.error,
    zstandard.ZstdError,
    EOFError,
    OSError,
    struct.error,
    NotImplementedError,
)


def text_of(content: bytes, where: str) -> str:
    """Decode UTF-8, with or without its mark. Raises: Invalid."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(f"{where} is not UTF-8 text: {error.reason} at byte {error.start}.") from error


def json_of(content: bytes, where: str, *, nan: bool = False) -> Any:
    """Read one JSON value; with `nan`, NaN and infinities read as null. Raises: Invalid with the place."""
    try:
        return json.loads(text_of(content, where), parse_constant=_nothing if nan else _refuse)
    except (ValueError, RecursionError) as error:
        raise Invalid(
            f"{where} is not JSON that can be read: {str(error)[:200]}.",
            remedy="Check that the file is whole and that --format names the tool that wrote it.",
        ) from error


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


def _nothing(_name: str) -> None:
    return None


def json_lines(content: bytes, where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give (place, object) of each line that is not blank. Raises: Invalid."""
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            place = f"{where}:{number}"
            yield place, mapping(json_of(line, place), place)


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """Take an object. Raises: Invalid."""
    if not isinstance(value, dict):
        raise Invalid(
            f"{where} must be an object, not {type(value).__name__}.",
            remedy="Check that --format names the tool that wrote the file.",
        )
    return value


def items(value: Any, where: str) -> list[Any]:
    """Take a list. Raises: Invalid."""
    if not isinstance(value, list):
        raise Invalid(
            f"{where} must be a list, not {type(value).__name__}.",
            remedy="Check that --format names the tool that wrote the file.",
        )
    return value


def number(value: Any) -> float | None:
    """Give a finite number, booleans as 0 and 1; None for anything else."""
    if isinstance(value, int | float) and abs(value) < 1e15 and math.isfinite(value):  # noqa: PLR2004 -- beyond, doubles skip whole numbers
        return float(value)
    return None


def name_of(value: Any, default: str) -> str:
    """Give what names something, as one line of at most 200 characters."""
    text = default if value in (None, "") else str(value)
    return " ".join(text.split())[:200] or default


class Archive:
    """A zip file in memory; no more than MAX_UNPACKED bytes come out of it, whatever it declares."""

    def __init__(self, content: bytes, where: str) -> None:
        """Open. Raises: Invalid (no zip, or truncated), TooLarge."""
        self._content, self._where, self._left = content, where, MAX_UNPACKED
        try:
            self._zip = zipfile.ZipFile(BytesIO(content))
        except (zipfile.BadZipFile, ValueError, OSError, struct.error) as error:
            raise Invalid(
                f"{where} is not a whole zip file: {error}.",
                remedy="Check that the file was copied completely and that --format is right.",
            ) from error
        entries = self._zip.infolist()
        if len(entries) > MAX_MEMBERS:
            raise TooLarge(f"{where} holds more than {MAX_MEMBERS:,} members.")
        self._entries = {entry.filename: entry for entry in entries}
        if len(self._entries) < len(entries):
            raise Invalid(f"{where} holds two members of one name.")

    def names(self) -> list[str]:
        """List members in the order of their names."""
        return sorted(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def read(self, name: str) -> bytes:
        """Unpack a member and check it. Raises: Invalid (damaged), TooLarge."""
        entry = self._entries[name]
        place, limit = f"{name} in {self._where}", min(MAX_MEMBER, self._left)
        if entry.flag_bits & _ENCRYPTED:
            raise Invalid(f"{place} is encrypted.", remedy="Export it without a password.")
        try:
            content = self._zstd(entry, limit) if entry.compress_type == _ZSTD else self._plain(entry, limit)
        except _DAMAGES as error:
            raise Invalid(f"{place} is damaged: {error}.", remedy="Copy or export the file again.") from error
        if len(content) > limit:
            raise TooLarge(
                f"{place} unpacks to more than {limit:,} bytes.",
                remedy="Export with fewer samples or without transcripts, in several files.",
            )
        if zlib.crc32(content) != entry.CRC:
            raise Invalid(
                f"{place} is damaged: its checksum does not fit.", remedy="Copy or export the file again."
            )
        self._left -= len(content)
        return content

    def _plain(self, entry: zipfile.ZipInfo, limit: int) -> bytes:
        with self._zip.open(entry) as member:
            return member.read(limit + 1)

    def _zstd(self, entry: zipfile.ZipInfo, limit: int) -> bytes:
        """Unpack method 93, frame after frame; the standard library reads it from Python 3.14 on."""
        start = entry.header_offset
        head = self._content[start : start + _LOCAL_HEADER]
        name_length, extra_length = struct.unpack("<HH", head[26:30])
        start += _LOCAL_HEADER + name_length + extra_length
        packed = BytesIO(self._content[start : start + entry.compress_size])
        with zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(
            packed, read_across_frames=True
        ) as member:
            return member.read(limit + 1)
