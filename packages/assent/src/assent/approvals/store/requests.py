"""Policies, requests and votes: tables, projections and queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from assent.approvals.domain.events import (
    DecisionMade,
    PolicyBound,
    PolicyProposed,
    PolicyRegistered,
    RequestExecuted,
    RequestExpired,
    RequestSubmitted,
    RequestSuperseded,
    RequestWithdrawn,
    VoteCast,
    VoteWithdrawn,
)
from assent.approvals.domain.requests import Kind, Request, State
from assent.kernel.db import Json, Utc, table
from assent.kernel.events import Recorded
from assent.kernel.tx import Projections, Writer

ID = sa.String(64)
NAME = sa.String(63)
DIGEST = sa.String(71)
REF = sa.String(140)

policies = table(
    "approvals_policies",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("name", NAME, nullable=False),
    sa.Column("number", sa.String(64), nullable=False),
    sa.Column("sort_key", sa.String(400), nullable=False),
    sa.Column("digest", DIGEST, nullable=False),
    sa.Column("body", DIGEST, nullable=False),
    sa.Column("registered_at", Utc, nullable=False),
    sa.Column("registered_by", ID, nullable=False),
    sa.UniqueConstraint("project", "name", "number"),
    sa.UniqueConstraint("project", "digest"),
    kind="governed",
)
bindings = table(
    "approvals_bindings",
    sa.Column("project", NAME, primary_key=True),
    sa.Column("environment", NAME, primary_key=True),
    sa.Column("policy", DIGEST, nullable=False),
    sa.Column("policy_ref", REF, nullable=False),
    sa.Column("bound_at", Utc, nullable=False),
    sa.Column("bound_by", ID, nullable=False),
    kind="governed",
)
proposals = table(
    "approvals_proposals",
    sa.Column("project", NAME, primary_key=True),
    sa.Column("environment", NAME, primary_key=True),
    sa.Column("policy", DIGEST, nullable=False),
    sa.Column("policy_ref", REF, nullable=False),
    sa.Column("proposed_at", Utc, nullable=False),
    sa.Column("proposed_by", ID, nullable=False),
    kind="governed",
)
requests = table(
    "approvals_requests",
    sa.Column("id", ID, primary_key=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("environment", NAME),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("subject", DIGEST, nullable=False),
    sa.Column("ref", REF, nullable=False),
    sa.Column("name", NAME, nullable=False),
    sa.Column("manifest", Json, nullable=False),
    sa.Column("policy", DIGEST, nullable=False),
    sa.Column("policy_ref", REF, nullable=False),
    sa.Column("requester", ID, nullable=False),
    sa.Column("contributors", Json, nullable=False),
    sa.Column("tier", sa.String(20), nullable=False),
    sa.Column("nonce", sa.String(64), nullable=False),
    sa.Column("filed_at", Utc, nullable=False),
    sa.Column("expires_at", Utc, nullable=False),
    sa.Column("state", sa.String(20), nullable=False, index=True),
    sa.Column("decision", ID),
    sa.Column("decided_at", Utc),
    sa.Column("closed_at", Utc),
    sa.Column("successor", ID, index=True),
    sa.Column("assessment", DIGEST),
    sa.Index("ix_approvals_requests_subject", "project", "subject", "environment"),
    kind="governed",
)
votes = table(
    "approvals_votes",
    sa.Column("id", ID, primary_key=True),
    sa.Column("request", ID, nullable=False, index=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("subject", DIGEST, nullable=False),
    sa.Column("policy", DIGEST, nullable=False),
    sa.Column("voter", ID, nullable=False),
    sa.Column("groups", Json, nullable=False),
    sa.Column("auth_at", Utc),
    sa.Column("verdict", sa.String(20), nullable=False),
    sa.Column("comment", DIGEST),
    sa.Column("max_share", sa.String(40)),
    sa.Column("until", Utc),
    sa.Column("at", Utc, nullable=False),
    kind="governed",
)
WITHDRAWN = "withdrawn"
"""The verdict of a row that takes a vote back."""

projections = Projections("approvals")


@projections.on(PolicyRegistered)
def _policy(conn: Writer, r: Recorded[PolicyRegistered]) -> None:
    e = r.event
    conn.execute(
        sa.insert(policies).values(
            id=e.id,
            project=e.project,
            name=e.name,
            number=e.number,
            sort_key=e.sort_key,
            digest=e.digest,
            body=e.body,
            registered_at=r.at,
            registered_by=r.actor,
        )
    )


@projections.on(PolicyProposed)
def _proposed(conn: Writer, r: Recorded[PolicyProposed]) -> None:
    e = r.event
    _drop_proposal(conn, e)
    conn.execute(
        sa.insert(proposals).values(
            project=e.project,
            environment=e.environment,
            policy=e.policy,
            policy_ref=e.policy_ref,
            proposed_at=r.at,
            proposed_by=r.actor,
        )
    )


def _drop_proposal(conn: Writer, e: PolicyProposed | PolicyBound) -> None:
    p = proposals.c
    conn.execute(sa.delete(proposals).where(p.project == e.project, p.environment == e.environment))


@projections.on(PolicyBound)
def _bound(conn: Writer, r: Recorded[PolicyBound]) -> None:
    e = r.event
    b = bindings.c
    _drop_proposal(conn, e)
    conn.execute(sa.delete(bindings).where(b.project == e.project, b.environment == e.environment))
    conn.execute(
        sa.insert(bindings).values(
            project=e.project,
            environment=e.environment,
            policy=e.policy,
            policy_ref=e.policy_ref,
            bound_at=r.at,
            bound_by=r.actor,
        )
    )


@projections.on(RequestSubmitted)
def _submitted(conn: Writer, r: Recorded[RequestSubmitted]) -> None:
    e = r.event
    conn.execute(
        sa.insert(requests).values(
            id=e.request,
            project=e.project,
            environment=e.environment,
            kind=e.kind,
            subject=e.subject,
            ref=e.ref,
            name=e.name,
            manifest=e.manifest,
            policy=e.policy,
            policy_ref=e.policy_ref,
            requester=e.requester,
            contributors=list(e.contributors),
            tier=e.tier,
            nonce=e.nonce,
            filed_at=r.at,
            expires_at=e.expires_at,
            state=State.OPEN.value,
        )
    )


@projections.on(RequestWithdrawn)
def _withdrawn(conn: Writer, r: Recorded[RequestWithdrawn]) -> None:
    _close(conn, r.event.request, state=State.WITHDRAWN.value, closed_at=r.at)


@projections.on(RequestExpired)
def _expired(conn: Writer, r: Recorded[RequestExpired]) -> None:
    _close(conn, r.event.request, state=State.EXPIRED.value, closed_at=r.at)


@projections.on(RequestSuperseded)
def _superseded(conn: Writer, r: Recorded[RequestSuperseded]) -> None:
    e = r.event
    _close(conn, e.request, state=State.SUPERSEDED.value, closed_at=r.at, successor=e.successor)


@projections.on(RequestExecuted)
def _executed(conn: Writer, r: Recorded[RequestExecuted]) -> None:
    e = r.event
    _close(conn, e.request, state=State.EXECUTED.value, closed_at=r.at, assessment=e.assessment)


@projections.on(DecisionMade)
def _decided(conn: Writer, r: Recorded[DecisionMade]) -> None:
    e = r.event
    decided = {"state": e.effect, "decision": r.id, "decided_at": r.at, "assessment": e.assessment}
    _close(conn, e.request, **decided)


def _close(conn: Writer, request: str, **values: Any) -> None:
    conn.execute(sa.update(requests).where(requests.c.id == request).values(**values))


@projections.on(VoteCast)
def _voted(conn: Writer, r: Recorded[VoteCast]) -> None:
    e = r.event
    conn.execute(
        sa.insert(votes).values(
            id=e.vote,
            request=e.request,
            project=e.project,
            subject=e.subject,
            policy=e.policy,
            voter=e.voter,
            groups=list(e.groups),
            auth_at=e.auth_at,
            verdict=e.verdict,
            comment=e.comment,
            max_share=e.max_share,
            until=e.until,
            at=r.at,
        )
    )


@projections.on(VoteWithdrawn)
def _vote_withdrawn(conn: Writer, r: Recorded[VoteWithdrawn]) -> None:
    e = r.event
    conn.execute(
        sa.insert(votes).values(
            id=e.vote,
            request=e.request,
            project=e.project,
            subject=e.subject,
            policy=e.policy,
            voter=e.voter,
            groups=[],
            verdict=WITHDRAWN,
            at=r.at,
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion:
    """A registered policy; `digest` is that of its document, which is the body."""

    id: str
    project: str
    name: str
    number: str
    sort_key: str
    digest: str
    body: str
    registered_at: datetime
    registered_by: str

    @property
    def ref(self) -> str:
        """Give `name@number`."""
        return f"{self.name}@{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Which policy an environment asks for."""

    project: str
    environment: str
    policy: str
    policy_ref: str
    bound_at: datetime
    bound_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Which policy somebody wants an environment to ask for; a second person confirms it."""

    project: str
    environment: str
    policy: str
    policy_ref: str
    proposed_at: datetime
    proposed_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteRow:
    """One row: a vote, or its withdrawal."""

    id: str
    request: str
    project: str
    subject: str
    policy: str
    voter: str
    groups: Sequence[str]
    auth_at: datetime | None
    verdict: str
    comment: str | None
    max_share: str | None
    until: datetime | None
    at: datetime


def select_policies(
    conn: sa.Connection, *where: sa.ColumnElement[bool], limit: int | None = None, newest: bool = False
) -> list[PolicyVersion]:
    """List policy versions: by number, the highest first, or the newest first."""
    order = policies.c.id if newest else policies.c.sort_key
    rows = conn.execute(sa.select(policies).where(*where).order_by(order.desc()).limit(limit)).mappings()
    return [PolicyVersion(**row) for row in rows]


def find_binding(conn: sa.Connection, project: str, environment: str) -> Binding | None:
    """Find the binding of an environment."""
    b = bindings.c
    query = sa.select(bindings).where(b.project == project, b.environment == environment)
    row = conn.execute(query).mappings().first()
    return None if row is None else Binding(**row)


def find_proposal(
    conn: sa.Connection, project: str, environment: str, *, lock: bool = False
) -> Proposal | None:
    """Find what is proposed for an environment, and lock it where it will be written."""
    p = proposals.c
    query = sa.select(proposals).where(p.project == project, p.environment == environment)
    row = conn.execute(query.with_for_update() if lock else query).mappings().first()
    return None if row is None else Proposal(**row)


def find_request(conn: sa.Connection, request: str, *, lock: bool = False) -> Request | None:
    """Find a request; `lock` keeps others from changing it until the transaction ends."""
    query = sa.select(requests).where(requests.c.id == request)
    row = conn.execute(query.with_for_update() if lock else query).mappings().first()
    return None if row is None else request_of(row)


def select_requests(
    conn: sa.Connection, *where: sa.ColumnElement[bool], limit: int | None = None
) -> list[Request]:
    """List requests, newest first. Ids are UUIDv7, so they sort by time of filing."""
    query = sa.select(requests).where(*where).order_by(requests.c.id.desc()).limit(limit)
    return [request_of(row) for row in conn.execute(query).mappings()]


def request_of(row: Mapping[Any, Any]) -> Request:
    """Read a row."""
    values = dict(row)
    values["contributors"] = tuple(values["contributors"])
    values["kind"], values["state"] = Kind(values["kind"]), State(values["state"])
    return Request(**values)


def select_votes(conn: sa.Connection, *where: sa.ColumnElement[bool]) -> list[VoteRow]:
    """List the rows of votes in the order in which they were cast."""
    rows = conn.execute(sa.select(votes).where(*where).order_by(votes.c.id)).mappings()
    return [VoteRow(**row) for row in rows]
