"""Backtest: which past releases a policy would have let out, and which it would have stopped."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from assent.approvals import store
from assent.approvals.domain.facts import Ok, Result
from assent.approvals.domain.requests import Kind, State
from assent.approvals.service import policies
from assent.approvals.service.assessing import assess_as_of
from assent.approvals.store import requests
from assent.kernel.tx import Reader

MAX_RELEASES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtested:
    """A past release, and what the policy says of it on what the record held when it went out."""

    request: str
    ref: str
    went_out_at: datetime
    policy_ref: str
    results: tuple[Result, ...]

    @property
    def stopped_by(self) -> tuple[Result, ...]:
        """Give the conditions that would have stopped it."""
        return tuple(result for result in self.results if result.ok is not Ok.PASS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """What a policy would have done; `releases`: the newest first, at most 200."""

    environment: str
    policy: str
    policy_ref: str
    releases: tuple[Backtested, ...]

    @property
    def n_stopped(self) -> int:
        """Count those that it would have stopped."""
        return sum(bool(release.stopped_by) for release in self.releases)


def backtest(reader: Reader, project: str, environment: str, which: str) -> Backtest:
    """Ask a policy about every release to an environment that went out. Raises: NotFound, Invalid."""
    asked = policies.pinned(reader, project, policies.get_policy(reader, project, which).digest)
    c = requests.c
    executed = store.select_requests(
        reader.conn,
        c.project == project,
        c.environment == environment,
        c.kind == Kind.RELEASE.value,
        c.state == State.EXECUTED.value,
        limit=MAX_RELEASES,
    )
    found = [
        Backtested(
            request=one.id,
            ref=one.ref,
            went_out_at=one.closed_at,
            policy_ref=one.policy_ref,
            results=assess_as_of(reader, one, asked, one.closed_at),
        )
        for one in executed
        if one.closed_at is not None
    ]
    return Backtest(environment=environment, policy=asked.digest, policy_ref=asked.ref, releases=tuple(found))
