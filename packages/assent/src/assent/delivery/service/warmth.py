"""What keeps a way back ready: versions kept warm after a switch, and drills that time it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from assent.delivery import store
from assent.delivery.domain import events, moves
from assent.delivery.service.routes import Place, locked_route
from assent.delivery.service.watch import announce
from assent.identity import service as identity
from assent.kernel.errors import Conflict, NotFound
from assent.kernel.ids import new_id
from assent.kernel.reasons import keep_reason
from assent.kernel.tx import Reader, Tx
from assent.ledger import service as ledger

PRESENT_S = 3600
"""A replica that acknowledged a snapshot within this time is expected to answer a drill."""
PATIENCE_S = 30
"""After this time a replica that has not acknowledged counts as silent."""


def list_warm(reader: Reader) -> list[Place]:
    """List the routes whose time of keeping the version before warm is over."""
    return [
        Place(project=row.project, environment=row.environment, name=row.name)
        for row in store.list_warm(reader.conn, reader.now())
    ]


def cool(tx: Tx, place: Place) -> None:
    """Let go of the version that a route kept warm. Raises: NotFound, Conflict."""
    route = locked_route(tx, place)
    tx.record(moves.cool(route, place.project, place.environment))
    announce(tx.conn)


def drill(tx: Tx, place: Place, reason: str | None) -> dict[str, Any]:
    """Write a route again as it stands, so that the time to every replica is measured as for a rollback.

    Raises: NotFound, Stale, Conflict (a drill is on its way, or nobody serves the environment).
    """
    kept = keep_reason(tx, reason)
    route = locked_route(tx, place)
    where = {"project": place.project, "environment": place.environment, "name": place.name}
    if any(row["measured_at"] is None for row in store.list_drills(tx.conn, where, limit=1)):
        raise Conflict(
            f"A drill of {place.name} is on its way.", remedy="Wait a few seconds for its figures."
        )
    if not _present(tx, place.project, place.environment):
        raise Conflict(
            f"No replica has acknowledged a snapshot of {place.environment} in the last hour.",
            remedy="Start a gateway, or an application with the SDK, and try again.",
        )
    event = moves.drill(route, place.project, place.environment, new_id("dr"))
    tx.record(event, reason=kept)
    announce(tx.conn)
    return get_drill(tx, place.project, event.drill)


def measure_due(tx: Tx) -> int:
    """Write down the figures of the drills that every replica answered, or had the time to; give how many."""
    n = 0
    for row in store.list_drills(tx.conn, {"measured_at": None}):
        measured = _measured(tx, row)
        if measured is not None:
            tx.record(measured)
            n += 1
    return n


def has_drills_due(reader: Reader) -> bool:
    """Tell whether a drill waits for its figures."""
    return bool(store.list_drills(reader.conn, {"measured_at": None}, limit=1))


def get_drill(reader: Reader, project: str, drill_id: str) -> dict[str, Any]:
    """Get a drill. Raises: NotFound."""
    rows = store.list_drills(reader.conn, {"project": project, "id": drill_id}, limit=1)
    if not rows:
        raise NotFound(f"There is no drill {drill_id!r}.", remedy="`assent env drills` lists them.")
    return rows[0]


def list_drills(
    reader: Reader, project: str, environment: str | None = None, name: str | None = None
) -> list[dict[str, Any]]:
    """List the newest drills. Raises: NotFound (no such environment)."""
    where = {"project": project}
    if environment is not None:
        identity.get_environment(reader, project, environment)
        where["environment"] = environment
    if name is not None:
        where["name"] = name
    return store.list_drills(reader.conn, where)


def _present(reader: Reader, project: str, environment: str) -> list[dict[str, Any]]:
    since = reader.now() - timedelta(seconds=PRESENT_S)
    rows = store.list_acknowledgements(reader.conn, project, environment)
    return [row for row in rows if row["acknowledged_at"] > since]


def _measured(reader: Reader, row: dict[str, Any]) -> events.DrillMeasured | None:
    """Give a drill's figures; None while a replica may still answer."""
    index = ledger.leaf(reader, row["event"]).index
    replicas, silent = [], []
    for ack in _present(reader, row["project"], row["environment"]):
        if ack["serial"] > index:
            took = ack["acknowledged_at"] - row["drilled_at"]
            replicas.append((ack["replica"], max(0, round(took.total_seconds() * 1000))))
        else:
            silent.append(ack["replica"])
    if silent and reader.now() < row["drilled_at"] + timedelta(seconds=PATIENCE_S):
        return None
    return events.DrillMeasured(
        project=row["project"],
        environment=row["environment"],
        name=row["name"],
        drill=row["id"],
        slowest_ms=max((ms for _, ms in replicas), default=None),
        replicas=tuple(replicas),
        silent=tuple(silent),
    )
