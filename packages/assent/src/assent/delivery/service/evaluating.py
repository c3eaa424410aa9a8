"""Flags as the server itself evaluates them: read from the signed snapshot that everybody gets."""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from assent.delivery.service.feed import Feed
from assent.delivery.service.snapshots import Issue, Scope
from assent.flags import service as flags
from assent.kernel.canonical import digest
from assent.kernel.errors import AssentError
from assent.web.api import Call
from assent_client.decide import Decide, compile_routes

log = logging.getLogger(__name__)

WRITE_EVERY_S: Final = 10.0
MAX_CALLERS: Final = 10_000
KEPT: Final = 64
REASONS: Final = {
    "static": "STATIC",
    "rule": "TARGETING_MATCH",
    "prerequisite": "TARGETING_MATCH",
    "split": "SPLIT",
    "rule_split": "SPLIT",
    "pinned": "SPLIT",
    "disabled": "DISABLED",
}


@dataclass(frozen=True, slots=True)
class ServedFlags:
    """The flags of one snapshot, compiled; `etag` changes with what they decide, not with each issue."""

    etag: str
    documents: Mapping[str, Mapping[str, Any]]
    routes: Mapping[str, Decide]

    def evaluate(self, key: str, context: Mapping[str, Any]) -> dict[str, Any]:
        """Decide one flag; the answer is OFREP's success or failure."""
        document = self.documents[key]
        unit = context.get(document["unit"])
        if not isinstance(unit, str) or not unit:
            details = f"{key} sticks to `{document['unit']}`, which is no text in the context."
            return {"key": key, "errorCode": "TARGETING_KEY_MISSING", "errorDetails": details}
        decision = self.routes[key](unit, context)
        metadata = {"generation": document["generation"], "assentReason": decision.reason}
        if decision.rule is not None:
            metadata["rule"] = decision.rule
        return {
            "key": key,
            "value": decision.value,
            "variant": decision.variant,
            "reason": REASONS[decision.reason],
            "metadata": metadata,
        }

    def etag_for(self, context: Mapping[str, Any]) -> str:
        """Give the tag of all answers to a context."""
        asked = json.dumps(context, sort_keys=True, default=str)
        return digest([self.etag, asked]).removeprefix("sha256:")[:32]


_served: dict[tuple[Scope, str], ServedFlags] = {}
_guard = threading.Lock()


def served_flags(feed: Feed, scope: Scope) -> ServedFlags:
    """Give the flags in force. Raises: NotFound (no such environment), Frozen."""
    return flags_in(feed.current(scope))


def flags_in(issue: Issue) -> ServedFlags:
    """Read and compile the flags of an issue, once."""
    held = _served.get((issue.scope, issue.etag))
    if held is None:
        held = _read(issue)
        with _guard:
            while len(_served) >= KEPT:
                del _served[next(iter(_served))]
            _served[issue.scope, issue.etag] = held
    return held


def _read(issue: Issue) -> ServedFlags:
    payload = msgspec.json.decode(base64.b64decode(msgspec.json.decode(issue.envelope)["payload"]))
    segments = payload.get("segments", {})
    found = {key: route for key, route in payload["routes"].items() if route["kind"] == "flag"}
    etag = digest([found, segments]).removeprefix("sha256:")[:32]
    return ServedFlags(etag, found, compile_routes(found, segments))


class Counted:
    """Counts what was given, and writes it now and then: the report of stale flags reads it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[tuple[str, str, str]]] = {}
        self._clock = clock
        self._written_at = clock() - WRITE_EVERY_S

    def count(self, call: Call, given: tuple[str, str, str]) -> None:
        """Count one answer (environment, flag, variant), and write what has gathered if it is time."""
        with self._lock:
            self._counts.setdefault(call.project, Counter())[given] += 1
            if self._clock() - self._written_at < WRITE_EVERY_S:
                return
            self._written_at = self._clock()
            waiting, self._counts = self._counts, {}
        try:
            with call.begin() as tx:
                for project, counts in waiting.items():
                    flags.see(tx, project, counts, tx.now())
        except AssentError as error:
            log.warning("evaluations of flags were not counted: %s", error.message)


class RateLimit:
    """A bucket of tokens per caller: so many a second, twice as many at once."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}

    def wait_s(self, caller: str, now: float) -> float:
        """Take a token; gives how long the caller must wait, 0 where it has one."""
        with self._lock:
            left, at = self._left.get(caller, (2 * self._per_s, now))
            left = min(2 * self._per_s, left + (now - at) * self._per_s)
            if len(self._left) >= MAX_CALLERS and caller not in self._left:
                self._left.clear()
            if left < 1:
                self._left[caller] = (left, now)
                return (1 - left) / self._per_s
            self._left[caller] = (left - 1, now)
            return 0.0
