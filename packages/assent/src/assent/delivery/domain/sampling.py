"""Samplings: which share of a name's units is judged on live calls, by which judge, and how many a day."""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal

from assent.kernel.errors import Invalid, Reason

MAX_BYTES = 32_768
"""Question and answer of a sample are cut at so many bytes each."""

MILLION = 1_000_000
MAX_PER_DAY = 1_000_000
MAX_KEEP_DAYS = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What people set: `share` of the units in (0, 1], judgements a day, and days that contents are kept."""

    judge: str
    share: Decimal
    per_day: int
    keep_days: int
    enabled: bool = True

    @property
    def end(self) -> int:
        """Give the share as units in a million."""
        return int(self.share * MILLION)

    def differences(self, present: Wanted | None) -> list[str]:
        """Name what setting this would change of what is set."""
        if present is None:
            return []
        names = [one.name for one in fields(self)]
        return [name for name in names if getattr(self, name) != getattr(present, name)]


def read_wanted(judge: str, share: float, per_day: int, keep_days: int) -> Wanted:
    """Read what people set. Raises: Invalid with every mistake."""
    mistakes = []
    part = Decimal(str(share))
    if not part.is_finite() or not 0 < part <= 1 or part * MILLION != int(part * MILLION):
        mistakes.append(
            Reason("share", f"The share is {share}.", "A number above 0, at most 1, of six decimals.")
        )
    if not 1 <= per_day <= MAX_PER_DAY:
        mistakes.append(
            Reason("per_day", f"{per_day:,} judgements a day.", f"A whole number from 1 to {MAX_PER_DAY:,}.")
        )
    if not 1 <= keep_days <= MAX_KEEP_DAYS:
        mistakes.append(
            Reason("keep_days", f"Contents are kept for {keep_days:,} days.", f"1 to {MAX_KEEP_DAYS} days.")
        )
    if mistakes:
        raise Invalid(" ".join(one.message for one in mistakes), remedy=mistakes[0].remedy, reasons=mistakes)
    return Wanted(judge=judge, share=part, per_day=per_day, keep_days=keep_days)
