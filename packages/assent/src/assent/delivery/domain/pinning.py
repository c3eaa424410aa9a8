"""Conversations that end on their version: where a route moves units, those begun before stay for a while.

Only ids that say when they began can be known (see `assent_client.conversations`); others move at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from assent.delivery.domain.plan import Plan

BUCKETS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """Units of some buckets that began before a time stay on a version until another.

    Buckets are [start, end) by `salt`; times are milliseconds since 1970.
    """

    digest: str
    start: int
    end: int
    salt: str
    before: int
    until: int


Pins = tuple[Pin, ...]


def pins_for(plan: Plan, digest: str, place: tuple[int, int], salt: str, now: datetime) -> Pins:
    """Pin the conversations of some buckets to their version, as long as the plan says."""
    start, end = place
    if not plan.pin_s or start >= end:
        return ()
    until = now + timedelta(seconds=plan.pin_s)
    return (Pin(digest=digest, start=start, end=end, salt=salt, before=_ms(now), until=_ms(until)),)


def still(pins: Pins, now: datetime) -> Pins:
    """Give the pins whose time is not over."""
    return tuple(pin for pin in pins if pin.until > _ms(now))


def ends_at(pins: Pins, after: datetime) -> datetime | None:
    """Give when the first of some pins ends."""
    return min((after + timedelta(milliseconds=pin.until - _ms(after)) for pin in pins), default=None)


def pin_document(pin: Pin, variant: str) -> dict[str, Any]:
    """Write a pin as routes hold it."""
    return {
        "variant": variant,
        "start": pin.start,
        "end": pin.end,
        "salt": pin.salt,
        "before": pin.before,
        "until": pin.until,
    }


def read_pin(document: Mapping[str, Any], variants: Mapping[str, str]) -> Pin:
    """Read a pin that `pin_document` wrote."""
    return Pin(
        digest=variants[document["variant"]],
        start=document["start"],
        end=document["end"],
        salt=document["salt"],
        before=document["before"],
        until=document["until"],
    )


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
