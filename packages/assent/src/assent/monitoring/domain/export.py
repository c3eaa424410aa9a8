"""Observed calls as files: one row a call, in Parquet, JSON lines or CSV."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from assent.monitoring.domain.parquet import Column, Kind, Writer

COLUMNS = (
    Column("called_at", Kind.TIME),
    Column("environment", Kind.TEXT),
    Column("route", Kind.TEXT),
    Column("variant", Kind.TEXT),
    Column("version", Kind.TEXT),
    Column("completion_id", Kind.TEXT),
    Column("unit", Kind.TEXT),
    Column("application", Kind.TEXT),
    Column("operation", Kind.TEXT),
    Column("rollout", Kind.TEXT),
    Column("serial", Kind.INT),
    Column("rule", Kind.TEXT),
    Column("reason", Kind.TEXT),
    Column("sticky", Kind.BOOL),
    Column("stream", Kind.BOOL),
    Column("status", Kind.INT),
    Column("error_class", Kind.TEXT),
    Column("latency_s", Kind.FLOAT),
    Column("ttft_s", Kind.FLOAT),
    Column("tokens_in", Kind.INT),
    Column("tokens_out", Kind.INT),
    Column("finish_reason", Kind.TEXT),
    Column("response_model", Kind.TEXT),
    Column("as_approved", Kind.BOOL),
    Column("guardrails", Kind.TEXT),
    Column("language", Kind.TEXT),
    Column("unguarded", Kind.BOOL),
    Column("feedback", Kind.FLOAT),
)
"""`unit` is a keyed hash; `feedback` is the last opinion on the call, 1 good and 0 bad."""

NAMES = tuple(column.name for column in COLUMNS)
Rows = Sequence[Sequence[Any]]
"""A value of each column in each row, None where there is none; `called_at` in microseconds since 1970."""


class Form(Protocol):
    """The bytes of one file: `start`, then `group` for each page of rows, then `end`."""

    def start(self) -> bytes:
        """Give the beginning."""
        ...

    def group(self, rows: Rows) -> bytes:
        """Give some rows, at least one."""
        ...

    def end(self) -> bytes:
        """Give the end."""
        ...


class JsonLines:
    """One JSON object a line; `called_at` in RFC 3339."""

    def start(self) -> bytes:
        """Give the beginning."""
        return b""

    def group(self, rows: Rows) -> bytes:
        """Give some rows."""
        named = (dict(zip(NAMES, _readable(row), strict=True)) for row in rows)
        lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in named)
        return "".join(f"{line}\n" for line in lines).encode()

    def end(self) -> bytes:
        """Give the end."""
        return b""


class Csv:
    """Comma-separated values (RFC 4180) with a head; what is unknown is empty, truth is true or false."""

    def start(self) -> bytes:
        """Give the beginning."""
        return self.group([NAMES])

    def group(self, rows: Rows) -> bytes:
        """Give some rows."""
        text = io.StringIO()
        lines = csv.writer(text)
        for row in rows:
            lines.writerow([str(one).lower() if isinstance(one, bool) else one for one in _readable(row)])
        return text.getvalue().encode()

    def end(self) -> bytes:
        """Give the end."""
        return b""


def _readable(row: Sequence[Any]) -> Sequence[Any]:
    at = row[0]
    if not isinstance(at, int):
        return row  # the head of a table
    moment = datetime.fromtimestamp(at // 1_000_000, UTC).replace(microsecond=at % 1_000_000)
    return [f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}", *row[1:]]


def open_form(name: str) -> Form:
    """Begin a file of a form: parquet, jsonl or csv. Raises: KeyError for another one."""
    return Writer(COLUMNS) if name == "parquet" else _PLAIN[name]()


_PLAIN: Mapping[str, type[JsonLines | Csv]] = {"jsonl": JsonLines, "csv": Csv}
MEDIA = {
    "parquet": "application/vnd.apache.parquet",
    "jsonl": "application/jsonl",
    "csv": "text/csv; charset=utf-8",
}
"""The media type of each form."""
