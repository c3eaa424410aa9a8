"""Identifiers: a short prefix that names the kind, and a UUIDv7 that sorts by time."""

import uuid_utils


def new_id(prefix: str) -> str:
    """Make `prefix_<32 hex digits>`; later ones sort after earlier ones (RFC 9562, version 7)."""
    return f"{prefix}_{uuid_utils.uuid7().hex}"
