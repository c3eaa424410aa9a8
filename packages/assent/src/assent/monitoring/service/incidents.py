"""Incidents: opened by a guard or a person, seen, mitigated, over, looked back on."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from assent.delivery import service as delivery
from assent.identity import service as identity
from assent.kernel.canonical import canonical
from assent.kernel.errors import Conflict, Invalid, NotFound, Reason
from assent.kernel.ids import new_id
from assent.kernel.tx import Reader, Tx
from assent.ledger import service as ledger
from assent.ledger.domain import About, Leaf
from assent.monitoring.domain.events import (
    IncidentAcknowledged,
    IncidentMitigated,
    IncidentNoted,
    IncidentOpened,
    IncidentResolved,
    IncidentReviewed,
)
from assent.monitoring.service import alerts
from assent.monitoring.store import incidents as store

MAX_TEXT = 20_000
MAX_TITLE = 200
MAX_ITEMS = 50
SEVERITIES = ("low", "high", "critical")
BEFORE = timedelta(hours=6)
"""What happened to its name so long before it was opened belongs to its timeline."""

LEFT_OUT = ("monitoring.block.closed", "monitoring.watch.sealed")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIncident:
    """What a person says of an incident that they open."""

    environment: str
    title: str
    severity: str = "high"
    route: str | None = None
    rollout: str | None = None
    alert: str | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """What is to change after an incident, and who sees to it; `due` is a day."""

    what: str
    owner: str
    due: str | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """What was learned: what happened, why, and what is to change."""

    text: str
    causes: Sequence[str] = ()
    actions: Sequence[Action] = ()


def open_(tx: Tx, project: str, new: NewIncident) -> sa.Row[Any]:
    """Open an incident by hand. Raises: NotFound, Invalid with every mistake."""
    identity.get_environment(tx, project, new.environment)
    title = new.title.strip()
    mistakes = []
    if not 1 <= len(title) <= MAX_TITLE:
        mistakes.append(
            Reason("title", f"The title must have 1 to {MAX_TITLE} characters.", "Say what is wrong.")
        )
    if new.severity not in SEVERITIES:
        mistakes.append(
            Reason("severity", f"{new.severity[:40]!r} is no severity.", f"One of {', '.join(SEVERITIES)}.")
        )
    if mistakes:
        raise Invalid(" ".join(one.message for one in mistakes), reasons=mistakes)
    rollout = None if new.rollout is None else delivery.get(tx, new.rollout, project)
    incident = new_id("inc")
    tx.record(
        IncidentOpened(
            incident=incident,
            project=project,
            environment=new.environment,
            rollout=new.rollout,
            route=new.route or (rollout.name if rollout else None),
            subject=rollout.subject if rollout else None,
            title=_keep(tx, title, "title"),
            severity=new.severity,
            alert=None if new.alert is None else alerts.get(tx, project, new.alert).name,
        )
    )
    return get(tx, project, incident)


def get(reader: Reader, project: str, incident: str) -> sa.Row[Any]:
    """Get an incident. Raises: NotFound."""
    found = store.find(reader.conn, project, incident)
    if found is None:
        raise NotFound(f"There is no incident {incident!r}.", remedy="`assent incident list` shows them.")
    return found


def list_(
    reader: Reader, project: str, *, rollout: str | None = None, cursor: str | None = None, limit: int = 50
) -> tuple[list[sa.Row[Any]], str | None]:
    """List incidents, newest first, and the cursor of the next page."""
    found = store.list_(reader.conn, project, rollout, cursor, limit + 1)
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def acknowledge(tx: Tx, project: str, incident: str) -> sa.Row[Any]:
    """Say that somebody is on it. Raises: NotFound, Conflict."""
    found = get(tx, project, incident)
    if found.acknowledged_at is not None:
        raise Conflict(f"{incident} was acknowledged by {found.acknowledged_by} already.")
    tx.record(IncidentAcknowledged(project=project, incident=incident))
    return get(tx, project, incident)


def note(tx: Tx, project: str, incident: str, text: str) -> sa.Row[Any]:
    """Write down what was seen or done; it stands in the timeline. Raises: NotFound, Invalid."""
    found = get(tx, project, incident)
    tx.record(IncidentNoted(project=project, incident=incident, note=_keep(tx, text, "note")))
    return found


def mitigate(tx: Tx, project: str, incident: str) -> sa.Row[Any]:
    """Say that users are harmed no longer. Raises: NotFound, Conflict."""
    found = get(tx, project, incident)
    if found.mitigated_at is not None or found.resolved_at is not None:
        by = found.mitigated_by or found.resolved_by
        raise Conflict(f"{incident} was mitigated or resolved by {by} already.")
    tx.record(IncidentMitigated(project=project, incident=incident))
    return get(tx, project, incident)


def resolve(tx: Tx, project: str, incident: str, text: str) -> sa.Row[Any]:
    """Say that it is over, and what ended it. Raises: NotFound, Conflict, Invalid."""
    found = get(tx, project, incident)
    if found.resolved_at is not None:
        raise Conflict(f"{incident} was resolved by {found.resolved_by} already.")
    tx.record(IncidentResolved(project=project, incident=incident, note=_keep(tx, text, "note")))
    return get(tx, project, incident)


def review(tx: Tx, project: str, incident: str, learned: Review | str) -> sa.Row[Any]:
    """Look back: what happened, why, what changes. Raises: NotFound, Conflict, Invalid."""
    found = get(tx, project, incident)
    if found.resolved_at is None:
        raise Conflict(f"{incident} is still open.", remedy=f"assent incident resolve {incident} --note TEXT")
    if found.reviewed_at is not None:
        raise Conflict(f"{incident} was reviewed by {found.reviewed_by} already.")
    told = Review(learned) if isinstance(learned, str) else learned
    more = {"causes": list(told.causes), "actions": [asdict(one) for one in told.actions]}
    _check_items(told)
    tx.record(
        IncidentReviewed(project=project, incident=incident, review=_keep(tx, told.text, "review", more))
    )
    return get(tx, project, incident)


def _check_items(told: Review) -> None:
    owners = all(one.owner.strip() and one.what.strip() for one in told.actions)
    texts = [*told.causes, *(f"{one.what}{one.owner}{one.due or ''}" for one in told.actions)]
    if not owners or len(texts) > MAX_ITEMS or any(len(text) > MAX_TEXT for text in texts):
        raise Invalid(
            f"Each action needs an owner and a text; there are at most {MAX_ITEMS} causes and actions.",
            remedy="Write OWNER: WHAT.",
        )


def state_of(incident: sa.Row[Any]) -> str:
    """Give where an incident stands."""
    if incident.resolved_at is not None:
        return "reviewed" if incident.reviewed_at is not None else "resolved"
    if incident.acknowledged_at is None:
        return "open"
    by_person = incident.guard is None and incident.mitigated_at is not None
    return "mitigated" if by_person else "acknowledged"


def clock(incident: sa.Row[Any], now: datetime) -> dict[str, Any]:
    """Give the seconds from its opening to each of its stations; None for what has not come yet."""

    def since(moment: datetime | None) -> float | None:
        return None if moment is None else (moment - incident.opened_at).total_seconds()

    return {
        "to_acknowledge_s": since(incident.acknowledged_at),
        "to_mitigate_s": since(incident.mitigated_at),
        "to_resolve_s": since(incident.resolved_at),
        "open_s": since(incident.resolved_at or now),
    }


def timeline(reader: Reader, incident: sa.Row[Any]) -> list[Leaf]:
    """Read from the ledger what belongs to an incident, oldest first.

    All that names it; what happened to its rollout; and, from six hours before until its end, what happened
    to its name and its alert.
    """
    project = incident.project
    own = [value for value in (incident.id, incident.rollout) if value]
    found = {leaf.index: leaf for leaf in ledger.about(reader, project, About(values=own, without=LEFT_OUT))}
    around = [value for value in (incident.route, incident.alert) if value]
    start, end = incident.opened_at - BEFORE, incident.resolved_at or reader.now()
    if around:
        near = ledger.about(reader, project, About(values=around, without=LEFT_OUT))
        found |= {leaf.index: leaf for leaf in near if start <= leaf.at <= end}
    return [found[index] for index in sorted(found)]


def text_of(reader: Reader, digest: str | None) -> str | None:
    """Give the text of a note or review; None where there is none, or where it was erased."""
    body = _body(reader, digest)
    return None if body is None else str(body["text"])


def review_of(reader: Reader, incident: sa.Row[Any]) -> dict[str, Any] | None:
    """Give a review with its causes and actions; None where there is none, or where it was erased."""
    body = _body(reader, incident.review)
    if body is None:
        return None
    return {"text": body["text"], "causes": body.get("causes", []), "actions": body.get("actions", [])}


def _body(reader: Reader, digest: str | None) -> Mapping[str, Any] | None:
    if digest is None or not reader.blobs.exists(digest):
        return None
    found: dict[str, Any] = json.loads(reader.blobs.get(digest))
    return found


def _keep(tx: Tx, text: str, what: str, more: Mapping[str, Any] | None = None) -> str:
    """Store a text as a salted body: the digest in the ledger gives nothing of a short text away."""
    if not text.strip() or len(text) > MAX_TEXT:
        raise Invalid(
            f"The {what} must have 1 to {MAX_TEXT:,} characters.", remedy="Say it in a few sentences."
        )
    return tx.blobs.put(canonical({"salt": secrets.token_hex(16), "text": text.strip(), **(more or {})}))
