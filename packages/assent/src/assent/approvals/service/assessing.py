"""Gather the facts of a request, or of what might be one, and judge them by a policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from assent.approvals import store
from assent.approvals.domain.break_glass import BreakGlass
from assent.approvals.domain.conditions import MinimumSoak, NoFreezeWindow
from assent.approvals.domain.facts import Ballot, Facts, Ok, Result, Verdict
from assent.approvals.domain.policy import Policy, reasons_of
from assent.approvals.domain.provisos import growth_reasons
from assent.approvals.domain.requests import Kind, Request, evaluators_asked, groups_named
from assent.approvals.service import policies
from assent.approvals.service.policies import InForce
from assent.approvals.service.subjects import Subject, find_subject
from assent.approvals.store import votes
from assent.approvals.store.break_glass import break_glass
from assent.evaluation import service as evaluation
from assent.evidence import service as evidence
from assent.evidence.domain import LIVE, Evidence
from assent.identity import service as identity
from assent.kernel.canonical import canonical
from assent.kernel.errors import NotFound, Reason
from assent.kernel.tx import Reader, Tx
from assent.providers import service as providers


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Which policy was asked, on which facts, and what it answered."""

    in_force: InForce
    facts: Facts
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Would this go out? `subject` is a digest or name@version, `plan` the digest of a rollout plan.

    `policy` asks another policy than the one in force: name@version, name or digest.
    """

    project: str
    environment: str
    subject: str
    plan: str | None = None
    policy: str | None = None


def assess(reader: Reader, question: Question) -> Assessment:
    """Answer every condition for a version of which no request need exist. Raises: NotFound, Invalid."""
    asked = policies.in_force(reader, question.project, question.environment)
    if question.policy is not None:
        version = policies.get_policy(reader, question.project, question.policy)
        asked = policies.pinned(reader, question.project, version.digest)
    subject = find_subject(reader, question.project, question.subject)
    draft = _Draft(question.project, question.environment, question.plan)
    facts = _facts(reader, asked, subject, draft)
    return Assessment(in_force=asked, facts=facts, results=asked.policy.judge(facts))


def assess_request(reader: Reader, request: Request) -> Assessment:
    """Answer every condition for a request, under the policy that it was filed under."""
    asked = policies.pinned(reader, request.project, request.policy)
    draft = _Draft(request.project, request.environment, request.plan, request)
    facts = _facts(reader, asked, _subject_of(reader, request), draft)
    return Assessment(in_force=asked, facts=facts, results=asked.policy.judge(facts))


def share_reasons(reader: Reader, request_id: str, share: float) -> list[Reason]:
    """Say why the votes on a request do not allow this share of the traffic now, if they do not.

    What is out by break-glass went out without them.
    """
    if _is_out_by_break_glass(reader, request_id):
        return []
    conditional = any(one.max_share or one.until for one in ballots_of(reader, request_id))
    request = store.find_request(reader.conn, request_id) if conditional else None
    if request is None:
        return []
    found = assess_request(reader, request)
    return growth_reasons(found.in_force.policy, found.facts, share)


def freeze_reasons(reader: Reader, request_id: str) -> list[Reason]:
    """Say why nothing of this request grows now: a freeze window of its policy or the one in force is on.

    A window that is declared while a rollout runs holds for it too. What is out by break-glass does not wait.
    """
    request = store.find_request(reader.conn, request_id)
    if request is None or request.environment is None or _is_out_by_break_glass(reader, request_id):
        return []
    asked = policies.in_force(reader, request.project, request.environment)
    known = policies.pinned(reader, request.project, request.policy)
    conditions = {
        one: None
        for policy in (known.policy, asked.policy)
        for one in policy.conditions
        if isinstance(one, NoFreezeWindow) and one.windows
    }
    if not conditions:
        return []
    facts = assess_request(reader, request).facts
    return reasons_of(one.judge(facts) for one in conditions)


def _is_out_by_break_glass(reader: Reader, request_id: str) -> bool:
    b = break_glass.c
    return bool(store.select_break_glass(reader.conn, b.request == request_id, b.outcome.is_(None)))


def keep_results(tx: Tx, results: Sequence[Result]) -> str:
    """Store answers as a body and give its digest."""
    return tx.blobs.put(canonical([result_wire(result) for result in results]))


def kept_results(reader: Reader, digest: str) -> tuple[Result, ...]:
    """Read answers that were stored. Raises: NotFound (erased)."""
    rows = msgspec.json.decode(reader.blobs.get(digest))
    return tuple(Result(**{**row, "ok": Ok(row["ok"]), "evidence": tuple(row["evidence"])}) for row in rows)


def result_wire(result: Result) -> dict[str, Any]:
    """Write an answer."""
    return {**asdict(result), "ok": result.ok.value, "evidence": list(result.evidence)}


def assess_as_of(reader: Reader, request: Request, asked: InForce, at: datetime) -> tuple[Result, ...]:
    """Answer the conditions of another policy for a request, on what the record held at an earlier moment.

    Whether somebody belonged to a group then is known of groups that their vote named; for other groups
    those who belong to them now count from when they joined. The calendar of base models is today's.
    """
    draft = _Draft(request.project, request.environment, request.plan, request, at)
    return asked.policy.judge(_facts(reader, asked, _subject_of(reader, request), draft))


@dataclass(frozen=True, slots=True)
class _Draft:
    """What a version is asked about with: where it goes, and the request where there is one.

    `as_of`: nothing later counts; None is now.
    """

    project: str
    environment: str | None
    plan: str | None
    request: Request | None = None
    as_of: datetime | None = None


def _subject_of(reader: Reader, request: Request) -> Subject:
    """Give the version of a request, with the people who were known then and those known since."""
    held = Subject(
        digest=request.subject,
        name=request.name,
        ref=request.ref,
        model=False,
        tier=request.tier,
        base_model=None,
        prompt=None,
        contributors=request.contributors,
    )
    if request.kind is Kind.CARD:
        return held
    found = find_subject(reader, request.project, request.subject)
    people = tuple(sorted({*found.contributors, *request.contributors}))
    return Subject(
        digest=found.digest,
        name=found.name,
        ref=found.ref,
        model=found.model,
        tier=found.tier,
        base_model=found.base_model,
        prompt=found.prompt,
        contributors=people,
    )


def _facts(reader: Reader, asked: InForce, subject: Subject, draft: _Draft) -> Facts:
    request, policy = draft.request, asked.policy
    now = draft.as_of or reader.now()
    claims = tuple(c for c in evidence.list_(reader, draft.project, subject.digest) if c.issued_at <= now)
    ballots = ballots_of(reader, request.id, draft.as_of) if request else ()
    people = {*subject.contributors, *(ballot.voter for ballot in ballots)}
    return Facts(
        now=now,
        environment=draft.environment,
        subject=subject.digest,
        ref=subject.ref,
        tier=subject.tier,
        policy=request.policy if request and draft.as_of else asked.digest,
        plan=draft.plan,
        model=subject.model,
        base_model=subject.base_model,
        ends_on=providers.ends_on(reader, subject.base_model) if subject.base_model else None,
        live=_live(reader, subject, draft),
        claims=claims + _soaks(reader, policy, subject, draft.project),
        requester=request.requester if request else None,
        contributors=subject.contributors,
        evaluators=_evaluators(reader, claims) if evaluators_asked(policy) else (),
        filed_at=request.filed_at if request else None,
        ballots=ballots,
        members=_members(reader, policy, draft),
        known_as={person: _name(reader, person) for person in people},
        debts=_debts(reader, draft, subject),
    )


def _debts(reader: Reader, draft: _Draft, subject: Subject) -> tuple[BreakGlass, ...]:
    """Give what nobody has reviewed of this system; a card may be published all the same."""
    if draft.environment is None or draft.as_of is not None:
        return ()
    c = break_glass.c
    owed = (c.project == draft.project, c.name == subject.name, c.reviewed_at.is_(None))
    return tuple(store.select_break_glass(reader.conn, *owed))


def _live(reader: Reader, subject: Subject, draft: _Draft) -> tuple[str, str] | None:
    if draft.environment is None:
        return None
    at = draft.as_of or reader.now()
    digest = evidence.live_at(reader, draft.project, draft.environment, subject.name, at)
    if digest is None:
        return None
    try:
        return digest, find_subject(reader, draft.project, digest).ref
    except NotFound:
        return digest, digest


def _soaks(reader: Reader, policy: Policy, subject: Subject, project: str) -> tuple[Evidence, ...]:
    """Give what is live of this name in the environments where a policy lets versions soak."""
    places = {one.environment for one in policy.conditions if isinstance(one, MinimumSoak)}
    found = (evidence.latest_in(reader, project, place, LIVE, subject.name) for place in sorted(places))
    return tuple(claim for claim in found if claim is not None)


def _evaluators(reader: Reader, claims: Sequence[Evidence]) -> tuple[str, ...]:
    """Give those who asked for the runs that the evidence rests on."""
    runs = {str(claim.value["run"]) for claim in claims if "run" in claim.value}
    people = set()
    for run in runs:
        try:
            people.add(evaluation.get_run(reader, run).submitted_by)
        except NotFound:
            continue  # recorded by another way than a run here
    return tuple(sorted(people))


def _members(reader: Reader, policy: Policy, draft: _Draft) -> dict[str, dict[str, datetime]]:
    """Give the members of the groups that a policy names, and since when; voters' as their votes said."""
    names = groups_named(policy)
    found = {name: dict(identity.members_of(reader, draft.project, name)) for name in names}
    if draft.request is not None and draft.as_of is not None:
        for row in store.select_votes(reader.conn, votes.c.request == draft.request.id):
            for group in set(row.groups) & found.keys():
                found[group].setdefault(row.voter, draft.request.filed_at)
    return found


def ballots_of(reader: Reader, request: str, as_of: datetime | None = None) -> tuple[Ballot, ...]:
    """Give each person's last word on a request, now or then; a vote that was taken back is none."""
    where = [votes.c.request == request] + ([] if as_of is None else [votes.c.at <= as_of])
    last = {row.voter: row for row in store.select_votes(reader.conn, *where)}
    return tuple(
        Ballot(
            vote=row.id,
            voter=row.voter,
            verdict=Verdict(row.verdict),
            subject=row.subject,
            policy=row.policy,
            max_share=None if row.max_share is None else Decimal(row.max_share),
            until=row.until,
        )
        for row in last.values()
        if row.verdict != store.WITHDRAWN
    )


def _name(reader: Reader, person: str) -> str:
    try:
        return identity.get_account(reader, person).name
    except NotFound:
        return person
