"""The closed set of errors, shared with the client: see `assent_client.errors`."""

from assent_client.errors import (
    ERRORS,
    AssentError,
    Conflict,
    Forbidden,
    Frozen,
    Gone,
    Invalid,
    NotFound,
    RateLimited,
    Reason,
    Refused,
    Stale,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

__all__ = [
    "ERRORS",
    "AssentError",
    "Conflict",
    "Forbidden",
    "Frozen",
    "Gone",
    "Invalid",
    "NotFound",
    "RateLimited",
    "Reason",
    "Refused",
    "Stale",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
]
