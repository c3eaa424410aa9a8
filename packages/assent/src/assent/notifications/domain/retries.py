"""When a delivery is tried again, and when it is given up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

MAX_TRIES = 10
FIRST_DELAY_S = 5.0
GROWTH = 4.0
MAX_DELAY_S = 43_200.0
JITTER = 0.2
"""A delay is longer or shorter by up to this share, so that receivers that recover are not stormed."""

MAX_RETRY_AFTER_S = 86_400.0
MAX_REST_S = 300.0
"""How long, at most, a receiver that does not answer at all is left alone with all deliveries."""

DISABLE_AFTER = timedelta(days=3)
"""A subscription that failed each time for so long is disabled."""

GONE, TOO_MANY = 410, 429
BUSY = frozenset({TOO_MANY, 502, 503, 504})
KEEP_DELIVERED = timedelta(days=7)
KEEP_DEAD = timedelta(days=30)
KEEP_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended. `status`: HTTP's or SMTP's, None where nothing answered.

    `answer` is an excerpt to show, `body` the first 4,096 bytes.
    `duration_s` and `retry_after_s` are seconds.
    """

    ok: bool
    status: int | None = None
    error: str | None = None
    retry_after_s: float | None = None
    answer: str = ""
    duration_s: float = 0.0
    body: bytes = b""

    @property
    def is_gone(self) -> bool:
        """Tell whether the receiver wants nothing any more."""
        return self.status == GONE

    @property
    def is_down(self) -> bool:
        """Tell whether the failure is the receiver's as a whole, not this delivery's."""
        return not self.ok and (self.status is None or self.status in BUSY)


@dataclass(frozen=True, slots=True)
class Rest:
    """What follows a failure: when this delivery is due again (None: given up), and the whole receiver."""

    due_at: datetime | None
    receiver_at: datetime | None


def delay_s(n_tries: int, chance: float) -> float:
    """Give the seconds until the next try, after `n_tries` ≥ 1; `chance` in [0, 1) is the jitter."""
    plain = min(FIRST_DELAY_S * GROWTH ** min(n_tries - 1, 20), MAX_DELAY_S)
    return plain * (1 - JITTER + 2 * JITTER * chance)


def rest(outcome: Outcome, n_tries: int, n_failures: int, now: datetime, chance: float) -> Rest:
    """Say what follows a failure, the delivery's `n_tries`-th and the receiver's `n_failures`-th in a row."""
    asked = outcome.retry_after_s or 0.0
    wait = max(delay_s(n_tries, chance), asked)
    gives_up = n_tries >= MAX_TRIES or outcome.is_gone
    receiver = max(min(delay_s(n_failures, chance), MAX_REST_S), asked) if outcome.is_down else None
    return Rest(
        None if gives_up else now + timedelta(seconds=wait),
        None if receiver is None else now + timedelta(seconds=receiver),
    )


def is_hopeless(outcome: Outcome, failing_since: datetime, now: datetime) -> str | None:
    """Say why a subscription is given up: gone or failing; None: it is not."""
    if outcome.is_gone:
        return "gone"
    return "failing" if now - failing_since >= DISABLE_AFTER else None


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Read `Retry-After`, seconds or a date (RFC 9110, 10.2.3), at most a day; None where it says nothing."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_RETRY_AFTER_S)
    try:
        moment = parsedate_to_datetime(text)
        seconds = (moment - now).total_seconds()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)
