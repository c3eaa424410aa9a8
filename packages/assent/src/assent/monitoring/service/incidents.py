"""Incidents: seen, over, looked back on."""

import json
import secrets
from typing import Any

import sqlalchemy as sa

from assent.kernel.canonical import canonical
from assent.kernel.errors import Conflict, Invalid, NotFound
from assent.kernel.tx import Reader, Tx
from assent.monitoring.domain.events import IncidentAcknowledged, IncidentResolved, IncidentReviewed
from assent.monitoring.store import reading

MAX_TEXT = 20_000


def get(reader: Reader, project: str, incident: str) -> sa.Row[Any]:
    """Get an incident. Raises: NotFound."""
    found = reading.find_incident(reader.conn, project, incident)
    if found is None:
        raise NotFound(f"There is no incident {incident!r}.", remedy="`assent incident list` shows them.")
    return found


def list_(
    reader: Reader, project: str, *, rollout: str | None = None, cursor: str | None = None, limit: int = 50
) -> tuple[list[sa.Row[Any]], str | None]:
    """List incidents, newest first, and the cursor of the next page."""
    found = reading.list_incidents(reader.conn, project, rollout, cursor, limit + 1)
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def acknowledge(tx: Tx, project: str, incident: str) -> sa.Row[Any]:
    """Say that somebody is on it. Raises: NotFound, Conflict."""
    found = get(tx, project, incident)
    if found.acknowledged_at is not None:
        raise Conflict(f"{incident} was acknowledged by {found.acknowledged_by} already.")
    tx.record(IncidentAcknowledged(project=project, incident=incident))
    return get(tx, project, incident)


def resolve(tx: Tx, project: str, incident: str, note: str) -> sa.Row[Any]:
    """Say that it is over, and what ended it. Raises: NotFound, Conflict, Invalid."""
    found = get(tx, project, incident)
    if found.resolved_at is not None:
        raise Conflict(f"{incident} was resolved by {found.resolved_by} already.")
    tx.record(IncidentResolved(project=project, incident=incident, note=_keep(tx, note, "note")))
    return get(tx, project, incident)


def review(tx: Tx, project: str, incident: str, text: str) -> sa.Row[Any]:
    """Look back: what happened, why, what changes. Raises: NotFound, Conflict, Invalid."""
    found = get(tx, project, incident)
    if found.resolved_at is None:
        raise Conflict(f"{incident} is still open.", remedy=f"assent incident resolve {incident} --note TEXT")
    if found.reviewed_at is not None:
        raise Conflict(f"{incident} was reviewed by {found.reviewed_by} already.")
    tx.record(IncidentReviewed(project=project, incident=incident, review=_keep(tx, text, "review")))
    return get(tx, project, incident)


def state_of(incident: sa.Row[Any]) -> str:
    """Give where an incident stands."""
    if incident.resolved_at is not None:
        return "reviewed" if incident.reviewed_at is not None else "resolved"
    return "open" if incident.acknowledged_at is None else "acknowledged"


def text_of(reader: Reader, digest: str | None) -> str | None:
    """Give the text of a note or review; None where there is none, or where it was erased."""
    if digest is None or not reader.blobs.exists(digest):
        return None
    return str(json.loads(reader.blobs.get(digest))["text"])


def _keep(tx: Tx, text: str, what: str) -> str:
    """Store a text as a salted body: the digest in the ledger gives nothing of a short text away."""
    if not text.strip() or len(text) > MAX_TEXT:
        raise Invalid(
            f"The {what} must have 1 to {MAX_TEXT:,} characters.", remedy="Say it in a few sentences."
        )
    return tx.blobs.put(canonical({"salt": secrets.token_hex(16), "text": text.strip()}))
