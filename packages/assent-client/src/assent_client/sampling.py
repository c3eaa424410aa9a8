"""Whose answers are judged on live calls: a share of the units by a salt of its own, whatever the variant."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from assent_client.decide import bucket

TAKES: Final = {"assent-takes": "sampling"}
"""The header by which a client says that it knows of sampling: others get snapshots without it."""


class Sampling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of so many units in a million (`end`), calls are sampled.

    Each text is cut at `max_bytes`; both are sealed to `key` (X25519, base64), so that only the server reads.
    """

    end: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    salt: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    key: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9+/]{43}=\Z")]
    max_bytes: Annotated[int, msgspec.Meta(ge=256, le=1_048_576)]


def is_sampled(sampling: Sampling, unit: str) -> bool:
    """Tell whether a unit's calls are sampled; its variant has no part in it."""
    return bucket(sampling.salt, unit) < sampling.end
