"""Queries of labels: what each points to, what it pointed to, and where a rollback leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from assent.kernel.tx import Reader
from assent.registry.domain import Step
from assent.registry.store.tables import label_moves, labels


@dataclass(frozen=True, slots=True)
class Label:
    """A label and the version that it points to, by digest; None where it was taken away."""

    project: str
    kind: str
    name: str
    label: str
    digest: str | None
    generation: int
    moved_at: datetime
    moved_by: str


@dataclass(frozen=True, slots=True)
class Move:
    """One move of a label; `reason` is the digest of a body."""

    project: str
    kind: str
    name: str
    label: str
    generation: int
    before: str | None
    after: str | None
    rolled_back: bool
    because: str | None
    reason: str | None
    moved_at: datetime
    moved_by: str


def find_label(reader: Reader, kind: str, project: str, name: str, label: str) -> Label | None:
    """Find a label, taken away or not."""
    found = _labels(reader, *_place(labels, kind, project, name), labels.c.label == label)
    return found[0] if found else None


def list_labels(reader: Reader, kind: str, project: str, name: str) -> list[Label]:
    """List the labels of a name, taken away ones too."""
    return _labels(reader, *_place(labels, kind, project, name))


def labels_of(reader: Reader, digests: Sequence[str]) -> dict[str, list[str]]:
    """Give the labels that point to each of these versions now."""
    query = sa.select(labels.c.digest, labels.c.label).where(labels.c.digest.in_(digests))
    found: dict[str, list[str]] = {}
    for digest, label in reader.conn.execute(query.order_by(labels.c.label)):
        found.setdefault(digest, []).append(label)
    return found


def list_moves(
    reader: Reader, label: Label, before: int | None = None, limit: int | None = None
) -> list[Move]:
    """List the moves of a label, newest first."""
    query = sa.select(label_moves).where(*_moves(label))
    if before is not None:
        query = query.where(label_moves.c.generation < before)
    rows = reader.conn.execute(query.order_by(label_moves.c.generation.desc()).limit(limit)).mappings()
    return [Move(**row) for row in rows]


def label_at(reader: Reader, label: Label, at: datetime) -> Move | None:
    """Give the move that a label stood on at a time."""
    query = sa.select(label_moves).where(*_moves(label), label_moves.c.moved_at <= at)
    row = reader.conn.execute(query.order_by(label_moves.c.generation.desc()).limit(1)).mappings().first()
    return None if row is None else Move(**row)


def steps_of(reader: Reader, label: Label) -> list[Step]:
    """Give all steps of a label, oldest first."""
    query = sa.select(label_moves.c.after, label_moves.c.rolled_back).where(*_moves(label))
    return [Step(*row) for row in reader.conn.execute(query.order_by(label_moves.c.generation))]


def was_labelled(reader: Reader, digest: str) -> list[str]:
    """Give the labels that ever pointed to a version."""
    query = sa.select(label_moves.c.label).where(label_moves.c.after == digest).distinct()
    return sorted(reader.conn.execute(query).scalars())


def _labels(reader: Reader, *where: sa.ColumnElement[bool]) -> list[Label]:
    rows = reader.conn.execute(sa.select(labels).where(*where).order_by(labels.c.label)).mappings()
    return [Label(**row) for row in rows]


def _moves(label: Label) -> list[sa.ColumnElement[bool]]:
    place = _place(label_moves, label.kind, label.project, label.name)
    return [*place, label_moves.c.label == label.label]


def _place(table: Any, kind: str, project: str, name: str) -> list[sa.ColumnElement[bool]]:
    return [table.c.project == project, table.c.kind == kind, table.c.name == name]
