"""Table, projections and queries of comments on requests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from assent.approvals.domain.events import CommentMade, CommentResolved
from assent.approvals.store.requests import DIGEST, ID, NAME, projections
from assent.kernel.db import Utc, table
from assent.kernel.events import Recorded
from assent.kernel.tx import Writer

comments = table(
    "approvals_comments",
    sa.Column("id", ID, primary_key=True),
    sa.Column("request", ID, nullable=False, index=True),
    sa.Column("project", NAME, nullable=False),
    sa.Column("document", DIGEST),
    sa.Column("path", sa.String(200)),
    sa.Column("line", sa.Integer),
    sa.Column("answers", ID),
    sa.Column("body", DIGEST, nullable=False),
    sa.Column("by", ID, nullable=False),
    sa.Column("at", Utc, nullable=False),
    sa.Column("resolved_by", ID),
    sa.Column("resolved_at", Utc),
    kind="governed",
)


@projections.on(CommentMade)
def _made(conn: Writer, r: Recorded[CommentMade]) -> None:
    e = r.event
    conn.execute(
        sa.insert(comments).values(
            id=e.comment,
            request=e.request,
            project=e.project,
            document=e.document,
            path=e.path,
            line=e.line,
            answers=e.answers,
            body=e.body,
            by=r.actor,
            at=r.at,
        )
    )


@projections.on(CommentResolved)
def _resolved(conn: Writer, r: Recorded[CommentResolved]) -> None:
    changed = sa.update(comments).where(comments.c.id == r.event.comment)
    conn.execute(changed.values(resolved_by=r.actor, resolved_at=r.at))


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentRow:
    """A comment as stored; its text is a body."""

    id: str
    request: str
    project: str
    document: str | None
    path: str | None
    line: int | None
    answers: str | None
    body: str
    by: str
    at: datetime
    resolved_by: str | None
    resolved_at: datetime | None


def find_comment(conn: sa.Connection, which: str) -> CommentRow | None:
    """Find a comment."""
    row = conn.execute(sa.select(comments).where(comments.c.id == which)).mappings().first()
    return None if row is None else CommentRow(**row)


def select_comments(conn: sa.Connection, request: str) -> list[CommentRow]:
    """List the comments on a request, oldest first."""
    query = sa.select(comments).where(comments.c.request == request).order_by(comments.c.id)
    return [CommentRow(**row) for row in conn.execute(query).mappings()]
