"""Queries of model versions. A deleted draft is found by its tombstone only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from assent.kernel.tx import Reader, Tx
from assent.prompts import service as prompts
from assent.registry.domain import Status
from assent.registry.store.tables import documents, edges, states, versions


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A registered model version, where it is in its life (`stage`, `since`), and its document."""

    id: str
    project: str
    name: str
    number: str
    sort_key: str
    digest: str
    tier: str
    owner: str | None
    provider: str
    upstream_model: str
    base_model: str | None
    prompt: str | None
    supersedes: str | None
    contributors: Sequence[str]
    registered_at: datetime
    registered_by: str
    stage: str
    status: str
    since: datetime
    because: str
    content: str | None = field(repr=False)

    @property
    def ref(self) -> str:
        """Give `name@number`."""
        return f"{self.name}@{self.number}"

    @property
    def document(self) -> dict[str, Any]:
        """Read the document and check it. Raises: NotFound (erased), Invalid (changed in the database)."""
        return prompts.read_document(self.ref, self.digest, self.content)


@dataclass(frozen=True, slots=True)
class Edge:
    """One relation: `source` uses_prompt, built_from, trained_on or supersedes `target`."""

    source: str
    kind: str
    target: str


_STATE = [states.c.stage, states.c.status, states.c.since, states.c.because]
WHOLE = (
    sa.select(versions, *_STATE, documents.c.content)
    .join(states, states.c.digest == versions.c.digest)
    .outerjoin(documents, documents.c.digest == versions.c.digest)
    .where(states.c.status != Status.DELETED.value)
)


def put_document(tx: Tx, digest: str, content: str) -> None:
    """Keep a document under its digest; one that was erased may come back with its version."""
    present = tx.conn.execute(sa.select(documents.c.digest).where(documents.c.digest == digest)).first()
    if present is None:
        tx.conn.execute(sa.insert(documents).values(digest=digest, content=content))


def erase_document(tx: Tx, digest: str) -> None:
    """Erase a document's text."""
    tx.conn.execute(sa.delete(documents).where(documents.c.digest == digest))


def find(reader: Reader, project: str, name: str, number: str | None) -> ModelVersion | None:
    """Find a version, or the one with the highest number."""
    query = WHOLE.where(versions.c.project == project, versions.c.name == name)
    if number is not None:
        query = query.where(versions.c.number == number)
    return _first(reader, query.order_by(versions.c.sort_key.desc()))


def find_by_digest(reader: Reader, digest: str, project: str | None = None) -> ModelVersion | None:
    """Find the version with this content."""
    query = WHOLE.where(versions.c.digest == digest)
    return _first(reader, query if project is None else query.where(versions.c.project == project))


def find_tombstone(reader: Reader, digest: str) -> sa.RowMapping | None:
    """Find a deleted draft: its name and number, and since when it is gone."""
    query = (
        sa.select(versions.c.name, versions.c.number, states.c.since)
        .join(states, states.c.digest == versions.c.digest)
        .where(states.c.status == Status.DELETED.value, versions.c.digest == digest)
    )
    return reader.conn.execute(query).mappings().first()


def numbers_of(reader: Reader, project: str, name: str) -> list[str]:
    """List all numbers that a name has used, those of deleted drafts too."""
    query = sa.select(versions.c.number).where(versions.c.project == project, versions.c.name == name)
    return list(reader.conn.execute(query).scalars())


def lock_state(tx: Tx, digest: str) -> None:
    """Lock the row that a move writes."""
    tx.conn.execute(sa.select(states.c.digest).where(states.c.digest == digest).with_for_update())


def _first(reader: Reader, query: sa.Select[Any]) -> ModelVersion | None:
    row = reader.conn.execute(query.limit(1)).mappings().first()
    return None if row is None else ModelVersion(**row)


def list_versions(reader: Reader, project: str, name: str) -> list[ModelVersion]:
    """List all versions of a name, newest first."""
    query = WHOLE.where(versions.c.project == project, versions.c.name == name)
    return [
        ModelVersion(**row) for row in reader.conn.execute(query.order_by(versions.c.id.desc())).mappings()
    ]


def list_names(reader: Reader, project: str) -> list[str]:
    """List the names of a project's models."""
    query = (
        sa.select(versions.c.name)
        .join(states, states.c.digest == versions.c.digest)
        .where(versions.c.project == project, states.c.status != Status.DELETED.value)
        .distinct()
    )
    return sorted(reader.conn.execute(query).scalars())


def list_edges(reader: Reader, project: str, digest: str) -> list[Edge]:
    """List the relations from and to a version, by kind."""
    e = edges.c
    query = (
        sa.select(e.source, e.kind, e.target)
        .outerjoin(states, states.c.digest == e.source)
        .where(
            e.project == project,
            sa.or_(e.source == digest, e.target == digest),
            states.c.status != Status.DELETED.value,
        )
    )
    return [Edge(*row) for row in reader.conn.execute(query.order_by(e.kind, e.source, e.target))]
