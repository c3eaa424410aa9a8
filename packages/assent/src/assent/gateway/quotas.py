"""How much each application may still use: requests and tokens by minute, tokens by day.

Workers of one gateway share a book, a small file under a lock: each takes a part of a key's limit on lease
and counts it down in memory, so most calls touch nothing. What is leased never exceeds the limit; what a
worker has leased and does not use is lost with the minute. Tokens are known after a call: a key that has some
left is let in, and what it took too much is taken from its next lease.
"""

from __future__ import annotations

import fcntl
import math
import os
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from assent_client.calls.refusals import Refusal
from assent_client.snapshot import KeyLimits

if TYPE_CHECKING:
    from collections.abc import Iterator

_MINUTE_S, _DAY_S = 60, 86_400
_PARTS: Final = 8
"""A worker takes an eighth of its even share at a time."""


class _Kind(NamedTuple):
    name: str
    window_s: int
    code: str


REQUESTS: Final = _Kind("requests_per_minute", _MINUTE_S, "rate_limit_exceeded")
TOKENS: Final = _Kind("tokens_per_minute", _MINUTE_S, "rate_limit_exceeded")
BUDGET: Final = _Kind("tokens_per_day", _DAY_S, "budget_exhausted")
_KINDS: Final = (REQUESTS, TOKENS, BUDGET)
_Lines = dict[str, tuple[int, int]]
_decode = msgspec.json.Decoder(_Lines).decode


class Book:
    """What all workers have leased: {"key kind": [window, amount]}; it survives restarts."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path

    def lease(self, line: str, window: int, wanted: int, limit: int) -> int:
        """Take up to `wanted` of what the window still holds, and give what was got."""
        with self._locked() as descriptor:
            lines = self._read(descriptor)
            known, leased = lines.get(line, (window, 0))
            taken = leased if known == window else 0
            granted = max(0, min(wanted, limit - taken))
            if granted:
                lines[line] = (window, taken + granted)
                content = msgspec.json.encode(lines)
                os.pwrite(descriptor, content, 0)
                os.ftruncate(descriptor, len(content))
        return granted

    @contextmanager
    def _locked(self) -> Iterator[int]:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    @staticmethod
    def _read(descriptor: int) -> _Lines:
        content = os.pread(descriptor, 16_000_000, 0)
        try:
            return _decode(content) if content else {}
        except msgspec.MsgspecError:
            return {}  # cut short by a crash: the windows begin anew


@dataclass(slots=True)
class _Lease:
    window: int
    left: int


class Quotas:
    """One worker's leases. `share` is this gateway's part of every limit, where several serve one place."""

    def __init__(self, book: Book, n_workers: int, share: float, now: Callable[[], datetime]) -> None:
        self._book, self._n_workers, self._share, self._now = book, n_workers, share, now
        self._leases: dict[tuple[str, str], _Lease] = {}

    def admit(self, key: str, limits: KeyLimits) -> None:
        """Let a call in and count it.

        Raises: Refusal (429) with the time to come back.
        """
        time = self._now().timestamp()
        for kind in _KINDS:
            limit = getattr(limits, kind.name)
            if limit is not None and self._lease(key, kind, limit, time).left <= 0:
                raise _exhausted(kind, limit, time)
        if limits.requests_per_minute is not None:
            self._leases[key, REQUESTS.name].left -= 1

    def spend(self, key: str, limits: KeyLimits, tokens: int) -> None:
        """Count the tokens that a call took."""
        time = self._now().timestamp()
        for kind in (TOKENS, BUDGET):
            limit = getattr(limits, kind.name)
            if limit is not None and tokens:
                self._lease(key, kind, limit, time).left -= tokens

    def _lease(self, key: str, kind: _Kind, limit: int, time: float) -> _Lease:
        window = int(time // kind.window_s)
        lease = self._leases.get((key, kind.name))
        if lease is None or lease.window != window:
            lease = self._leases[key, kind.name] = _Lease(window, 0)
        if lease.left <= 0:
            ours = max(1, int(limit * self._share))
            wanted = max(1, ours // (_PARTS * self._n_workers)) - lease.left
            lease.left += self._book.lease(f"{key} {kind.name}", window, wanted, ours)
        return lease


def _exhausted(kind: _Kind, limit: int, time: float) -> Refusal:
    after_s = max(1, math.ceil(kind.window_s - time % kind.window_s))
    message = (
        f"This application's key has used up its {limit} {kind.name.replace('_', ' ')}. "
        f"Come back in {after_s} s, or ask for a higher limit."
    )
    return Refusal(429, kind.code, message, retry_after_s=after_s)
