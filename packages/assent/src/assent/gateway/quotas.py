"""How much each application may still use: calls and tokens by minute, tokens and money by day and month.

Workers of one gateway share a book, a small file under a lock: each takes a part of a key's limit on lease
and counts it down in memory, so most calls touch nothing. What is leased never exceeds the limit; what a
worker has leased and does not use goes back when it ends in order, else it is lost with the window. Tokens
are known after a call: a key that has some left is let in, and what it took too much is taken from its next
lease. Money is held before a call, by what the call may cost at most, and settled after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from assent.gateway.book import Book, Lease
from assent.gateway.money import Budget
from assent_client.calls.refusals import Refusal
from assent_client.snapshot import KeyLimits

_MINUTE_S, _DAY_S = 60, 86_400


class _Kind(NamedTuple):
    """A limit; a worker takes one of `parts` parts of its even share at a time."""

    name: str
    window_s: int
    code: str
    parts: int = 8

    def window(self, time: float) -> int:
        """Give the number of the window that a time falls into."""
        return int(time // self.window_s)

    def ends(self, time: float) -> float:
        """Give the end of the window that a time falls into."""
        return (self.window(time) + 1) * self.window_s


class _Month(_Kind):
    """A limit by calendar month (UTC)."""

    __slots__ = ()

    def window(self, time: float) -> int:
        at = datetime.fromtimestamp(time, UTC)
        return at.year * 12 + at.month - 1

    def ends(self, time: float) -> float:
        year, month = divmod(self.window(time) + 1, 12)
        return datetime(year, month + 1, 1, tzinfo=UTC).timestamp()


REQUESTS: Final = _Kind("requests_per_minute", _MINUTE_S, "rate_limit_exceeded")
TOKENS: Final = _Kind("tokens_per_minute", _MINUTE_S, "rate_limit_exceeded")
BUDGET: Final = _Kind("tokens_per_day", _DAY_S, "budget_exhausted")
COST_BY_DAY: Final = _Kind("cost_per_day", _DAY_S, "budget_exhausted", 64)
COST_BY_MONTH: Final = _Month("cost_per_month", 0, "budget_exhausted", 64)
_KINDS: Final = (REQUESTS, TOKENS, BUDGET)


class Quotas:
    """One worker's leases. `share` is this gateway's part of every limit, where several serve one place."""

    def __init__(self, book: Book, n_workers: int, share: float, now: Callable[[], datetime]) -> None:
        self._book, self._n_workers, self._share, self._now = book, n_workers, share, now
        self._leases: dict[tuple[str, _Kind], Lease] = {}

    def admit(self, key: str, limits: KeyLimits) -> None:
        """Let a call in and count it.

        Raises: Refusal (429) with the time to come back.
        """
        time = self._now().timestamp()
        for kind in _KINDS:
            limit = getattr(limits, kind.name)
            if limit is not None and self._lease(key, kind, limit, time).left <= 0:
                raise _exhausted(kind, f"its {limit} {kind.name.replace('_', ' ')}", time)
        if limits.requests_per_minute is not None:
            self._leases[key, REQUESTS].left -= 1

    def spend(self, key: str, limits: KeyLimits, tokens: int) -> None:
        """Count the tokens that a call took."""
        time = self._now().timestamp()
        for kind in (TOKENS, BUDGET):
            limit = getattr(limits, kind.name)
            if limit is not None and tokens:
                self._lease(key, kind, limit, time).left -= tokens

    def hold(self, key: str, budget: Budget, amount: int) -> list[Lease]:
        """Take what a call may cost at most out of a key's budget, and give where it was taken from.

        Raises: Refusal (429) with the time to come back.
        """
        time = self._now().timestamp()
        leases = []
        for kind, limit in ((COST_BY_DAY, budget.per_day), (COST_BY_MONTH, budget.per_month)):
            if limit is None:
                continue
            lease = self._lease(key, kind, limit, time, amount)
            if lease.left < amount:
                raise _exhausted(kind, budget.told(kind is COST_BY_DAY, amount), time)
            leases.append(lease)
        for lease in leases:
            lease.left -= amount
        return leases

    def close(self) -> None:
        """Give back what this worker has leased and not used."""
        time = self._now().timestamp()
        for (key, kind), lease in self._leases.items():
            if lease.left > 0 and lease.window == kind.window(time):
                self._book.give_back(f"{key} {kind.name}", lease.window, lease.left)
                lease.left = 0

    def _lease(self, key: str, kind: _Kind, limit: int, time: float, needed: int = 1) -> Lease:
        window = kind.window(time)
        lease = self._leases.get((key, kind))
        if lease is None or lease.window != window:
            lease = self._leases[key, kind] = Lease(window, 0)
        if lease.left < needed:
            ours = max(1, int(limit * self._share))
            wanted = max(needed, ours // (kind.parts * self._n_workers)) - lease.left
            lease.left += self._book.lease(f"{key} {kind.name}", window, wanted, ours)
        return lease


def _exhausted(kind: _Kind, what: str, time: float) -> Refusal:
    after_s = max(1, math.ceil(kind.ends(time) - time))
    message = (
        f"This application's key has used up {what}. Come back in {after_s} s, or ask for a higher limit."
    )
    return Refusal(429, kind.code, message, retry_after_s=after_s)
