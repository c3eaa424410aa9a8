"""Write Parquet files of flat rows, a row group at a time, so that a file of any length is a stream.

Every column is optional; values are PLAIN, pages are compressed with gzip.
Source: the Apache Parquet format 2.x (`parquet.thrift`, Encodings.md), the Thrift compact protocol.
"""

import gzip
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

MAGIC = b"PAR1"
_VERSION, _GZIP, _PLAIN, _RLE, _OPTIONAL, _DATA_PAGE = 1, 2, 0, 3, 1, 0
_I32, _I64, _BINARY, _LIST, _STRUCT, _TRUE = 5, 6, 8, 9, 12, 1


Fields = list[tuple[int, int, Any]]
"""A Thrift struct: number, type and value of each field, ascending."""

_UTF8: Fields = [(1, _STRUCT, [])]
_MICROS_UTC: Fields = [(8, _STRUCT, [(1, _TRUE, True), (2, _STRUCT, [(2, _STRUCT, [])])])]


class Kind(Enum):
    """What a column holds: its physical type, and its older and newer logical type, if any."""

    BOOL = (0, None, None)
    INT = (2, None, None)
    FLOAT = (5, None, None)
    TEXT = (6, 0, _UTF8)
    TIME = (2, 10, _MICROS_UTC)
    """Microseconds since 1970, UTC."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name and kind."""

    name: str
    kind: Kind


class Writer:
    """Give the bytes of one file: `start`, then `group` for each row group, then `end`."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._groups: list[Fields] = []
        self._n_rows = self._at = 0

    def start(self) -> bytes:
        """Give the beginning."""
        return self._written(MAGIC)

    def group(self, rows: Sequence[Sequence[Any]]) -> bytes:
        """Give a row group of one row or more; a value of each column in each, None where there is none."""
        content, chunks, n_plain = [], [], 0
        for column, values in zip(self._columns, zip(*rows, strict=True), strict=True):
            page = _levels(values) + _plain(column.kind, [one for one in values if one is not None])
            packed = gzip.compress(page, compresslevel=3, mtime=0)
            head = _struct(_page_head(len(values), len(page), len(packed)))
            chunks.append(self._chunk(column, len(values), len(head) + len(page), len(head) + len(packed)))
            n_plain += len(head) + len(page)
            content.append(self._written(head + packed))
        self._groups.append([(1, _LIST, (_STRUCT, chunks)), (2, _I64, n_plain), (3, _I64, len(rows))])
        self._n_rows += len(rows)
        return b"".join(content)

    def end(self) -> bytes:
        """Give the end: what the file holds, and where."""
        root: Fields = [(4, _BINARY, b"schema"), (5, _I32, len(self._columns))]
        about = _struct(
            [
                (1, _I32, _VERSION),
                (2, _LIST, (_STRUCT, [root, *map(_element, self._columns)])),
                (3, _I64, self._n_rows),
                (4, _LIST, (_STRUCT, self._groups)),
                (6, _BINARY, b"assent"),
            ]
        )
        return about + len(about).to_bytes(4, "little") + MAGIC

    def _written(self, content: bytes) -> bytes:
        self._at += len(content)
        return content

    def _chunk(self, column: Column, n_values: int, n_plain: int, n_packed: int) -> Fields:
        about: Fields = [
            (1, _I32, column.kind.value[0]),
            (2, _LIST, (_I32, [_PLAIN, _RLE])),
            (3, _LIST, (_BINARY, [column.name.encode()])),
            (4, _I32, _GZIP),
            (5, _I64, n_values),
            (6, _I64, n_plain),
            (7, _I64, n_packed),
            (9, _I64, self._at),
        ]
        return [(2, _I64, self._at), (3, _STRUCT, about)]


def _element(column: Column) -> Fields:
    physical, older, logical = column.kind.value
    fields: Fields = [(1, _I32, physical), (3, _I32, _OPTIONAL), (4, _BINARY, column.name.encode())]
    if logical is not None:
        fields += [(6, _I32, older), (10, _STRUCT, logical)]
    return fields


def _page_head(n_values: int, n_plain: int, n_packed: int) -> Fields:
    levels: Fields = [(1, _I32, n_values), (2, _I32, _PLAIN), (3, _I32, _RLE), (4, _I32, _RLE)]
    return [(1, _I32, _DATA_PAGE), (2, _I32, n_plain), (3, _I32, n_packed), (5, _STRUCT, levels)]


def _levels(values: Sequence[Any]) -> bytes:
    """Tell which values are there: one bit-packed run, in groups of eight."""
    bits = _bits(value is not None for value in values)
    run = _varint(len(bits) << 1 | 1) + bits
    return len(run).to_bytes(4, "little") + run


def _plain(kind: Kind, values: Sequence[Any]) -> bytes:
    if kind is Kind.TEXT:
        texts = [value.encode() for value in values]
        return b"".join(part for text in texts for part in (len(text).to_bytes(4, "little"), text))
    if kind is Kind.BOOL:
        return _bits(values)
    return np.array(values, "<f8" if kind is Kind.FLOAT else "<i8").tobytes()


def _bits(values: Iterable[bool]) -> bytes:
    return np.packbits(np.array(list(values), bool), bitorder="little").tobytes()


def _struct(fields: Fields) -> bytes:
    """Write a Thrift struct in the compact protocol."""
    parts, before = [], 0
    for number, kind, value in fields:
        parts.append(bytes([(number - before) << 4 | kind]) + _value(kind, value))
        before = number
    return b"".join(parts) + b"\0"


def _value(kind: int, value: Any) -> bytes:
    if kind in {_I32, _I64}:
        return _varint(value << 1)  # zigzag; no number here is negative
    if kind == _BINARY:
        return _varint(len(value)) + bytes(value)
    if kind == _STRUCT:
        return _struct(value)
    if kind == _LIST:
        of, items = value
        short = len(items) < 15  # noqa: PLR2004 -- the four bits of the protocol; 15 says that the length follows
        head = bytes([len(items) << 4 | of]) if short else bytes([0xF0 | of]) + _varint(len(items))
        return head + b"".join(_value(of, item) for item in items)
    return b""  # a truth value is its type


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004 -- seven bits a byte
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
