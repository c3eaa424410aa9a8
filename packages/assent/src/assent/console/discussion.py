"""What people say about a request: comments on its parts, what changed since one voted, and break-glass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from assent.approvals import service as approvals
from assent.approvals.domain.requests import PENDING
from assent.console.changes import Change
from assent.console.timeline import Names
from assent.console.visit import Visit
from assent.identity.domain import Permission
from assent.kernel.errors import Reason
from assent.kernel.tx import Reader
from assent.web.diff import SEPARATOR


@dataclass(frozen=True, slots=True)
class CommentRow:
    """One comment; `text` is empty where it was erased."""

    id: str
    by: str
    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Thread:
    """A comment, the answers to it, and the place that they are about."""

    first: CommentRow
    answers: Sequence[CommentRow]
    place: str
    settled_by: str
    settle_address: str


@dataclass(frozen=True, slots=True)
class Since:
    """What is new since the visitor's last vote, in sentences."""

    at: datetime
    verdict: str
    news: Sequence[str]


@dataclass(frozen=True, slots=True)
class GlassRow:
    """One use of break-glass for this request, and what the visitor can do about it."""

    id: str
    state: str
    reason: str
    opened_by: str
    opened_at: datetime
    second_by: datetime
    seconded_by: str
    ends_at: datetime
    review_by: datetime
    overdue: bool
    reviewed_by: str
    finding: str
    review: str
    may_second: bool
    may_review: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Discussion:
    """What the request's page shows of it."""

    threads: Sequence[Thread]
    n_open: int
    fields: Sequence[str]
    may_comment: bool
    comment_reasons: Sequence[Reason]
    comment_address: str
    since: Since | None
    glass: Sequence[GlassRow]
    glass_address: str


def discuss(
    visit: Visit, reader: Reader, request: approvals.Request, changed: Sequence[Change]
) -> Discussion:
    """Gather it."""
    names = Names(reader)
    threads = _threads(reader, request, names)
    lacking = visit.lacks(Permission.REQUEST_COMMENT)
    return Discussion(
        threads=threads,
        n_open=sum(not thread.settled_by for thread in threads),
        fields=sorted({field.path for part in changed for field in part.fields if field.path}),
        may_comment=request.state in PENDING and not lacking,
        comment_reasons=lacking,
        comment_address=f"/projects/{request.project}/requests/{request.id}/comments",
        since=_since(reader, request, visit.session.person, names),
        glass=_glass(visit, reader, request, names),
        glass_address=f"/projects/{request.project}/break-glass",
    )


def _threads(reader: Reader, request: approvals.Request, names: Names) -> list[Thread]:
    said = approvals.list_comments(reader, request.id)
    answers: dict[str, list[CommentRow]] = {}
    for one in said:
        if one.answers is not None:
            answers.setdefault(one.answers, []).append(_row(one, names))
    return [
        Thread(
            first=_row(one, names),
            answers=answers.get(one.id, []),
            place=_place(request.manifest, one),
            settled_by="" if one.resolved_by is None else names.of(one.resolved_by),
            settle_address=f"/projects/{request.project}/requests/{request.id}/comments/{one.id}/resolutions",
        )
        for one in said
        if one.answers is None
    ]


def _row(one: approvals.Comment, names: Names) -> CommentRow:
    return CommentRow(one.id, names.of(one.by), one.at, one.text or "")


def _place(manifest: Mapping[str, str], one: approvals.Comment) -> str:
    """Name the place that a comment is about."""
    named = {digest: name for name, digest in manifest.items()}
    parts = [named.get(one.document or "", ""), one.path or "", f"line {one.line}" if one.line else ""]
    return SEPARATOR.join(part for part in parts if part)


def _since(reader: Reader, request: approvals.Request, person: str, names: Names) -> Since | None:
    found = approvals.since_vote(reader, request.id, person)
    if found is None:
        return None
    news = [f"The policy is {found.policy[1]}; it was {found.policy[0]}."] if found.policy else []
    for name, (before, after) in found.manifest.items():
        verb = "is new" if before is None else "is gone" if after is None else "is another one"
        news.append(f"The {name} {verb}.")
    news += [f"Evidence came: {claim.kind}." for claim in found.evidence]
    news += [f"{names.of(vote.voter)} voted: {vote.verdict}." for vote in found.votes]
    news += [f"{names.of(one.by)} commented." for one in found.comments]
    return Since(found.vote.at, found.vote.verdict, news)


def _glass(visit: Visit, reader: Reader, request: approvals.Request, names: Names) -> list[GlassRow]:
    found, _ = approvals.list_break_glass(reader, request.project, {"request": request.id})
    now = reader.now()
    return [
        GlassRow(
            id=one.id,
            state="break_glass" if one.outcome is None else one.outcome.value,
            reason=approvals.break_glass_text(reader, one.reason) or "",
            opened_by=names.of(one.opened_by),
            opened_at=one.opened_at,
            second_by=one.second_by,
            seconded_by="" if one.seconded_by is None else names.of(one.seconded_by),
            ends_at=one.ends_at,
            review_by=one.review_by,
            overdue=one.owes(now),
            reviewed_by="" if one.reviewed_by is None else names.of(one.reviewed_by),
            finding="" if one.finding is None else one.finding.value,
            review=approvals.break_glass_text(reader, one.review) or "",
            may_second=_may_second(visit, one),
            may_review=one.reviewed_at is None and Permission.BREAK_GLASS_REVIEW in visit.allowed,
        )
        for one in found
    ]


def _may_second(visit: Visit, one: approvals.BreakGlass) -> bool:
    allowed = Permission.BREAK_GLASS_SECOND in visit.allowed
    waits = one.outcome is None and one.seconded_by is None
    return allowed and waits and visit.session.person != one.opened_by
