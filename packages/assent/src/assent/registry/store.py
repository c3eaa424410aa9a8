"""Tables, projections and queries of model versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from assent.kernel.db import Json, Utc, table
from assent.kernel.events import Recorded
from assent.kernel.guards import unchanging
from assent.kernel.tx import Projections, Reader, Tx, Writer
from assent.prompts import service as prompts
from assent.prompts.domain import parse_number
from assent.registry.domain import Stage, Status, VersionAdvanced, VersionRegistered

ID = sa.String(64)
NAME = sa.String(63)
DIGEST = sa.String(71)
TEXT = sa.String(300)

versions = unchanging(
    table(
        "registry_versions",
        sa.Column("id", ID, primary_key=True),
        sa.Column("project", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("number", ID, nullable=False),
        sa.Column("sort_key", sa.String(400), nullable=False),
        sa.Column("digest", DIGEST, nullable=False, unique=True),
        sa.Column("tier", sa.String(20), nullable=False),
        sa.Column("owner", TEXT),
        sa.Column("provider", TEXT, nullable=False),
        sa.Column("upstream_model", TEXT, nullable=False),
        sa.Column("base_model", TEXT),
        sa.Column("prompt", DIGEST),
        sa.Column("supersedes", DIGEST),
        sa.Column("contributors", Json, nullable=False),
        sa.Column("registered_at", Utc, nullable=False),
        sa.Column("registered_by", ID, nullable=False),
        sa.UniqueConstraint("project", "name", "number"),
        sa.Index("ix_registry_versions_order", "project", "name", "sort_key"),
        sa.Index("ix_registry_versions_page", "project", "id"),
        kind="governed",
    )
)
states = table(
    "registry_states",
    sa.Column("digest", DIGEST, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("stage", sa.String(20), nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("since", Utc, nullable=False),
    sa.Column("because", sa.String(100), nullable=False),
    sa.Index("ix_registry_states_stage", "project", "stage"),
    kind="governed",
)
tags = unchanging(
    table(
        "registry_tags",
        sa.Column("project", NAME, primary_key=True),
        sa.Column("tag", NAME, primary_key=True),
        sa.Column("version", ID, primary_key=True),
        kind="governed",
    )
)
edges = unchanging(
    table(
        "registry_edges",
        sa.Column("project", NAME, primary_key=True),
        sa.Column("source", DIGEST, primary_key=True),
        sa.Column("kind", sa.String(20), primary_key=True),
        sa.Column("target", DIGEST, primary_key=True),
        sa.Index("ix_registry_edges_target", "project", "target"),
        kind="governed",
    )
)
documents = unchanging(
    table(
        "registry_documents",
        sa.Column("digest", DIGEST, primary_key=True),
        sa.Column("content", sa.Text, nullable=False),
        kind="body",
    ),
    erasable=True,
)

projections = Projections("registry")


@projections.on(VersionRegistered)
def _registered(conn: Writer, r: Recorded[VersionRegistered]) -> None:
    e = r.event
    conn.execute(
        sa.insert(versions).values(
            id=e.id,
            project=e.project,
            name=e.name,
            number=e.number,
            sort_key=parse_number(e.number).sort_key,
            digest=e.digest,
            tier=e.tier,
            owner=e.owner,
            provider=e.provider,
            upstream_model=e.upstream_model,
            base_model=e.base_model,
            prompt=e.prompt,
            supersedes=e.supersedes,
            contributors=list(e.contributors),
            registered_at=r.at,
            registered_by=r.actor,
        )
    )
    conn.execute(
        sa.insert(states).values(
            digest=e.digest,
            project=e.project,
            stage=Stage.DEVELOPMENT.value,
            status=Status.DRAFT.value,
            since=r.at,
            because=r.id,
        )
    )
    if e.tags:
        conn.execute(sa.insert(tags), [{"project": e.project, "tag": tag, "version": e.id} for tag in e.tags])
    if rows := _edges(e):
        conn.execute(sa.insert(edges), rows)


def _edges(e: VersionRegistered) -> list[dict[str, str]]:
    found = [("built_from", target) for target in e.built_from]
    found += [("trained_on", target) for target in e.trained_on]
    found += [(kind, t) for kind, t in (("uses_prompt", e.prompt), ("supersedes", e.supersedes)) if t]
    return [{"project": e.project, "source": e.digest, "kind": kind, "target": t} for kind, t in found]


@projections.on(VersionAdvanced)
def _advanced(conn: Writer, r: Recorded[VersionAdvanced]) -> None:
    e = r.event
    conn.execute(
        sa.update(states)
        .where(states.c.digest == e.subject)
        .values(stage=e.stage, status=e.status, since=r.at, because=e.because)
    )


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
_WHOLE = (
    sa.select(versions, *_STATE, documents.c.content)
    .join(states, states.c.digest == versions.c.digest)
    .outerjoin(documents, documents.c.digest == versions.c.digest)
)


def put_document(tx: Tx, digest: str, content: str) -> None:
    """Keep a document under its digest; one that was erased may come back with its version."""
    present = tx.conn.execute(sa.select(documents.c.digest).where(documents.c.digest == digest)).first()
    if present is None:
        tx.conn.execute(sa.insert(documents).values(digest=digest, content=content))


def find(reader: Reader, project: str, name: str, number: str | None) -> ModelVersion | None:
    """Find a version, or the one with the highest number."""
    query = _WHOLE.where(versions.c.project == project, versions.c.name == name)
    if number is not None:
        query = query.where(versions.c.number == number)
    return _first(reader, query.order_by(versions.c.sort_key.desc()))


def find_by_digest(reader: Reader, digest: str, project: str | None = None) -> ModelVersion | None:
    """Find the version with this content."""
    query = _WHOLE.where(versions.c.digest == digest)
    return _first(reader, query if project is None else query.where(versions.c.project == project))


def lock_state(tx: Tx, digest: str) -> None:
    """Lock the row that a move writes."""
    tx.conn.execute(sa.select(states.c.digest).where(states.c.digest == digest).with_for_update())


def _first(reader: Reader, query: sa.Select[Any]) -> ModelVersion | None:
    row = reader.conn.execute(query.limit(1)).mappings().first()
    return None if row is None else ModelVersion(**row)


def list_versions(
    reader: Reader,
    project: str,
    where: Mapping[str, str],
    before: str | None = None,
    limit: int | None = None,
) -> list[ModelVersion]:
    """List versions, newest first; `where`: columns of version or state and their values, and `tag`."""
    query = _WHOLE.where(versions.c.project == project)
    for key, value in where.items():
        if key == "tag":
            tagged = sa.select(tags.c.version).where(tags.c.project == project, tags.c.tag == value)
            query = query.where(versions.c.id.in_(tagged))
        else:
            query = query.where((states.c if key in {"stage", "status"} else versions.c)[key] == value)
    if before is not None:
        query = query.where(versions.c.id < before)
    rows = reader.conn.execute(query.order_by(versions.c.id.desc()).limit(limit)).mappings()
    return [ModelVersion(**row) for row in rows]


def list_names(reader: Reader, project: str) -> list[str]:
    """List the names of a project's models."""
    query = sa.select(versions.c.name).where(versions.c.project == project).distinct()
    return sorted(reader.conn.execute(query).scalars())


def list_edges(reader: Reader, project: str, digest: str) -> list[Edge]:
    """List the relations from and to a version, by kind."""
    e = edges.c
    query = sa.select(e.source, e.kind, e.target).where(
        e.project == project, sa.or_(e.source == digest, e.target == digest)
    )
    return [Edge(*row) for row in reader.conn.execute(query.order_by(e.kind, e.source, e.target))]
