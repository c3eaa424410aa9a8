"""Break-glass: a release that goes out before its policy is fulfilled, and the debt that it leaves.

opened ─second─▶ seconded ─▶ ended (approved | over | unseconded | taken_back); reviewed at any time after.
Nobody reviews what they opened or seconded. While a review is overdue the system gets no further release.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from assent.kernel.errors import Reason

LIFE = timedelta(hours=4)
LONGEST_LIFE = timedelta(hours=24)
SECOND_WITHIN = timedelta(minutes=15)
REVIEW_WITHIN = timedelta(days=3)


class Outcome(StrEnum):
    """How it ended. `over` and `unseconded` apply the receipt from before it again."""

    APPROVED = "approved"
    OVER = "over"
    UNSECONDED = "unseconded"
    TAKEN_BACK = "taken_back"


class Finding(StrEnum):
    """What the review says."""

    JUSTIFIED = "justified"
    UNJUSTIFIED = "unjustified"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakGlass:
    """One use of it. `second_by`, `ends_at`, `review_by`: until when which person must have acted."""

    id: str
    project: str
    environment: str
    request: str
    subject: str
    ref: str
    name: str
    reason: str
    opened_by: str
    opened_at: datetime
    second_by: datetime
    ends_at: datetime
    review_by: datetime
    seconded_by: str | None = None
    seconded_at: datetime | None = None
    outcome: Outcome | None = None
    ended_at: datetime | None = None
    reviewed_by: str | None = None
    reviewed_at: datetime | None = None
    finding: Finding | None = None
    review: str | None = None

    def due(self, now: datetime) -> Outcome | None:
        """Say whether its time is over, and why."""
        if self.outcome is not None:
            return None
        if self.seconded_by is None and now >= self.second_by:
            return Outcome.UNSECONDED
        return Outcome.OVER if now >= self.ends_at else None

    def owes(self, now: datetime) -> bool:
        """Tell whether its review is overdue."""
        return self.reviewed_at is None and now >= self.review_by


def opening_reasons(
    used: Sequence[BreakGlass], now: datetime, *, environment: str, tier: str, is_person: bool
) -> list[Reason]:
    """Say why the glass stays whole. `used`: the open and the unreviewed ones of this system."""
    reasons = []
    if not is_person:
        reasons.append(_service_account())
    if tier == "prohibited":
        reasons.append(
            Reason(
                "tier", "A prohibited use is never released, not in an emergency either.", "", tier, "another"
            )
        )
    running = [one for one in used if one.outcome is None and one.environment == environment]
    reasons += [
        Reason(
            "open",
            f"{one.ref} is out in {one.environment} by break-glass already.",
            f"Roll it back first: {one.id}.",
            one.id,
            "none open",
        )
        for one in running
    ]
    return reasons + debt_reasons(used, now)


def debt_reasons(used: Iterable[BreakGlass], now: datetime) -> list[Reason]:
    """Say which reviews are overdue: until they are done nothing more of this system goes out."""
    return [
        Reason(
            "debt",
            f"The review of the break-glass for {one.ref} was due {_minute(one.review_by)}.",
            f"Let somebody review it who neither opened nor seconded it: assent breakglass review {one.id}.",
            "not reviewed",
            f"reviewed by {_minute(one.review_by)}",
        )
        for one in used
        if one.owes(now)
    ]


def seconding_reasons(held: BreakGlass, person: str, now: datetime, *, is_person: bool) -> list[Reason]:
    """Say why somebody cannot second it."""
    reasons = [] if is_person else [_service_account()]
    if person == held.opened_by:
        message = "You opened it yourself; it takes a second person."
        reasons.append(Reason("same_person", message, "Ask a colleague.", "the opener", "somebody else"))
    if held.seconded_by is not None:
        reasons.append(Reason("seconded", "It is seconded already.", "Nothing is needed of you."))
    if held.outcome is not None or held.due(now) is not None:
        reasons.append(Reason("ended", "It is over.", "File a request, or open another one."))
    return reasons


def review_reasons(
    held: BreakGlass, person: str, contributors: Iterable[str], *, is_person: bool
) -> list[Reason]:
    """Say why somebody cannot review it."""
    reasons = [] if is_person else [_service_account()]
    if person in {held.opened_by, held.seconded_by, *contributors}:
        message = "You opened or seconded it, or worked on the version."
        reasons.append(
            Reason("involved", message, "Ask somebody who had no part in it.", "involved", "not involved")
        )
    if held.reviewed_at is not None:
        reasons.append(Reason("reviewed", "It is reviewed already.", "Nothing is needed of you."))
    return reasons


def _service_account() -> Reason:
    return Reason(
        "service_account",
        "Service accounts do not decide in an emergency.",
        "Ask a person.",
        "a service account",
        "a person",
    )


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
