"""Vote on what was shown, take a vote back, and read what was said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from assent.approvals import store
from assent.approvals.domain.events import VoteCast, VoteWithdrawn
from assent.approvals.domain.policy import checked_verdict
from assent.approvals.domain.provisos import Proviso, checked_proviso
from assent.approvals.domain.requests import (
    STEP_UP_S,
    Request,
    closed_reasons,
    sign_in_reasons,
    voter_reasons,
)
from assent.approvals.service import requests as asked
from assent.approvals.service.assessing import Assessment, assess_request, ballots_of
from assent.approvals.service.requests import Decision, settle
from assent.approvals.service.texts import comment_text, keep_comment
from assent.approvals.store import VoteRow, requests, votes
from assent.identity import service as identity
from assent.kernel.errors import Invalid, NotFound, Reason, Refused, Stale
from assent.kernel.ids import new_id
from assent.kernel.tx import Actor, Reader, Tx

NO_PROVISO = Proviso()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVote:
    """What somebody says; `subject` and `policy` are the digests that they were shown.

    `step_up_s`: how old their sign-in may be.
    """

    request: str
    project: str
    subject: str
    policy: str
    verdict: str
    comment: str | None = None
    proviso: Proviso = NO_PROVISO
    step_up_s: int = STEP_UP_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """A vote as it is shown. A stale one was cast on an earlier request and does not count.

    `counts`: it is its voter's last word on this request.
    """

    id: str
    request: str
    voter: str
    verdict: str
    subject: str
    policy: str
    groups: tuple[str, ...]
    at: datetime
    stale: bool
    counts: bool
    comment: str | None
    proviso: Proviso


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """A vote that was taken, and the decision that it led to, if it led to one."""

    vote: Vote
    decision: Decision | None


def vote(tx: Tx, new: NewVote) -> Cast:
    """Vote; a later vote of the same person takes the place of the earlier.

    Raises: NotFound, Invalid, Stale (another subject or policy was shown), Refused with every reason.
    """
    verdict = checked_verdict(new.verdict)
    if verdict is None:
        raise Invalid(f"{new.verdict!r} is no verdict.", remedy="Say approve, reject or abstain.")
    proviso = checked_proviso(new.proviso, verdict, tx.now())
    request = asked.get(tx, new.request, new.project, lock=True)
    _expect_shown(request, new)
    assessment = assess_request(tx, request)
    reasons = _reasons(tx, request, assessment, tx.actor)
    reasons += (
        sign_in_reasons("a vote", tx.actor.auth_at, tx.now(), new.step_up_s) if _is_person(tx.actor) else []
    )
    if reasons:
        raise Refused("Your vote does not count here.", reasons=reasons)
    facts = assessment.facts
    groups = [g for g in assessment.in_force.policy.groups(facts) if facts.was_member(tx.actor.id, g)]
    event = VoteCast(
        vote=new_id("vote"),
        request=request.id,
        project=request.project,
        environment=request.environment,
        subject=new.subject,
        policy=new.policy,
        voter=tx.actor.id,
        groups=tuple(groups),
        auth_at=tx.actor.auth_at or tx.now(),
        verdict=verdict.value,
        comment=keep_comment(tx, new.comment),
        max_share=None if proviso.max_share is None else format(proviso.max_share.normalize(), "f"),
        until=proviso.until,
    )
    tx.record(event)
    decision = settle(tx, asked.get(tx, request.id))
    cast = next(one for one in list_votes(tx, request.id) if one.id == event.vote)
    return Cast(vote=cast, decision=decision)


def withdraw_vote(tx: Tx, request: str, project: str) -> None:
    """Take one's own vote back while the request is pending. Raises: NotFound, Refused."""
    found = asked.get(tx, request, project, lock=True)
    held = next((one for one in ballots_of(tx, found.id) if one.voter == tx.actor.id), None)
    if held is None:
        raise NotFound("You have no vote on this request.")
    if closed := closed_reasons(found, tx.now()):
        raise Refused("Your vote stays.", reasons=closed)
    tx.record(
        VoteWithdrawn(
            vote=new_id("vote"),
            request=found.id,
            project=found.project,
            environment=found.environment,
            subject=found.subject,
            policy=found.policy,
            voter=tx.actor.id,
            withdrawn=held.vote,
        )
    )
    settle(tx, asked.get(tx, found.id))


def vote_reasons(reader: Reader, request: str, person: str) -> list[Reason]:
    """Say why somebody's vote would not be taken; an old sign-in apart. Raises: NotFound."""
    found = asked.get(reader, request)
    account = identity.get_account(reader, person)
    actor = Actor(account.id, "person" if account.kind == "person" else "service")
    return _reasons(reader, found, assess_request(reader, found), actor)


def list_votes(reader: Reader, request: str) -> list[Vote]:
    """List the votes on a request, and, as stale, those on the ones that it took the place of."""
    found = asked.get(reader, request)
    shown = [(row, True) for row in _earlier(reader, found.id)]
    shown += [(row, False) for row in store.select_votes(reader.conn, votes.c.request == found.id)]
    last = {row.voter: row.id for row, stale in shown if not stale}
    return [
        Vote(
            id=row.id,
            request=row.request,
            voter=row.voter,
            verdict=row.verdict,
            subject=row.subject,
            policy=row.policy,
            groups=tuple(row.groups),
            at=row.at,
            stale=stale or (row.subject, row.policy) != (found.subject, found.policy),
            counts=not stale and last.get(row.voter) == row.id and row.verdict != store.WITHDRAWN,
            comment=comment_text(reader, row.comment),
            proviso=Proviso(
                max_share=None if row.max_share is None else Decimal(row.max_share), until=row.until
            ),
        )
        for row, stale in shown
    ]


def _earlier(reader: Reader, request: str) -> list[VoteRow]:
    rows: list[VoteRow] = []
    for older in store.select_requests(reader.conn, requests.c.successor == request):
        rows += _earlier(reader, older.id)
        rows += store.select_votes(reader.conn, votes.c.request == older.id)
    return rows


def _expect_shown(request: Request, new: NewVote) -> None:
    shown = {"subject": (new.subject, request.subject), "policy": (new.policy, request.policy)}
    differ = {what: pair for what, pair in shown.items() if pair[0] != pair[1]}
    if differ:
        raise Stale(
            "You were shown something else than what this request is about.",
            remedy="Look at the request again, then vote.",
            reasons=[
                Reason(what, f"The {what} that you saw is not the request's.", "Look again.", saw, is_)
                for what, (saw, is_) in differ.items()
            ],
        )


def _reasons(reader: Reader, request: Request, assessment: Assessment, actor: Actor) -> list[Reason]:
    policy, facts = assessment.in_force.policy, assessment.facts
    return [
        *closed_reasons(request, reader.now()),
        *voter_reasons(policy, facts, actor.id, is_person=_is_person(actor)),
    ]


def _is_person(actor: Actor) -> bool:
    return actor.kind == "person"
