"""Tables, projection and queries of prompt versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from assent.identity import service as identity
from assent.kernel import filter_sql
from assent.kernel.canonical import digest_bytes
from assent.kernel.db import Json, Utc, table
from assent.kernel.errors import Invalid, NotFound
from assent.kernel.events import Recorded
from assent.kernel.filter_sql import Field
from assent.kernel.guards import unchanging
from assent.kernel.tx import Projections, Reader, Tx, Writer
from assent.prompts.domain import (
    PromptAdvanced,
    PromptDeprecated,
    PromptRegistered,
    Status,
    SuiteBound,
    SuiteUnbound,
    parse_number,
)

ID = sa.String(64)
NAME = sa.String(63)
DIGEST = sa.String(71)

versions = unchanging(
    table(
        "prompts_versions",
        sa.Column("id", ID, primary_key=True),
        sa.Column("project", NAME, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("number", ID, nullable=False),
        sa.Column("sort_key", sa.String(400), nullable=False),
        sa.Column("digest", DIGEST, nullable=False, unique=True),
        sa.Column("format", sa.String(10), nullable=False),
        sa.Column("bump", sa.String(10), nullable=False),
        sa.Column("contributors", Json, nullable=False),
        sa.Column("supersedes", DIGEST),
        sa.Column("registered_at", Utc, nullable=False),
        sa.Column("registered_by", ID, nullable=False),
        sa.UniqueConstraint("project", "name", "number"),
        sa.Index("ix_prompts_versions_order", "project", "name", "sort_key"),
        sa.Index("ix_prompts_versions_page", "project", "id"),
        kind="governed",
    )
)
states = table(
    "prompts_states",
    sa.Column("digest", DIGEST, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("since", Utc, nullable=False),
    sa.Column("because", sa.String(100), nullable=False),
    sa.Column("successor", DIGEST),
    kind="governed",
)
parts = unchanging(
    table(
        "prompts_parts",
        sa.Column("whole", DIGEST, primary_key=True),
        sa.Column("part", DIGEST, primary_key=True, index=True),
        kind="governed",
    )
)
suites = table(
    "prompts_suites",
    sa.Column("project", NAME, primary_key=True),
    sa.Column("name", NAME, primary_key=True),
    sa.Column("suite", NAME, primary_key=True),
    sa.Column("suite_ref", sa.String(130), nullable=False),
    sa.Column("through_ref", sa.String(130), nullable=False),
    sa.Column("environment", NAME, nullable=False),
    sa.Column("bound_at", Utc, nullable=False),
    sa.Column("bound_by", ID, nullable=False),
    kind="governed",
)
tags = unchanging(
    table(
        "prompts_tags",
        sa.Column("project", NAME, primary_key=True),
        sa.Column("tag", NAME, primary_key=True),
        sa.Column("version", ID, primary_key=True),
        kind="governed",
    )
)
documents = unchanging(
    table(
        "prompts_documents",
        sa.Column("digest", DIGEST, primary_key=True),
        sa.Column("content", sa.Text, nullable=False),
        kind="body",
    ),
    erasable=True,
)

projections = Projections("prompts")


@projections.on(PromptRegistered)
def _registered(conn: Writer, r: Recorded[PromptRegistered]) -> None:
    e = r.event
    conn.execute(
        sa.insert(versions).values(
            id=e.id,
            project=e.project,
            name=e.name,
            number=e.number,
            sort_key=parse_number(e.number).sort_key,
            digest=e.digest,
            format=e.format,
            bump=e.bump,
            contributors=list(e.contributors),
            supersedes=e.supersedes,
            registered_at=r.at,
            registered_by=r.actor,
        )
    )
    conn.execute(
        sa.insert(states).values(
            digest=e.digest, project=e.project, status=Status.DRAFT.value, since=r.at, because=r.id
        )
    )
    if e.fragments:
        conn.execute(sa.insert(parts), [{"whole": e.digest, "part": part} for part in e.fragments])
    if e.tags:
        conn.execute(sa.insert(tags), [{"project": e.project, "tag": tag, "version": e.id} for tag in e.tags])


@projections.on(PromptAdvanced)
def _advanced(conn: Writer, r: Recorded[PromptAdvanced]) -> None:
    e = r.event
    moved = sa.update(states).where(states.c.digest == e.subject)
    conn.execute(moved.values(status=e.status, since=r.at, because=e.because))


@projections.on(PromptDeprecated)
def _deprecated(conn: Writer, r: Recorded[PromptDeprecated]) -> None:
    e = r.event
    moved = sa.update(states).where(states.c.digest == e.subject)
    conn.execute(
        moved.values(status=Status.DEPRECATED.value, since=r.at, because=r.id, successor=e.successor)
    )


@projections.on(SuiteBound)
def _bound(conn: Writer, r: Recorded[SuiteBound]) -> None:
    e = r.event
    conn.execute(sa.delete(suites).where(_binding(e.project, e.name, e.suite)))
    conn.execute(
        sa.insert(suites).values(
            project=e.project,
            name=e.name,
            suite=e.suite,
            suite_ref=e.suite_ref,
            through_ref=e.through_ref,
            environment=e.environment,
            bound_at=r.at,
            bound_by=r.actor,
        )
    )


@projections.on(SuiteUnbound)
def _unbound(conn: Writer, r: Recorded[SuiteUnbound]) -> None:
    conn.execute(sa.delete(suites).where(_binding(r.event.project, r.event.name, r.event.suite)))


def _binding(project: str, name: str, suite: str) -> sa.ColumnElement[bool]:
    return sa.and_(suites.c.project == project, suites.c.name == name, suites.c.suite == suite)


@dataclass(frozen=True, slots=True)
class SuiteBinding:
    """A suite that each new version of a prompt is tested with, and the model version that answers."""

    project: str
    name: str
    suite: str
    suite_ref: str
    through_ref: str
    environment: str
    bound_at: datetime
    bound_by: str


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """A registered prompt version, its status since when, and its document."""

    id: str
    project: str
    name: str
    number: str
    sort_key: str
    digest: str
    format: str
    bump: str
    contributors: Sequence[str]
    supersedes: str | None
    registered_at: datetime
    registered_by: str
    status: str
    since: datetime
    because: str
    successor: str | None
    content: str | None = field(repr=False)

    @property
    def ref(self) -> str:
        """Give `name@number`."""
        return f"{self.name}@{self.number}"

    @property
    def document(self) -> dict[str, Any]:
        """Read the document and check it. Raises: NotFound (erased), Invalid (changed in the database)."""
        return read_document(self.ref, self.digest, self.content)


def read_document(ref: str, digest: str, content: str | None) -> dict[str, Any]:
    """Read a document's text and check it. Raises: NotFound (erased), Invalid (changed in the database)."""
    document: dict[str, Any] = msgspec.json.decode(checked_content(ref, digest, content))
    return document


def checked_content(ref: str, digest: str, content: str | None) -> bytes:
    """Check a document's text. Raises: NotFound (erased), Invalid (changed in the database)."""
    if content is None:
        raise NotFound(f"The document of {ref} was erased.")
    encoded = content.encode()
    if digest_bytes(encoded) != digest:
        raise Invalid(
            f"The document of {ref} was changed in the database.", remedy="Restore it from a backup."
        )
    return encoded


_STATE = [states.c.status, states.c.since, states.c.because, states.c.successor]
_WITH_CONTENT = (
    sa.select(versions, *_STATE, documents.c.content)
    .join(states, states.c.digest == versions.c.digest)
    .outerjoin(documents, documents.c.digest == versions.c.digest)
)


def put_document(tx: Tx, digest: str, content: str) -> None:
    """Keep a document under its digest; one that was erased may come back with its version."""
    present = tx.conn.execute(sa.select(documents.c.digest).where(documents.c.digest == digest)).first()
    if present is None:
        tx.conn.execute(sa.insert(documents).values(digest=digest, content=content))


def find(reader: Reader, project: str, name: str, number: str | None) -> PromptVersion | None:
    """Find a version, or the one with the highest number."""
    query = _WITH_CONTENT.where(versions.c.project == project, versions.c.name == name)
    if number is not None:
        query = query.where(versions.c.number == number)
    return _first(reader, query.order_by(versions.c.sort_key.desc()))


def find_by_digest(reader: Reader, project: str, digest: str) -> PromptVersion | None:
    """Find the version with this content."""
    return _first(reader, _WITH_CONTENT.where(versions.c.digest == digest, versions.c.project == project))


def find_anywhere(reader: Reader, digest: str) -> PromptVersion | None:
    """Find the version with this content, whatever its project."""
    return _first(reader, _WITH_CONTENT.where(versions.c.digest == digest))


def wholes_of(reader: Reader, project: str, digest: str) -> list[PromptVersion]:
    """List the versions that a fragment is part of, newest first."""
    within = sa.select(parts.c.whole).where(parts.c.part == digest)
    query = _WITH_CONTENT.where(versions.c.project == project, versions.c.digest.in_(within))
    rows = reader.conn.execute(query.order_by(versions.c.id.desc()).limit(1000)).mappings()
    return [PromptVersion(**row) for row in rows]


def lock_state(tx: Tx, digest: str) -> None:
    """Lock the row that a move writes."""
    tx.conn.execute(sa.select(states.c.digest).where(states.c.digest == digest).with_for_update())


def _first(reader: Reader, query: sa.Select[Any]) -> PromptVersion | None:
    row = reader.conn.execute(query.limit(1)).mappings().first()
    return None if row is None else PromptVersion(**row)


@dataclass(frozen=True, slots=True)
class Filtered:
    """An expression over the fields of versions; `more` are fields that other slices know of."""

    text: str
    more: Mapping[str, Field] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list: what is older than the id `before`, at most `limit`."""

    before: str | None = None
    limit: int | None = None


def list_versions(
    reader: Reader,
    project: str,
    where: Mapping[str, str],
    page: Page | None = None,
    filtered: Filtered | None = None,
) -> list[PromptVersion]:
    """List versions, newest first; `where` may name a name, a tag, a status, a format.

    Raises: Invalid with the place of the mistake in the filter.
    """
    query = _WITH_CONTENT.where(versions.c.project == project)
    for key, value in where.items():
        if key == "tag":
            query = query.where(_tagged(project, tags.c.tag == value))
        else:
            query = query.where((states.c if key == "status" else versions.c)[key] == value)
    if filtered is not None:
        fields = {**_fields(reader, project), **filtered.more}
        query = query.where(filter_sql.where(filtered.text, fields))
    wanted = page or Page()
    if wanted.before is not None:
        query = query.where(versions.c.id < wanted.before)
    rows = reader.conn.execute(query.order_by(versions.c.id.desc()).limit(wanted.limit)).mappings()
    return [PromptVersion(**row) for row in rows]


def _tagged(project: str, compare: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    return versions.c.id.in_(sa.select(tags.c.version).where(tags.c.project == project, compare))


def _fields(reader: Reader, project: str) -> dict[str, Field]:
    v, s = versions.c, states.c
    return {
        "name": filter_sql.plain(v.name),
        "digest": filter_sql.plain(v.digest),
        "format": filter_sql.choice(v.format, ("text", "chat")),
        "version": filter_sql.keyed(v.sort_key, lambda text: parse_number(text).sort_key, "version number"),
        "status": filter_sql.choice(s.status, list(Status)),
        "registered_at": filter_sql.moment(v.registered_at),
        "since": filter_sql.moment(s.since),
        "tag": filter_sql.held(tags.c.tag, lambda compare: _tagged(project, compare)),
        "registered_by": filter_sql.translated(
            v.registered_by, lambda text: identity.get_account(reader, text).id
        ),
    }


def list_names(reader: Reader, project: str) -> list[str]:
    """List the names of a project's prompts."""
    query = sa.select(versions.c.name).where(versions.c.project == project).distinct()
    return sorted(reader.conn.execute(query).scalars())


def list_suites(reader: Reader, project: str | None = None, name: str | None = None) -> list[SuiteBinding]:
    """List the bindings of suites: of a prompt, of a project, or all."""
    query = sa.select(suites).order_by(suites.c.project, suites.c.name, suites.c.suite)
    for column, value in ((suites.c.project, project), (suites.c.name, name)):
        if value is not None:
            query = query.where(column == value)
    return [SuiteBinding(**row) for row in reader.conn.execute(query).mappings()]
