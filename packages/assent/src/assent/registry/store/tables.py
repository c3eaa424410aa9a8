"""Tables of model versions and their labels, and the projections that write them."""

from __future__ import annotations

import sqlalchemy as sa

from assent.kernel.db import Json, Utc, table
from assent.kernel.events import Recorded
from assent.kernel.guards import unchanging
from assent.kernel.tx import Projections, Writer
from assent.prompts.domain import parse_number
from assent.registry.domain import (
    LabelMoved,
    Stage,
    Status,
    VersionAdvanced,
    VersionDeleted,
    VersionRegistered,
)

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
        sa.Index("ix_registry_versions_name", "project", "name", "id"),
        sa.Index("ix_registry_versions_owner", "project", "owner", "id"),
        sa.Index("ix_registry_versions_base_model", "project", "base_model", "id"),
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
    sa.Index("ix_registry_states_status", "project", "status"),
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

labels = table(
    "registry_labels",
    sa.Column("project", NAME, primary_key=True),
    sa.Column("kind", sa.String(10), primary_key=True),
    sa.Column("name", NAME, primary_key=True),
    sa.Column("label", NAME, primary_key=True),
    sa.Column("digest", DIGEST),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("moved_at", Utc, nullable=False),
    sa.Column("moved_by", ID, nullable=False),
    sa.Index("ix_registry_labels_digest", "digest", "label"),
    kind="governed",
)
label_moves = unchanging(
    table(
        "registry_label_moves",
        sa.Column("project", NAME, primary_key=True),
        sa.Column("kind", sa.String(10), primary_key=True),
        sa.Column("name", NAME, primary_key=True),
        sa.Column("label", NAME, primary_key=True),
        sa.Column("generation", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("before", DIGEST),
        sa.Column("after", DIGEST),
        sa.Column("rolled_back", sa.Boolean, nullable=False),
        sa.Column("because", sa.String(100)),
        sa.Column("reason", DIGEST),
        sa.Column("moved_at", Utc, nullable=False),
        sa.Column("moved_by", ID, nullable=False),
        sa.Index("ix_registry_label_moves_after", "after"),
        kind="governed",
    )
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


@projections.on(VersionDeleted)
def _deleted(conn: Writer, r: Recorded[VersionDeleted]) -> None:
    conn.execute(
        sa.update(states)
        .where(states.c.digest == r.event.subject)
        .values(status=Status.DELETED.value, since=r.at, because=r.id)
    )


@projections.on(LabelMoved)
def _moved(conn: Writer, r: Recorded[LabelMoved]) -> None:
    e = r.event
    place = {"project": e.project, "kind": e.kind, "name": e.name, "label": e.label}
    conn.execute(
        sa.insert(label_moves).values(
            **place,
            generation=e.generation,
            before=e.before,
            after=e.after,
            rolled_back=e.rolled_back,
            because=e.because,
            reason=r.reason,
            moved_at=r.at,
            moved_by=r.actor,
        )
    )
    now = {"digest": e.after, "generation": e.generation, "moved_at": r.at, "moved_by": r.actor}
    if e.generation == 1:
        conn.execute(sa.insert(labels).values(**place, **now))
        return
    c = labels.c
    here = (c.project == e.project, c.kind == e.kind, c.name == e.name, c.label == e.label)
    conn.execute(sa.update(labels).where(*here).values(now))
