"""Answers that the gateway gives by itself."""

from __future__ import annotations

from http import HTTPStatus

PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}


def head(status: int, length: int, *lines: bytes, content_type: bytes = b"application/json") -> bytes:
    """Write the head of an answer that the gateway gives by itself."""
    start = b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n" % (
        status,
        PHRASES.get(status, b"Unknown"),
        content_type,
        length,
    )
    return b"".join((start, *lines, b"\r\n"))
