"""A request and its states; what may be done in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from assent.approvals.domain.facts import Facts
from assent.approvals.domain.policy import Policy
from assent.kernel.errors import Reason

LIFE = timedelta(days=14)
STEP_UP_S = 600


class State(StrEnum):
    """Where a request stands. Open and approved ones may still change."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    EXECUTED = "executed"


PENDING = frozenset({State.OPEN, State.APPROVED})


class Kind(StrEnum):
    """What is asked for: that a version goes out, or that a card is published."""

    RELEASE = "release"
    CARD = "card"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it stands. `manifest` names what is decided on, `decision` the deciding event."""

    id: str
    project: str
    environment: str | None
    kind: Kind
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
    filed_at: datetime
    expires_at: datetime
    state: State
    decision: str | None
    decided_at: datetime | None
    closed_at: datetime | None
    successor: str | None
    assessment: str | None

    @property
    def plan(self) -> str | None:
        """Give the digest of the rollout plan that is part of what is decided on."""
        return self.manifest.get("plan")


def closed_reasons(request: Request, now: datetime) -> list[Reason]:
    """Say why nothing can happen to a request any more, if that is so."""
    if request.state not in PENDING:
        return [
            Reason(
                "closed",
                f"The request is {request.state}.",
                "File a new request." if request.state is not State.EXECUTED else "It is done.",
                have=request.state.value,
                need="open or approved",
            )
        ]
    if now >= request.expires_at:
        until = f"{request.expires_at:%Y-%m-%d %H:%M} UTC"
        return [
            Reason("expired", f"The request was open until {until}.", "File a new request.", until, "in time")
        ]
    return []


def voter_reasons(policy: Policy, facts: Facts, person: str, *, is_person: bool) -> list[Reason]:
    """Say why somebody's vote would not count: every reason at once."""
    reasons = []
    if not is_person:
        reasons.append(
            Reason(
                "service_account",
                "Service accounts do not vote.",
                "Ask a person.",
                "a service account",
                "a person",
            )
        )
    if person == facts.requester:
        reasons.append(
            Reason(
                "self_approval",
                "You filed this request yourself.",
                "Ask somebody who neither filed it nor worked on the version.",
                "the requester",
                "somebody else",
            )
        )
    if person in facts.contributors:
        reasons.append(
            Reason(
                "contributor",
                "You worked on this version yourself.",
                "Ask somebody who neither filed it nor worked on the version.",
                "a contributor",
                "somebody else",
            )
        )
    return reasons + _group_reasons(policy, facts, person)


def _group_reasons(policy: Policy, facts: Facts, person: str) -> list[Reason]:
    groups = policy.groups(facts)
    if any(facts.was_member(person, group) for group in groups):
        return []
    need = f"a member of {' or '.join(groups)} since the request was filed" if groups else "no votes"
    now_in = sorted(group for group in groups if person in facts.members.get(group, {}))
    if not groups:
        message, have = "This policy asks for no votes.", "a vote"
    elif now_in:
        message, have = (
            "You joined the group after the request was filed.",
            f"in {', '.join(now_in)} since then",
        )
    else:
        message, have = "You are in none of the groups whose votes are asked for.", "in none of them"
    remedy = "Ask a member of the group." if groups else "Nothing is needed of you."
    return [Reason("group", message, remedy, have, need)]


def sign_in_reasons(what: str, auth_at: datetime | None, now: datetime, step_up_s: int) -> list[Reason]:
    """Say that `what`, such as "a vote", needs a recent sign-in, where it is not recent."""
    age_s = None if auth_at is None else (now - auth_at).total_seconds()
    if age_s is not None and age_s <= step_up_s:
        return []
    return [
        Reason(
            "sign_in",
            f"{what[:1].upper()}{what[1:]} needs a recent sign-in.",
            "Sign in again: `assent login --name NAME`, or `assent login --link LINK`.",
            "no sign-in" if age_s is None else f"{int(age_s // 60)} minutes old",
            f"at most {step_up_s // 60} minutes old",
        )
    ]


def evaluators_asked(policy: Policy) -> bool:
    """Tell whether a factor leaves out those who ran the evaluations."""
    return any("evaluators" in f.exclude for one in policy.approvals for f in one.factors)


def groups_named(policy: Policy) -> Sequence[str]:
    """Give every group that a policy names, whatever the tier."""
    return tuple(dict.fromkeys(f.group for one in policy.approvals for f in one.factors))
