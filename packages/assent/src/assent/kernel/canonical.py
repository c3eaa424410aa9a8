"""Canonical JSON (RFC 8785) and the digests made of it."""

import hashlib
import re
from typing import Any

import rfc8785

from assent.kernel.errors import Invalid

DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


def canonical(value: Any) -> bytes:
    """Serialise JSON-able `value` by RFC 8785.

    Raises: Invalid for what JSON cannot hold (NaN, integers beyond 2^53, other types).
    """
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, RecursionError, UnicodeError) as error:
        raise Invalid(f"This cannot be written as canonical JSON: {error}") from error


def digest_bytes(content: bytes) -> str:
    """Give `sha256:<64 hex>` of bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def digest(value: Any) -> str:
    """Give the digest of the canonical form of `value`."""
    return digest_bytes(canonical(value))


def is_digest(text: object) -> bool:
    """Tell whether `text` has the form of a digest."""
    return isinstance(text, str) and DIGEST.match(text) is not None
