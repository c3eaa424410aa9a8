"""What a policy is judged on, and what it answers: pure values, gathered by the service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from assent.approvals.domain.break_glass import BreakGlass
from assent.evidence.domain import Evidence

TIERS = ("minimal", "limited", "high", "prohibited")
PROHIBITED = TIERS[-1]
"""What no policy lets out."""

STRICTEST = "high"
"""The tier of a subject that states none."""


class Ok(StrEnum):
    """The answer to a condition; unknown never passes."""

    PASS = "pass"  # noqa: S105 -- an answer, not a password
    FAIL = "fail"
    UNKNOWN = "unknown"


class Verdict(StrEnum):
    """What a person says in a vote."""

    APPROVE = "approve"
    REJECT = "reject"
    ABSTAIN = "abstain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The answer to one condition. `evidence` names what it rests on: claims and votes."""

    id: str
    title: str
    ok: Ok
    need: Any = None
    have: Any = None
    evidence: tuple[str, ...] = ()
    remedy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """A person's vote as it stands now; `subject` and `policy` are what the person saw.

    An approval may hold for a largest share only, and until a moment.
    """

    vote: str
    voter: str
    verdict: Verdict
    subject: str
    policy: str
    max_share: Decimal | None = None
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Tell whether it has not ended."""
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that conditions look at. `live`: what the environment serves under this name, with its ref.

    `members` gives, by group, each member and since when. `model` is False where the subject has no base
    model of its own (a prompt, a card). `ends_on`: when the provider ends the base model, if announced.
    `known_as`: what people call those whose ids appear in answers. `debts`: uses of break-glass for this
    system that nobody has reviewed.
    """

    now: datetime
    environment: str | None
    subject: str
    ref: str
    tier: str
    policy: str = ""
    plan: str | None = None
    model: bool = True
    base_model: str | None = None
    ends_on: date | None = None
    live: tuple[str, str] | None = None
    claims: tuple[Evidence, ...] = ()
    requester: str | None = None
    contributors: tuple[str, ...] = ()
    evaluators: tuple[str, ...] = ()
    filed_at: datetime | None = None
    ballots: tuple[Ballot, ...] = ()
    members: Mapping[str, Mapping[str, datetime]] = field(default_factory=dict)
    known_as: Mapping[str, str] = field(default_factory=dict)
    debts: tuple[BreakGlass, ...] = ()

    def claims_of(self, kind: str) -> Iterator[Evidence]:
        """Give what is claimed of the subject itself and still holds, newest first."""
        for claim in self.claims:
            if claim.kind == kind and claim.subject == self.subject and claim.holds(self.now):
                yield claim

    def counted(self, verdict: Verdict) -> tuple[Ballot, ...]:
        """Give the votes on this very subject under this very policy that have not ended."""
        return tuple(
            ballot
            for ballot in self.ballots
            if ballot.verdict is verdict
            and ballot.holds(self.now)
            and (ballot.subject, ballot.policy) == (self.subject, self.policy)
        )

    def independent(self, person: str) -> bool:
        """Tell whether a person neither asked for this nor worked on it."""
        return person != self.requester and person not in self.contributors

    def was_member(self, person: str, group: str) -> bool:
        """Tell whether a person is in a group now and was when the request was filed."""
        since = self.members.get(group, {}).get(person)
        return since is not None and (self.filed_at is None or since <= self.filed_at)

    def names(self, people: Iterable[str]) -> str:
        """Name people, in alphabetical order."""
        return ", ".join(sorted(self.known_as.get(person, person) for person in people))
