"""Sampled answers: where each stands, when a judge is asked again, and when it cannot be relied on."""

from dataclasses import dataclass
from enum import StrEnum

DAY_S = 86_400
WAITS_S = DAY_S
"""A sample that nobody has judged for so long is left out, and its contents are erased."""

MOST_ATTEMPTS = 3
"""So often a judge that is not down is asked about one sample."""

AGAIN_S = 60.0
"""A sample without an answer is put off for so long, so that another one has its turn."""

DOWN_FROM = 2
"""After so many failures in a row a judge counts as down; one may be the fault of what it was asked."""

RECENT_S = 3_600.0
MOST_UNREADABLE, FROM_N = 0.2, 20
"""Of so many replies of the last hour or more, at most such a share may be off-format."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 300.0


class State(StrEnum):
    """Where a sample stands."""

    WAITING = "waiting"
    ASKED = "asked"
    JUDGED = "judged"
    UNREADABLE = "unreadable"
    FAILED = "failed"
    LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a judge answers. Times are seconds since 1970; before `next_at` it is not asked."""

    n_failures: int = 0
    failing_since: float | None = None
    next_at: float = 0.0
    answered_at: float | None = None
    why: str = ""


def failed(health: Health, now_s: float, why: str) -> Health:
    """Note that a judge gave no answer: it is left alone, twice as long each time, for 300 s at most."""
    n = health.n_failures + 1
    pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(n - 1, 20))
    since = now_s if health.failing_since is None else health.failing_since
    return Health(n, since, now_s + pause_s, health.answered_at, why[:300])


def answered(now_s: float) -> Health:
    """Note that a judge answered."""
    return Health(answered_at=now_s)


def day_of(now_s: float) -> float:
    """Give when the present day (UTC) began."""
    return now_s // DAY_S * DAY_S


def trouble(health: Health, n_replies: int, n_unreadable: int) -> str | None:
    """Say why a judge cannot be relied on now; None where it can."""
    if health.n_failures >= DOWN_FROM:
        return f"the judge does not answer ({health.why}), {health.n_failures} times in a row"
    if n_replies >= FROM_N and n_unreadable > MOST_UNREADABLE * n_replies:
        return f"{n_unreadable} of the judge's last {n_replies} replies are off-format"
    return None
