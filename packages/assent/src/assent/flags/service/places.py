"""Where a flag or segment is, and reading what is there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assent.flags import store
from assent.flags.domain import Flag, flag_of
from assent.identity import service as identity
from assent.kernel.errors import NotFound, Stale
from assent.kernel.locks import lock_name
from assent.kernel.tx import Reader, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A flag or segment of an environment. `generation`: what the caller saw of it, if they say so."""

    project: str
    environment: str
    name: str
    kind: str = store.FLAG
    generation: int | None = None

    @property
    def key(self) -> dict[str, str]:
        """Give what the tables find it by."""
        return {**self.where, "name": self.name}

    @property
    def where(self) -> dict[str, str]:
        """Give what the tables find its kind in its environment by."""
        return {"project": self.project, "environment": self.environment, "kind": self.kind}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A flag or segment with its document, and what is proposed for it."""

    row: store.Row
    document: dict[str, Any]
    proposal: store.Proposal | None = None

    @property
    def flag(self) -> Flag:
        """Read the document as a flag."""
        return flag_of(self.document)


def body_of(reader: Reader, digest: str) -> dict[str, Any]:
    """Read a document. Raises: NotFound (it was erased)."""
    document: dict[str, Any] = json.loads(reader.blobs.get(digest))
    return document


def get(reader: Reader, place: Place) -> Stored:
    """Get a flag or segment. Raises: NotFound."""
    row = store.find(reader.conn, place.key)
    return _stored(reader, _present(row, place))


def locked(tx: Tx, place: Place) -> Stored:
    """Get it, so that nobody else changes the environment's flags meanwhile. Raises: NotFound, Stale."""
    lock_environment(tx, place)
    row = _present(store.find(tx.conn, place.key, lock=True), place)
    expect_generation(place, row.generation)
    return _stored(tx, row)


def lock_environment(tx: Tx, place: Place) -> None:
    """Let one change at a time see an environment's flags: they name each other. Raises: NotFound."""
    identity.get_environment(tx, place.project, place.environment)
    lock_name(tx, "flags", place.project, place.environment)


def expect_generation(place: Place, generation: int) -> None:
    """Compare what the caller saw with what there is. Raises: Stale."""
    if place.generation is not None and place.generation != generation:
        raise Stale(
            f"{place.name} changed: you saw generation {place.generation}, it is at {generation}.",
            remedy="Look at it again, then repeat the change.",
        )


def list_(reader: Reader, project: str, environment: str, kind: str = store.FLAG) -> list[Stored]:
    """List the flags or segments of an environment by name. Raises: NotFound (no such environment)."""
    identity.get_environment(reader, project, environment)
    where = {"project": project, "environment": environment, "kind": kind}
    waiting = {one.name: one for one in store.list_proposals(reader.conn, where)}
    return [
        Stored(row=row, document=body_of(reader, row.body), proposal=waiting.get(row.name))
        for row in store.list_rows(reader.conn, where)
    ]


def flags_of(reader: Reader, place: Place) -> dict[str, Flag]:
    """Give the flags of a place's environment by name."""
    where = {**place.where, "kind": store.FLAG}
    return {row.name: flag_of(body_of(reader, row.body)) for row in store.list_rows(reader.conn, where)}


def segments_of(reader: Reader, place: Place) -> dict[str, Mapping[str, Any]]:
    """Give the segments of a place's environment by name."""
    where = {**place.where, "kind": store.SEGMENT}
    return {row.name: body_of(reader, row.body) for row in store.list_rows(reader.conn, where)}


def _present(row: store.Row | None, place: Place) -> store.Row:
    if row is None or row.archived:
        raise NotFound(
            f"{place.environment} has no {place.kind} {place.name!r}.",
            remedy=f"`assent flag {'list' if place.kind == store.FLAG else 'segment list'} --env "
            f"{place.environment}` shows them.",
        )
    return row


def _stored(reader: Reader, row: store.Row) -> Stored:
    key = {"project": row.project, "environment": row.environment, "kind": row.kind, "name": row.name}
    return Stored(row=row, document=body_of(reader, row.body), proposal=store.find_proposal(reader.conn, key))
