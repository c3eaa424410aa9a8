"""The route: which version answers which units. Rollouts write it; the data plane knows nothing else.

The document: {"key", "kind", "variants": {name: digest}, "split": [{"variant", "start", "end"}…],
"rules": [{"id", "when", "variant"}…], "unit", "algo": "b2b64-v1", "salt", "off": variant, "enabled",
"rollout": id | null, "generation"}; the split is in millionths. The rules are the canary's audience.
"cut": true stands beside where a switched-off name's calls under way end too, and "shadow": {"variant",
"end"} where so many millionths of the calls are mirrored to a version that answers nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from assent.delivery.domain.audience import Audience, audience_rules, read_rules
from assent.delivery.domain.pinning import BUCKETS, Pins, pin_document, pins_for, read_pin, still
from assent.delivery.domain.plan import Plan

ALGO = "b2b64-v1"
STABLE = "stable"
CANARY = "canary"
PREVIOUS = "previous"
ENDING = "ending"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A name's route in an environment: the stable version, and a canary with its share, if one runs.

    audience: who gets the canary whatever its share. shadow: the share of calls that are mirrored to it.
    previous: the version before, kept warm after a blue-green switch; it answers nobody. cut: switched off
    with its calls under way, which gateways end. pins: conversations that end on the version they began on.
    """

    key: str
    kind: str
    stable: str
    canary: str | None = None
    share: float = 0.0
    audience: Audience = ()
    shadow: float = 0.0
    previous: str | None = None
    pins: Pins = ()
    unit: str
    salt: str
    rollout: str | None = None
    enabled: bool = True
    cut: bool = False
    generation: int

    @property
    def digests(self) -> tuple[str, ...]:
        """List the versions that it can serve, or keeps warm."""
        named = (self.stable, self.canary, self.previous, *(pin.digest for pin in self.pins))
        return tuple(dict.fromkeys(digest for digest in named if digest is not None))

    @property
    def border(self) -> int:
        """Give the number of buckets that the canary has."""
        return round(self.share * BUCKETS)


def compile_route(route: Route) -> dict[str, Any]:
    """Write the route's document. The canary's range starts at 0 and grows: who is in it stays in it."""
    variants = {STABLE: route.stable}
    split = [{"variant": STABLE, "start": 0, "end": BUCKETS}]
    if route.previous is not None:
        variants[PREVIOUS] = route.previous
    if route.canary is not None:
        variants[CANARY] = route.canary
        ranges = ((CANARY, 0, route.border), (STABLE, route.border, BUCKETS))
        split = [{"variant": name, "start": start, "end": end} for name, start, end in ranges if start < end]
    document = {
        "key": route.key,
        "kind": route.kind,
        "variants": variants,
        "split": split,
        "rules": audience_rules(route.audience, CANARY),
        "unit": route.unit,
        "algo": ALGO,
        "salt": route.salt,
        "off": STABLE,
        "enabled": route.enabled,
        "rollout": route.rollout,
        "generation": route.generation,
    }
    if route.pins:
        document["pins"] = _pins(route.pins, variants)
    if route.shadow and route.canary is not None:
        document["shadow"] = {"variant": CANARY, "end": round(route.shadow * BUCKETS)}
    return {**document, "cut": True} if route.cut else document


def _pins(pins: Pins, variants: dict[str, str]) -> list[dict[str, Any]]:
    """Write pins; a version that has no other name here is one that ends."""
    names = {digest: name for name, digest in variants.items()}
    for pin in pins:
        if pin.digest not in names:
            names[pin.digest] = ENDING
            variants[ENDING] = pin.digest
    return [pin_document(pin, names[pin.digest]) for pin in pins]


def read_route(document: Mapping[str, Any]) -> Route:
    """Read a document that `compile_route` wrote."""
    variants = document["variants"]
    border = next((part["end"] for part in document["split"] if part["variant"] == CANARY), 0)
    return Route(
        key=document["key"],
        kind=document["kind"],
        stable=variants[STABLE],
        canary=variants.get(CANARY),
        share=border / BUCKETS,
        audience=read_rules(document["rules"]),
        shadow=document.get("shadow", {}).get("end", 0) / BUCKETS,
        previous=variants.get(PREVIOUS),
        pins=tuple(read_pin(pin, variants) for pin in document.get("pins", ())),
        unit=document["unit"],
        salt=document["salt"],
        rollout=document["rollout"],
        enabled=document["enabled"],
        cut=document.get("cut", False),
        generation=document["generation"],
    )


def without_canary(route: Route) -> Route:
    """Give the route with its stable version alone; the same generation."""
    return replace(route, canary=None, share=0.0, audience=(), shadow=0.0)


def settled(route: Route, digest: str, *, keep: bool = False) -> Route:
    """Give all traffic to one version; the next generation. `keep`: the version before stays warm."""
    return replace(
        without_canary(route),
        stable=digest,
        previous=route.stable if keep else None,
        rollout=None,
        generation=route.generation + 1,
    )


def grown_pins(plan: Plan, before: Route, share: float, now: datetime) -> Pins:
    """Let the conversations of a share that grows end on the stable version."""
    moved = (before.border, round(share * BUCKETS))
    return (*still(before.pins, now), *pins_for(plan, before.stable, moved, before.salt, now))


def given_back_pins(plan: Plan, before: Route, now: datetime) -> Pins:
    """Let the conversations of a canary that is given up end on it; those that never had it stay away."""
    kept = still(before.pins, now)
    if before.canary is None:
        return kept
    return (*kept, *pins_for(plan, before.canary, (0, before.border), before.salt, now))


def without_ended(route: Route, now: datetime) -> Route:
    """Give the route without pins whose time is over; the same generation."""
    return replace(route, pins=still(route.pins, now)) if route.pins else route
