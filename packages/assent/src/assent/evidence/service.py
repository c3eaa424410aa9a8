"""Record and read evidence; the common currency between slices that do not know each other."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from assent.evidence import store
from assent.evidence.domain import LIVE, ClaimRecorded, Evidence, metrics_of
from assent.evidence.store import claims, metrics
from assent.kernel.canonical import is_digest
from assent.kernel.errors import Invalid, NotFound
from assent.kernel.ids import new_id
from assent.kernel.tx import Reader, Tx

MAX_LISTED = 1000


def record(
    tx: Tx,
    *,
    project: str,
    kind: str,
    subject: str,
    value: Mapping[str, Any],
    expires_at: datetime | None = None,
) -> Evidence:
    """Record a claim of a digest; `environment` and `name` in its value say where it holds.

    `metrics` in its value are the figures by which its subject is searched. Raises: Invalid.
    """
    metrics_of(value)
    if not is_digest(subject):
        raise Invalid(f"Evidence speaks of a digest; {subject!r} is none.")
    claim = ClaimRecorded(
        evidence=new_id("evi"),
        project=project,
        kind=kind,
        subject=subject,
        environment=value.get("environment"),
        name=value.get("name"),
        value=dict(value),
        expires_at=expires_at,
    )
    tx.record(claim)
    return get(tx, project, claim.evidence)


def get(reader: Reader, project: str, evidence: str) -> Evidence:
    """Get a claim. Raises: NotFound."""
    found = store.select(reader.conn, claims.c.project == project, claims.c.id == evidence, limit=1)
    if not found:
        raise NotFound(f"{project} has no evidence {evidence!r}.")
    return found[0]


def list_(
    reader: Reader, project: str, subject: str, kind: str | None = None, environment: str | None = None
) -> list[Evidence]:
    """List what is claimed of a digest, newest first."""
    where = [claims.c.project == project, claims.c.subject == subject]
    if kind is not None:
        where.append(claims.c.kind == kind)
    if environment is not None:
        where.append(claims.c.environment == environment)
    return store.select(reader.conn, *where, limit=MAX_LISTED)


def latest(
    reader: Reader, project: str, kind: str, subject: str, environment: str | None = None
) -> Evidence | None:
    """Give the newest claim of a kind, whether or not it is still in its window."""
    found = list_(reader, project, subject, kind, environment)
    return found[0] if found else None


def latest_in(reader: Reader, project: str, environment: str, kind: str, name: str) -> Evidence | None:
    """Give the newest claim of a kind about a name in an environment, whatever its subject."""
    where = (
        claims.c.project == project,
        claims.c.environment == environment,
        claims.c.kind == kind,
        claims.c.name == name,
    )
    found = store.select(reader.conn, *where, limit=1)
    return found[0] if found else None


def live(reader: Reader, project: str, environment: str, name: str) -> str | None:
    """Give the digest of the version of `name` that the environment serves, or None."""
    found = latest_in(reader, project, environment, LIVE, name)
    return None if found is None else found.subject


def is_anything_live(reader: Reader, project: str, environment: str) -> bool:
    """Tell whether an environment serves anything."""
    c = claims.c
    where = (c.project == project, c.environment == environment, c.kind == LIVE)
    return bool(store.select(reader.conn, *where, limit=1))


def live_at(reader: Reader, project: str, environment: str, name: str, at: datetime) -> str | None:
    """Give the digest of the version of `name` that the environment served at a moment, or None."""
    c = claims.c
    place = (c.project == project, c.environment == environment, c.kind == LIVE, c.name == name)
    found = store.select(reader.conn, *place, c.issued_at <= at, limit=1)
    return found[0].subject if found else None


def list_metrics(reader: Reader, project: str, subject: str) -> dict[str, float]:
    """Give the newest figures of a digest, by name."""
    m = metrics.c
    query = sa.select(m.name, m.value).where(m.project == project, m.subject == subject).order_by(m.name)
    return {row.name: row.value for row in reader.conn.execute(query)}


def subjects_by_metric(
    project: str, name: str, compare: Callable[[sa.ColumnElement[Any]], sa.ColumnElement[bool]]
) -> sa.Select[tuple[str]]:
    """Select the digests whose newest figure of a name compares: for the filters of registries."""
    m = metrics.c
    return sa.select(m.subject).where(m.project == project, m.name == name, compare(m.value))
