"""Which flags nobody needs any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from assent.flags.domain.document import Flag
from assent.kernel.errors import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """When a flag was asked for last, and what it gave in the time that is looked at."""

    last_at: datetime | None = None
    variants: frozenset[str] = frozenset()


def stale_reasons(flag: Flag, changed_at: datetime, seen: Seen, now: datetime, days: int) -> list[Reason]:
    """Say why a flag looks stale; a permanent one only where nobody asks for it."""
    since = now - timedelta(days=days)
    found = []
    if changed_at <= since and (seen.last_at is None or seen.last_at < since):
        said = "never" if seen.last_at is None else f"last on {seen.last_at.date()}"
        found.append(
            Reason(
                "unseen",
                f"No application asked for it in {days} days ({said}).",
                "Archive it: assent flag archive.",
            )
        )
    if flag.permanent:
        return found
    if flag.ends_on is not None and flag.ends_on < now.date():
        found.append(
            Reason(
                "ended", f"It was to end on {flag.ends_on}.", "Remove it from the code, or set another date."
            )
        )
    configured = {one.variant for ranges in flag.outcomes for one in ranges} if flag.enabled else {flag.off}
    given = configured if len(configured) == 1 and not flag.prerequisites else seen.variants
    if changed_at <= since and len(given) == 1:
        (only,) = given
        found.append(
            Reason(
                "one_variant",
                f"Everybody has got {only} for {days} days.",
                f"Write {only} into the code, then archive it.",
            )
        )
    return found


def named_by(name: str, flags: Mapping[str, Flag]) -> list[str]:
    """List the flags that ask for another one."""
    return sorted(
        other
        for other, flag in flags.items()
        if any(one["flag"] == name for one in flag.prerequisites)
        or any(entry.get("flag") == name for rule in flag.rules for entry in rule.when)
    )


def using_segment(name: str, flags: Mapping[str, Flag]) -> list[str]:
    """List the flags that ask for a segment."""
    return sorted(
        other
        for other, flag in flags.items()
        if any(
            name in {entry.get("segment"), entry.get("not_segment")} for r in flag.rules for entry in r.when
        )
    )
