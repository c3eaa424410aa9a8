"""Tables of compliance, their projections and their queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from assent.compliance.domain import (
    ControlAttested,
    RetentionSet,
    RoleAssigned,
    StatementIssued,
    SystemClassified,
)
from assent.kernel.db import Json, Utc, table
from assent.kernel.events import Recorded
from assent.kernel.tx import Projections, Reader, Writer

ID = sa.String(64)
NAME = sa.String(63)
DIGEST = sa.String(71)

roles = table(
    "compliance_roles",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("name", NAME, nullable=False),
    sa.Column("role", sa.String(20), nullable=False),
    sa.Column("person", ID, nullable=False),
    sa.Column("assigned_at", Utc, nullable=False),
    sa.Column("assigned_by", ID, nullable=False),
    sa.Index("ix_compliance_roles_place", "project", "name", "role", "id"),
    kind="governed",
)
classifications = table(
    "compliance_classifications",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("name", NAME, nullable=False),
    sa.Column("questionnaire", sa.String(40), nullable=False),
    sa.Column("answers", Json, nullable=False),
    sa.Column("tier", sa.String(20), nullable=False),
    sa.Column("classified_at", Utc, nullable=False),
    sa.Column("classified_by", ID, nullable=False),
    sa.Column("reason", DIGEST),
    sa.Index("ix_compliance_classifications_place", "project", "name", "id"),
    kind="governed",
)
retentions = table(
    "compliance_retentions",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False, index=True),
    sa.Column("logs_days", sa.Integer, nullable=False),
    sa.Column("records_days", sa.Integer, nullable=False),
    sa.Column("set_at", Utc, nullable=False),
    sa.Column("set_by", ID, nullable=False),
    kind="governed",
)
attestations = table(
    "compliance_attestations",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("name", NAME, nullable=False),
    sa.Column("catalogue", sa.String(40), nullable=False),
    sa.Column("row", sa.String(40), nullable=False),
    sa.Column("attested_at", Utc, nullable=False),
    sa.Column("attested_by", ID, nullable=False),
    sa.Column("expires_at", Utc, nullable=False),
    sa.Index("ix_compliance_attestations_place", "project", "name", "id"),
    kind="governed",
)
statements = table(
    "compliance_statements",
    sa.Column("about", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False, index=True),
    sa.Column("subject", DIGEST, nullable=False, index=True),
    sa.Column("predicate", sa.String(100), nullable=False),
    sa.Column("envelope", DIGEST, nullable=False),
    sa.Column("issued_at", Utc, nullable=False),
    sa.Column("issued_by", ID, nullable=False),
    sa.Column("event", ID, nullable=False),
    kind="governed",
)

projections = Projections("compliance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """Who answers for something of a system since when; the newest of a role counts."""

    id: str
    project: str
    name: str
    role: str
    person: str
    assigned_at: datetime
    assigned_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """Answers to a questionnaire about a system; the newest counts."""

    id: str
    project: str
    name: str
    questionnaire: str
    answers: dict[str, str]
    tier: str
    classified_at: datetime
    classified_by: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long a project keeps logs and records, in days."""

    id: str
    project: str
    logs_days: int
    records_days: int
    set_at: datetime
    set_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A signed statement; `envelope` is the digest of its body, `event` the leaf that says so."""

    about: str
    project: str
    subject: str
    predicate: str
    envelope: str
    issued_at: datetime
    issued_by: str
    event: str


@projections.on(RoleAssigned)
def _assigned(conn: Writer, r: Recorded[RoleAssigned]) -> None:
    e = r.event
    conn.execute(
        sa.insert(roles).values(
            id=r.id,
            project=e.project,
            name=e.name,
            role=e.role,
            person=e.person,
            assigned_at=r.at,
            assigned_by=r.actor,
        )
    )


@projections.on(SystemClassified)
def _classified(conn: Writer, r: Recorded[SystemClassified]) -> None:
    e = r.event
    conn.execute(
        sa.insert(classifications).values(
            id=e.classification,
            project=e.project,
            name=e.name,
            questionnaire=e.questionnaire,
            answers=e.answers,
            tier=e.tier,
            classified_at=r.at,
            classified_by=r.actor,
            reason=r.reason,
        )
    )


@projections.on(RetentionSet)
def _retained(conn: Writer, r: Recorded[RetentionSet]) -> None:
    e = r.event
    conn.execute(
        sa.insert(retentions).values(
            id=r.id,
            project=e.project,
            logs_days=e.logs_days,
            records_days=e.records_days,
            set_at=r.at,
            set_by=r.actor,
        )
    )


@projections.on(ControlAttested)
def _attested(conn: Writer, r: Recorded[ControlAttested]) -> None:
    e = r.event
    conn.execute(
        sa.insert(attestations).values(
            id=r.id,
            project=e.project,
            name=e.name,
            catalogue=e.catalogue,
            row=e.row,
            attested_at=r.at,
            attested_by=r.actor,
            expires_at=e.expires_at,
        )
    )


@projections.on(StatementIssued)
def _issued(conn: Writer, r: Recorded[StatementIssued]) -> None:
    e = r.event
    conn.execute(
        sa.insert(statements).values(
            about=e.about,
            project=e.project,
            subject=e.subject,
            predicate=e.predicate,
            envelope=e.envelope,
            issued_at=r.at,
            issued_by=r.actor,
            event=r.id,
        )
    )


def roles_of(reader: Reader, project: str, name: str) -> dict[str, Role]:
    """Give the newest assignment of each role of a system."""
    query = sa.select(roles).where(roles.c.project == project, roles.c.name == name).order_by(roles.c.id)
    return {row["role"]: Role(**row) for row in reader.conn.execute(query).mappings()}


def classification(reader: Reader, project: str, name: str) -> Classification | None:
    """Find the newest classification of a system."""
    c = classifications.c
    query = sa.select(classifications).where(c.project == project, c.name == name)
    row = _first(reader, query.order_by(c.id.desc()))
    return None if row is None else Classification(**row)


def retention(reader: Reader, project: str) -> Retention | None:
    """Find what was set last."""
    query = sa.select(retentions).where(retentions.c.project == project).order_by(retentions.c.id.desc())
    row = _first(reader, query)
    return None if row is None else Retention(**row)


def issued(reader: Reader, project: str, about: Sequence[str]) -> dict[str, Issued]:
    """Find the statements that were issued of these events."""
    found: dict[str, Issued] = {}
    for start in range(0, len(about), 500):
        part = about[start : start + 500]
        query = sa.select(statements).where(statements.c.project == project, statements.c.about.in_(part))
        found |= {row["about"]: Issued(**row) for row in reader.conn.execute(query).mappings()}
    return found


def _first(reader: Reader, query: sa.Select[Any]) -> Any:
    return reader.conn.execute(query.limit(1)).mappings().one_or_none()
