"""What happens in approvals. Comments and assessments are bodies; here stand their digests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from assent.kernel.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRegistered(Event):
    """A policy version exists; `body` holds its document."""

    TYPE: ClassVar[str] = "approvals.policy.registered"
    id: str
    project: str
    name: str
    number: str
    sort_key: str
    digest: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyProposed(Event):
    """Somebody wants an environment that is in use to ask for another policy; it takes a second person."""

    TYPE: ClassVar[str] = "approvals.policy.proposed"
    project: str
    environment: str
    policy: str
    policy_ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyBound(Event):
    """From now on requests to this environment are filed under this policy."""

    TYPE: ClassVar[str] = "approvals.policy.bound"
    project: str
    environment: str
    policy: str
    policy_ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSubmitted(Event):
    """Somebody asks for a decision on a subject, under the policy that is in force now.

    `environment` is None where the subject goes nowhere (a card). `manifest` names what is decided on.
    """

    TYPE: ClassVar[str] = "approvals.request.submitted"
    request: str
    project: str
    environment: str | None
    kind: str
    subject: str
    ref: str
    name: str
    manifest: dict[str, str]
    policy: str
    policy_ref: str
    requester: str
    contributors: tuple[str, ...]
    tier: str
    nonce: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestWithdrawn(Event):
    """Whoever asked, or a contributor, asks no longer."""

    TYPE: ClassVar[str] = "approvals.request.withdrawn"
    request: str
    project: str
    environment: str | None
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestExpired(Event):
    """The time of a request is over; silence never approves."""

    TYPE: ClassVar[str] = "approvals.request.expired"
    request: str
    project: str
    environment: str | None
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSuperseded(Event):
    """A newer request for the same subject and environment takes its place; its votes are stale."""

    TYPE: ClassVar[str] = "approvals.request.superseded"
    request: str
    project: str
    environment: str | None
    subject: str
    successor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestExecuted(Event):
    """What was approved is being done: everything was checked again, and this is what was found."""

    TYPE: ClassVar[str] = "approvals.request.executed"
    request: str
    project: str
    environment: str | None
    subject: str
    decision: str
    assessment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteCast(Event):
    """A person voted on what they saw: this subject under this policy. A later vote takes its place.

    An approval may hold for a share of at most `max_share` (decimal text) only, and until a moment.
    """

    TYPE: ClassVar[str] = "approvals.vote.cast"
    vote: str
    request: str
    project: str
    environment: str | None
    subject: str
    policy: str
    voter: str
    groups: tuple[str, ...]
    auth_at: datetime
    verdict: str
    comment: str | None
    max_share: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteWithdrawn(Event):
    """A person takes their vote back; the vote stays on record and counts no longer."""

    TYPE: ClassVar[str] = "approvals.vote.withdrawn"
    vote: str
    request: str
    project: str
    environment: str | None
    subject: str
    policy: str
    voter: str
    withdrawn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionMade(Event):
    """The request is approved or rejected. An approval admits the subject to the environment.

    `assessment` is the body that holds the answer to each condition at this moment.
    """

    TYPE: ClassVar[str] = "approvals.decision.made"
    request: str
    project: str
    environment: str | None
    kind: str
    subject: str
    ref: str
    name: str
    effect: str
    plan: str | None
    policy: str
    policy_ref: str
    voters: tuple[str, ...]
    nonce: str
    assessment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakGlassEvent(Event):
    """What all events of a break-glass carry."""

    break_glass: str
    request: str
    project: str
    environment: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakGlassOpened(BreakGlassEvent):
    """A version goes out before its policy is fulfilled; this is the decision that admits it meanwhile.

    `assessment`: the answers to the conditions at this moment. `reason`: the body that says why.
    """

    TYPE: ClassVar[str] = "approvals.break_glass.opened"
    ref: str
    name: str
    plan: str | None
    policy: str
    policy_ref: str
    nonce: str
    reason: str
    assessment: str
    second_by: datetime
    ends_at: datetime
    review_by: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakGlassSeconded(BreakGlassEvent):
    """A second person stands by it; without one it ends within minutes."""

    TYPE: ClassVar[str] = "approvals.break_glass.seconded"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakGlassEnded(BreakGlassEvent):
    """It admits nothing any more. `outcome`: approved, over, unseconded or taken_back."""

    TYPE: ClassVar[str] = "approvals.break_glass.ended"
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakGlassReviewed(BreakGlassEvent):
    """Somebody who had no part in it has looked back; the debt is paid."""

    TYPE: ClassVar[str] = "approvals.break_glass.reviewed"
    finding: str
    review: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentMade(Event):
    """Somebody says something about a part of what is asked. `document`: digest; `path`: a field in it.

    `line` counts from 1 within the field's text; both are None where the comment is on the whole.
    """

    TYPE: ClassVar[str] = "approvals.comment.made"
    comment: str
    request: str
    project: str
    environment: str | None
    subject: str
    document: str | None
    path: str | None
    line: int | None
    answers: str | None
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentResolved(Event):
    """A thread is settled."""

    TYPE: ClassVar[str] = "approvals.comment.resolved"
    comment: str
    request: str
    project: str
    environment: str | None
    subject: str
