"""File requests, decide them, admit what was decided."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from assent.approvals import store
from assent.approvals.domain.events import (
    DecisionMade,
    RequestExecuted,
    RequestExpired,
    RequestSubmitted,
    RequestSuperseded,
    RequestWithdrawn,
)
from assent.approvals.domain.facts import Result
from assent.approvals.domain.policy import CARD, effect_of, reasons_of
from assent.approvals.domain.requests import LIFE, PENDING, Kind, Request, State, closed_reasons
from assent.approvals.service import policies
from assent.approvals.service.assessing import Assessment, assess_request, keep_results, kept_results
from assent.approvals.service.subjects import (
    APPROVED_STAGE,
    APPROVING,
    RETURNED,
    Subject,
    find_subject,
    move_stage,
)
from assent.approvals.store import requests
from assent.evidence import service as evidence
from assent.kernel.errors import Forbidden, Invalid, NotFound, Reason, Refused
from assent.kernel.ids import new_id
from assent.kernel.tx import Reader, Tx

APPROVED = State.APPROVED.value


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """What is asked for. `subject` is a digest, `plan` the digest of the rollout plan.

    A card goes nowhere: it has no environment, and says itself what the registry cannot know of it:
    `about`, the version that it describes, by digest, and, in `contributors`, who wrote it.
    """

    project: str
    subject: str
    environment: str | None = None
    plan: str | None = None
    kind: Kind = Kind.RELEASE
    about: str | None = None
    contributors: tuple[str, ...] = ()
    manifest: Mapping[str, str] = field(default_factory=dict)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided. `event` is the id of the deciding leaf; `kind` is how it admits the subject."""

    event: str
    request: str
    effect: str
    kind: str = APPROVED


def submit(tx: Tx, new: NewRequest) -> Request:
    """File a request under the policy in force; it takes the place of an older one for the same.

    Raises: NotFound, Invalid.
    """
    subject = _subject(tx, new)
    if new.environment is not None:
        asked = policies.in_force(tx, new.project, new.environment)
    else:
        asked = policies.shipped(tx, new.project, CARD)
    asked = policies.keep(tx, new.project, asked)
    event = RequestSubmitted(
        request=new_id("req"),
        project=new.project,
        environment=new.environment,
        kind=Kind(new.kind).value,
        subject=new.subject,
        ref=subject.ref,
        name=subject.name,
        manifest=_manifest(tx, new, subject),
        policy=asked.digest,
        policy_ref=asked.ref,
        requester=tx.actor.id,
        contributors=subject.contributors,
        tier=subject.tier,
        nonce=secrets.token_hex(16),
        expires_at=_expiry(tx, new),
    )
    older = _pending(tx, new)
    recorded = tx.record(event)
    move_stage(tx, new.project, new.subject, APPROVING, recorded.id)
    for request in older:
        tx.record(RequestSuperseded(successor=event.request, **_place(request)))
    request = get(tx, event.request)
    settle(tx, request)
    return get(tx, event.request)


def get(reader: Reader, request: str, project: str | None = None, *, lock: bool = False) -> Request:
    """Get a request, of a project if one is named. Raises: NotFound."""
    found = store.find_request(reader.conn, request, lock=lock)
    if found is None or project not in {None, found.project}:
        raise NotFound(f"There is no request {request!r}.", remedy="`assent request list` shows them.")
    return found


def list_(
    reader: Reader, project: str, where: Mapping[str, Any], before: str | None = None, limit: int = 50
) -> tuple[list[Request], str | None]:
    """List a page of a project's requests, newest first, and where the next page begins.

    `where`: environment, kind, name, subject, state (a value, or a list of them), requester; None is any.
    """
    conditions: list[sa.ColumnElement[bool]] = [requests.c.project == project]
    for column, value in where.items():
        if value is not None:
            values = value if isinstance(value, list) else [value]
            conditions += [requests.c[column].in_(values)]
    if before is not None:
        conditions += [requests.c.id < before]
    found = store.select_requests(reader.conn, *conditions, limit=limit + 1)
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def list_pending(reader: Reader) -> list[Request]:
    """List the requests of all projects that may still change."""
    states = [state.value for state in PENDING]
    return store.select_requests(reader.conn, requests.c.state.in_(states))


def check_conditions(reader: Reader, request: str, project: str | None = None) -> tuple[Result, ...]:
    """Answer every condition: as it is now while the request is pending, as it was once it is over."""
    found = get(reader, request, project)
    if found.state not in PENDING and found.assessment is not None:
        return kept_results(reader, found.assessment)
    return assess_request(reader, found).results


def check(reader: Reader, request: str) -> None:
    """Say whether the request would be admitted now, and change nothing. Raises: NotFound, Refused."""
    found = get(reader, request)
    _refuse(found, assess_request(reader, found), reader.now())


def admit(tx: Tx, request: str) -> Decision:
    """Let what was approved be done: votes, membership, policy and conditions are checked now, all together.

    It works once a request. Raises: NotFound, Refused with every reason.
    """
    found = get(tx, request, lock=True)
    assessment = assess_request(tx, found)
    _refuse(found, assessment, tx.now())
    if found.state is State.OPEN:
        found = _decide(tx, found, assessment, APPROVED)
    event = RequestExecuted(
        decision=found.decision or "", assessment=keep_results(tx, assessment.results), **_place(found)
    )
    tx.record(event)
    return Decision(event=event.decision, request=found.id, effect=APPROVED)


def settle(tx: Tx, request: Request) -> Decision | None:
    """Decide a request if it can be decided now; gives the decision that was made, if one was."""
    assessment, effect = _outcome(tx, request)
    if assessment is None or effect is None:
        return None
    decided = _decide(tx, request, assessment, effect)
    return Decision(event=decided.decision or "", request=request.id, effect=effect)


def decidable(reader: Reader, request: Request) -> bool:
    """Tell whether a request can be decided now, and is not yet."""
    return _outcome(reader, request)[1] is not None


def _outcome(reader: Reader, request: Request) -> tuple[Assessment | None, str | None]:
    if closed_reasons(request, reader.now()):
        return None, None
    assessment = assess_request(reader, request)
    effect = effect_of(assessment.in_force.policy, assessment.facts, assessment.results)
    return assessment, None if effect == request.state.value else effect


def withdraw(tx: Tx, request: str, project: str) -> Request:
    """Ask no longer; whoever filed it or worked on it may. Raises: NotFound, Forbidden, Refused."""
    found = get(tx, request, project, lock=True)
    if tx.actor.id != found.requester and tx.actor.id not in found.contributors:
        raise Forbidden(
            "Only who filed a request or worked on its subject withdraws it.",
            remedy="Reject it by a vote, or ask them.",
        )
    if closed := closed_reasons(found, tx.now()):
        raise Refused(f"{found.ref} cannot be withdrawn.", reasons=closed)
    _returned(tx, found, tx.record(RequestWithdrawn(**_place(found))).id)
    return get(tx, request)


def expire(tx: Tx, request: str) -> bool:
    """End a request whose time is over; tells whether it did. Raises: NotFound."""
    found = get(tx, request, lock=True)
    if found.state not in PENDING or tx.now() < found.expires_at:
        return False
    _returned(tx, found, tx.record(RequestExpired(**_place(found))).id)
    return True


def _returned(tx: Tx, request: Request, because: str) -> None:
    """Give a version back to its authors, unless somebody is still asked about it elsewhere."""
    others = store.select_requests(
        tx.conn,
        requests.c.project == request.project,
        requests.c.subject == request.subject,
        requests.c.state.in_([state.value for state in PENDING]),
    )
    if not others:
        move_stage(tx, request.project, request.subject, RETURNED, because)


def newer_policy(reader: Reader, request: Request) -> str | None:
    """Give the policy that the environment asks for by now, where it is another one."""
    if request.environment is None or request.state not in PENDING:
        return None
    now = policies.in_force(reader, request.project, request.environment)
    return None if now.digest == request.policy else now.ref


def _refuse(request: Request, assessment: Assessment, now: datetime) -> None:
    reasons: Sequence[Reason] = [*closed_reasons(request, now), *reasons_of(assessment.results)]
    if reasons:
        n = len(reasons)
        where = f" to {request.environment}" if request.environment else ""
        raise Refused(
            f"{request.ref} may not go{where}: {n} reason{'s' if n > 1 else ''} under {request.policy_ref}."
            if request.kind is Kind.RELEASE
            else f"The card of {request.ref} may not be published: {n} reason{'s' if n > 1 else ''}.",
            reasons=reasons,
        )


def _decide(tx: Tx, request: Request, assessment: Assessment, effect: str) -> Request:
    policy, facts = assessment.in_force.policy, assessment.facts
    recorded = tx.record(
        DecisionMade(
            kind=request.kind.value,
            ref=request.ref,
            name=request.name,
            effect=effect,
            plan=request.plan,
            policy=request.policy,
            policy_ref=request.policy_ref,
            voters=policy.voters(facts),
            nonce=request.nonce,
            assessment=keep_results(tx, assessment.results),
            **_place(request),
        )
    )
    stage = APPROVED_STAGE if effect == APPROVED else RETURNED
    move_stage(tx, request.project, request.subject, stage, recorded.id)
    return get(tx, request.id)


def _subject(tx: Tx, new: NewRequest) -> Subject:
    release = Kind(new.kind) is Kind.RELEASE
    if release is (new.environment is None):
        raise Invalid("A release goes to an environment, a card to none.")
    found = find_subject(tx, new.project, new.subject if release else new.about or "")
    people = tuple(sorted({*found.contributors, *new.contributors}))
    return Subject(
        digest=new.subject,
        name=found.name,
        ref=found.ref,
        model=found.model,
        tier=found.tier,
        base_model=found.base_model,
        prompt=found.prompt,
        contributors=people,
    )


def _manifest(tx: Tx, new: NewRequest, subject: Subject) -> dict[str, str]:
    """Name by digest what is decided on."""
    named: dict[str, str | None] = {
        "card" if new.kind is Kind.CARD else "version": new.subject,
        "version of the card": new.about,
        "prompt": subject.prompt,
        "plan": new.plan,
    }
    if new.environment is not None:
        named["replaces"] = evidence.live(tx, new.project, new.environment, subject.name)
    return {**new.manifest, **{name: value for name, value in named.items() if value is not None}}


def _expiry(tx: Tx, new: NewRequest) -> datetime:
    if new.expires_at is not None and new.expires_at <= tx.now():
        raise Invalid("The request would be over before it begins.", remedy="Give a later `expires_at`.")
    return new.expires_at or tx.now() + LIFE


def _pending(tx: Tx, new: NewRequest) -> list[Request]:
    c = requests.c
    return store.select_requests(
        tx.conn,
        c.project == new.project,
        c.environment.is_(None) if new.environment is None else c.environment == new.environment,
        c.kind == Kind(new.kind).value,
        c.subject == new.subject,
        c.state.in_([state.value for state in PENDING]),
    )


def _place(request: Request) -> dict[str, Any]:
    return {
        "request": request.id,
        "project": request.project,
        "environment": request.environment,
        "subject": request.subject,
    }
