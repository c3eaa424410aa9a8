"""Routes: what each environment serves now, and the switch that turns a name off."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from assent.delivery import store
from assent.delivery.domain import Route, moves, read_route, without_ended
from assent.delivery.service import rollouts
from assent.delivery.service.watch import announce
from assent.identity import service as identity
from assent.kernel.errors import NotFound, Stale
from assent.kernel.reasons import needed_reason
from assent.kernel.tx import Reader, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A name in an environment. `generation`: what the caller saw of its route, if they say so."""

    project: str
    environment: str
    name: str
    generation: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What a name serves in an environment."""

    environment: str
    route: Route
    changed_at: datetime


def get_route(reader: Reader, place: Place) -> Route:
    """Get a route. Raises: NotFound."""
    return _found(store.find_route(reader.conn, place.project, place.environment, place.name), place)


def list_live(reader: Reader, project: str, environment: str | None = None) -> list[Live]:
    """List what is served, in one environment or all. Raises: NotFound (no such environment)."""
    if environment is not None:
        identity.get_environment(reader, project, environment)
    now = reader.now()
    return [
        Live(
            environment=row.environment,
            route=without_ended(read_route(row.document), now),
            changed_at=row.changed_at,
        )
        for row in store.list_routes(reader.conn, project, environment)
    ]


def kill(tx: Tx, place: Place, reason: str | None, *, cut: bool = False) -> Route:
    """Switch a name off: it answers nobody. A rollout that runs on it is taken back first.

    With `cut` gateways also end the calls that are under way.

    Raises: Invalid, NotFound, Stale, Conflict.
    """
    kept = needed_reason(tx, reason, "Switching off")
    route = locked_route(tx, place)
    if route.enabled and route.rollout is not None:
        rollouts.roll_back_for_kill(tx, route.rollout, kept)
        route = get_route(tx, place)
    tx.record(moves.kill(route, place.project, place.environment, cut=cut), reason=kept)
    announce(tx.conn)
    return get_route(tx, place)


def restore(tx: Tx, place: Place, reason: str | None) -> Route:
    """Let a name answer again, with its stable version. Raises: Invalid, NotFound, Stale, Conflict."""
    kept = needed_reason(tx, reason, "Switching on again")
    route = locked_route(tx, place)
    tx.record(moves.restore(route, place.project, place.environment), reason=kept)
    announce(tx.conn)
    return get_route(tx, place)


def acknowledge(tx: Tx, place_of: tuple[str, str], replica: str, position: tuple[int, int]) -> None:
    """Keep which snapshot a replica serves: (project, environment), its name, (epoch, serial)."""
    project, environment = place_of
    identity.get_environment(tx, project, environment)
    row: dict[str, Any] = {
        "project": project,
        "environment": environment,
        "account": tx.actor.id,
        "replica": replica,
        "epoch": position[0],
        "serial": position[1],
        "acknowledged_at": tx.now(),
    }
    store.put_acknowledgement(tx.conn, row)


def list_acknowledgements(reader: Reader, project: str, environment: str) -> list[dict[str, Any]]:
    """List which snapshot each replica serves."""
    return store.list_acknowledgements(reader.conn, project, environment)


def locked_route(tx: Tx, place: Place) -> Route:
    """Lock a route and read it behind the lock. Raises: NotFound, Stale."""
    row = store.find_route(tx.conn, place.project, place.environment, place.name, lock=True)
    route = _found(row, place)
    if place.generation is not None and place.generation != route.generation:
        raise Stale(
            f"The route changed: you saw generation {place.generation}, it is at {route.generation}.",
            remedy="Look at it again, then repeat the action.",
        )
    return route


def _found(row: store.RouteRow | None, place: Place) -> Route:
    if row is None:
        raise NotFound(
            f"{place.environment} has no route for {place.name!r}.",
            remedy=f"`assent env show {place.environment}` lists its routes.",
        )
    return read_route(row.document)
