"""Find the prompt that an environment serves under a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from assent_client.decide import Decision
from assent_client.errors import Conflict, Gone, NotFound
from assent_client.snapshot import Snapshot

_GONE: Final = 410


class Pinned(NamedTuple):
    """What a route gives: the document of a prompt, its number where the snapshot says it, the generation.

    `decision` is None where nobody was decided for.
    """

    digest: str
    document: Mapping[str, Any]
    number: str | None
    generation: int
    route: str
    decision: Decision | None


def choose(snapshot: Snapshot, name: str, unit: str | None, context: Mapping[str, Any]) -> Pinned:
    """Choose by a route's name, or by that of a prompt that routes pin; without a unit the stable version.

    Raises: NotFound, Gone (retired), Conflict (routes pin different versions of it).
    """
    payload = snapshot.payload
    if name in payload.gone:
        departed = payload.gone[name]
        remedy = f"Use {departed.successor}." if departed.successor else None
        kind = Gone if departed.status == _GONE else NotFound
        raise kind(f"{name} is not served: {departed.reason}.", remedy=remedy)
    if name in payload.routes:
        served = _by_route(snapshot, name, unit, context)
        if served is None:
            raise NotFound(f"What {payload.environment} serves as {name} has no prompt.")
        return served
    pinned = [
        served
        for key in payload.routes
        if (served := _by_route(snapshot, key, unit, context)) and served.document.get("name") == name
    ]
    if not pinned:
        raise NotFound(
            f"{payload.environment} serves no prompt {name!r}.",
            remedy="Release it, or a system that pins it: assent request create",
        )
    if len({served.digest for served in pinned}) > 1:
        raise Conflict(
            f"{payload.environment} serves several versions of {name}, pinned by different systems.",
            remedy="Ask by the name of the system, or release the prompt under its own name.",
        )
    return pinned[0]


def _by_route(snapshot: Snapshot, key: str, unit: str | None, context: Mapping[str, Any]) -> Pinned | None:
    """Give the prompt that a route serves; None for a flag, and for a version without a prompt."""
    payload, route = snapshot.payload, snapshot.payload.routes[key]
    decision = None if unit is None else snapshot.routes[key](unit, context)
    value: Any = route["variants"].get(route["off"]) if decision is None else decision.value
    version = payload.versions.get(value) if isinstance(value, str) else None
    if version is None:
        return None
    generation = int(route["generation"])
    if version.document.get("kind") == "prompt":
        number = version.ref.rpartition("@")[2]
        return Pinned(value, version.document, number, generation, key, decision)
    pinned = version.document.get("prompt")
    if not isinstance(pinned, str) or pinned not in version.prompts:
        return None
    return Pinned(pinned, version.prompts[pinned], None, generation, key, decision)
