"""Ids of conversations that say when they began: UUIDv7 or ULID, alone or at the end of a longer id.

conv_019c0b5e8a007c3a8f0e2d4b6a8c0e1f   01KFXZ4QK0T8N6B3V5C7D9E1F2   chat-019c0b5e-8a00-7c3a-8f0e-2d4b6a8c0e1f
Source: RFC 9562, section 5.7; https://github.com/ulid/spec
"""

from __future__ import annotations

import os
import re
import time
from typing import Final

_DASHED: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE
)
_PLAIN: Final = re.compile(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}", re.IGNORECASE)
_ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BORDERS: Final = frozenset("_-:/.")


def begun_ms(unit: str) -> int | None:
    """Give when a conversation began, in milliseconds since 1970; None where its id does not say."""
    for length, form in ((36, _DASHED), (32, _PLAIN)):
        tail = _tail(unit, length)
        if tail and form.fullmatch(tail):
            return int(tail.replace("-", "")[:12], 16)
    tail = _tail(unit, 26)
    if not (tail and _ULID.fullmatch(tail)):
        return None
    began = 0
    for digit in tail[:10]:
        began = began << 5 | _DIGITS.index(digit)
    return began


def _tail(unit: str, length: int) -> str:
    """Give the end of an id, where something that is no letter or digit stands before it, or nothing."""
    is_apart = len(unit) == length or (len(unit) > length and unit[-length - 1] in _BORDERS)
    return unit[-length:] if is_apart else ""


def new_conversation() -> str:
    """Make an id for a conversation that begins now."""
    noise = int.from_bytes(os.urandom(10), "big")
    low, high = noise & (1 << 62) - 1, noise >> 68
    number = int(time.time() * 1000) << 80 | 7 << 76 | high << 64 | 2 << 62 | low
    return f"conv_{number:032x}"
