"""What an approval holds for only: a largest share of the traffic, a last moment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from assent.approvals.domain.facts import Ballot, Facts, Ok, Verdict
from assent.approvals.domain.policy import Policy
from assent.kernel.errors import Invalid, Reason

MAX_UNTIL = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proviso:
    """`max_share` in (0, 1]; from `until` on the approval counts no longer."""

    max_share: Decimal | None = None
    until: datetime | None = None


def checked_proviso(proviso: Proviso, verdict: Verdict, now: datetime) -> Proviso:
    """Check that it makes sense. Raises: Invalid with every mistake."""
    mistakes = []
    if proviso != Proviso() and verdict is not Verdict.APPROVE:
        mistakes.append(Reason("verdict", "Only an approval has a proviso.", "Leave share and end out."))
    if proviso.max_share is not None and not 0 < proviso.max_share <= 1:
        mistakes.append(
            Reason("max_share", "A share is more than 0 and at most 1.", "Write 0.1 for a tenth.")
        )
    if proviso.until is not None and not now < proviso.until <= now + MAX_UNTIL:
        mistakes.append(Reason("until", "An approval ends in the future, within a year.", "Give its day."))
    if mistakes:
        raise Invalid(" ".join(one.message for one in mistakes), reasons=mistakes)
    return proviso


def growth_reasons(policy: Policy, facts: Facts, share: float) -> list[Reason]:
    """Say whose provisos stand in the way of this share now, where nobody else's approval is enough.

    A limit outlives the vote that it came with: who leaves a group lets nothing grow.
    """
    held = replace(facts, ballots=tuple(one for one in facts.ballots if _holds(one, facts.now, share)))
    if _agreed(policy, held):
        return []
    return [_reason(facts, one, share) for one in facts.ballots if not _holds(one, facts.now, share)]


def _agreed(policy: Policy, facts: Facts) -> bool:
    return all(one.judge(facts).ok is Ok.PASS for one in policy.approvals)


def _holds(ballot: Ballot, now: datetime, share: float) -> bool:
    within = ballot.max_share is None or Decimal(str(share)) <= ballot.max_share
    return within and ballot.holds(now)


def _reason(facts: Facts, ballot: Ballot, share: float) -> Reason:
    who = facts.names([ballot.voter])
    if not ballot.holds(facts.now):
        return Reason(
            "proviso.until", f"{who} approved it until {ballot.until:%Y-%m-%d %H:%M} UTC.", f"Ask {who} anew."
        )
    return Reason(
        "proviso.max_share",
        f"{who} approved a share of at most {ballot.max_share}.",
        f"Stay there, or ask {who} to vote again.",
        str(ballot.max_share),
        str(Decimal(str(share))),
    )


def told(proviso: Proviso) -> str:
    """Say in words what an approval holds for only; nothing where it holds for all."""
    parts = [] if proviso.max_share is None else [f"for a share of at most {proviso.max_share}"]
    parts += [] if proviso.until is None else [f"until {proviso.until:%Y-%m-%d %H:%M} UTC"]
    return ", ".join(parts)
