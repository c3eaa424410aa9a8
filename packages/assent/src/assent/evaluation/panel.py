"""The panel: asks the judges of a suite, with a throttle and retries of their own.

A judge that is down fails cases (as errors, which lower the coverage); it never stops the run, since the
answers of the subject are worth keeping: the next run reuses them and asks the judges alone.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence

from assent.evaluation.domain.cases import Reply
from assent.evaluation.domain.suite import Limits
from assent.evaluation.domain.target import Target
from assent.evaluation.scorers import Bench, Consultation
from assent.evaluation.throttle import Throttle
from assent.evaluation.upstream import Failure, Upstream

DOWN_AFTER = 20
"""After as many failures without a success each question is put once only."""
BACKOFF_S = 0.25
MAX_BACKOFF_S = 15.0
MAX_BUSY_S = 300.0


class Panel:
    """Judges by digest, and the questions of one run to them. Used within one event loop."""

    def __init__(
        self, bench: Bench, judges: Mapping[str, Target], limits: Limits, backoff_s: float = BACKOFF_S
    ) -> None:
        self.bench = bench
        self._limits = limits
        self._backoff_s = backoff_s
        self._upstreams = {
            digest: Upstream(target, timeout_s=limits.timeout_s, answer_bytes=limits.answer_bytes)
            for digest, target in judges.items()
        }
        self._throttles = {digest: Throttle(limits.in_flight) for digest in judges}
        self._failures = dict.fromkeys(judges, 0)
        self.n_requests = self.n_tokens = 0

    async def ask(
        self, consultations: Sequence[Consultation], known: Mapping[str, Reply]
    ) -> tuple[Reply, ...]:
        """Give a reply to each question, from `known` where it is there. Never raises a Failure."""
        asked = [self._reply(one, known.get(one.key)) for one in consultations]
        return tuple(await asyncio.gather(*asked))

    async def _reply(self, asked: Consultation, known: Reply | None) -> Reply:
        if known is not None and known.text is not None:
            return known
        digest = asked.judge.digest
        body = self._upstreams[digest].body_of(asked.messages)
        loop = asyncio.get_running_loop()
        began_s, n_attempts, n_counted = loop.time(), 0, 0
        while True:
            n_attempts += 1
            try:
                return Reply(digest, asked.key, asked.order, await self._attempt(digest, body))
            except Failure as failure:
                n_counted += 0 if failure.busy else 1
                allowed = 1 if self._failures[digest] >= DOWN_AFTER else self._limits.attempts
                tired = n_counted >= allowed or loop.time() - began_s > MAX_BUSY_S
                if tired or not failure.again:
                    return Reply(digest, asked.key, asked.order, None, str(failure)[:300])
                ceiling = min(MAX_BACKOFF_S, self._backoff_s * 2 ** min(n_attempts - 1, 20))
                await asyncio.sleep(failure.retry_after_s + random.uniform(0, ceiling))  # noqa: S311 -- spreads load

    async def _attempt(self, digest: str, body: bytes) -> str:
        throttle = self._throttles[digest]
        async with throttle.slot() as taken_in:
            self.n_requests += 1
            try:
                answer = await self._upstreams[digest].ask(body)
            except Failure as failure:
                self._failures[digest] += 1
                if failure.overload:
                    throttle.overloaded(
                        taken_in, retry_after_s=failure.retry_after_s if failure.busy else 0.0
                    )
                raise
            throttle.went_well()
            self._failures[digest] = 0
            self.n_tokens += (answer.n_prompt_tokens or 0) + (answer.n_completion_tokens or 0)
            return answer.text

    async def close(self) -> None:
        """Close all connections."""
        for upstream in self._upstreams.values():
            await upstream.close()
