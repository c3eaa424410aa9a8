"""Which histograms are kept, and how what is no duration becomes a bucket."""

from enum import IntEnum

TOKENS_PER_S = 1000
"""Tokens are kept as if 1,000 were a second: 1 token to 100 million fit the buckets of durations."""

FINISHES = ("stop", "length", "tool_calls", "content_filter", "refusal", "error", "none", "other")
_ALIKE = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls"}
CLIENT_LEFT = 499
"""The status where the caller hung up: nobody's fault that a version could be blamed for."""

_SERVER_ERROR = 500
_LETTERS = 26
UNKNOWN_LANGUAGE = _LETTERS * _LETTERS


class Kind(IntEnum):
    """What a histogram counts; the numbers stand in the database."""

    LATENCY = 0
    FIRST_TOKEN = 1
    TOKENS_IN = 2
    TOKENS_OUT = 3
    FINISH = 4
    LANGUAGE = 5
    SCORE = 6


CATEGORIES = frozenset({Kind.FINISH, Kind.LANGUAGE})
"""Kinds whose buckets have no order."""


def has_failed(status: int, error_class: str | None) -> bool:
    """Tell whether a call counts as an error of the version that answered."""
    return status != CLIENT_LEFT and (error_class is not None or status >= _SERVER_ERROR)


def finish_bucket(reason: str | None, *, failed: bool) -> int:
    """Give the bucket of how an answer ended; providers' words for the same are one."""
    if failed:
        return FINISHES.index("error")
    if reason is None:
        return FINISHES.index("none")
    word = _ALIKE.get(reason, reason)
    return FINISHES.index(word if word in FINISHES else "other")


def language_bucket(tag: str) -> int:
    """Give the bucket of a language tag (`de`, `pt-BR`): that of its two letters."""
    code = tag[:2].lower()
    is_code = len(code) == len("xx") and code.isascii() and code.isalpha() and tag[2:3] in {"", "-", "_"}
    return (ord(code[0]) - ord("a")) * _LETTERS + ord(code[1]) - ord("a") if is_code else UNKNOWN_LANGUAGE


def bucket_name(kind: Kind, bucket: int) -> str:
    """Name a bucket of a kind whose buckets are categories."""
    if kind is Kind.FINISH:
        return FINISHES[bucket]
    if bucket == UNKNOWN_LANGUAGE:
        return "unknown"
    return chr(ord("a") + bucket // _LETTERS) + chr(ord("a") + bucket % _LETTERS)
