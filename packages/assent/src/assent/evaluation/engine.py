"""The engine: asks many cases at once, judges and journals each answer. It knows nothing of governance."""

import asyncio
import contextlib
import random
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from assent.evaluation.domain.cases import Answer, CaseRecord, Outcome, Score, Side
from assent.evaluation.domain.dataset import Row
from assent.evaluation.domain.suite import Limits
from assent.evaluation.domain.target import Target
from assent.evaluation.journal import Journal
from assent.evaluation.panel import Panel
from assent.evaluation.throttle import Throttle
from assent.evaluation.upstream import Failure, Upstream
from assent.kernel.clock import Clock, SystemClock, to_text

Enough = Callable[[Iterable[CaseRecord]], str | None]
"""Looks at what stands in the journal; says why that is enough, if it is."""
LOOK_AGAIN = 1.02
"""After how much growth of the journal it is looked at again."""
Cost = Callable[[Answer, int], float]
"""What an answer to a question of so many bytes cost, in the currency of the suite's budget."""
JudgeAnswer = Callable[[Row, Answer, str], tuple[Outcome, tuple[Score, ...]]]
MIN_FAILURES = 20


class _Stopped(Exception):
    """The run stopped while a question waited for its turn."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One planned case."""

    side: Side
    row: Row
    repeat: int
    key: str
    earlier: CaseRecord | None = None
    """A record of an earlier run with the answer, to be judged anew."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Times of the engine; the defaults suit production, tests use shorter ones.

    A case that the server is too busy for is not failed before `patience_s`. Without one success for
    `give_up_s` (`give_up_first_s` where there never was one) the run stops and can be resumed.
    """

    backoff_s: float = 0.25
    max_backoff_s: float = 30.0
    patience_s: float = 900.0
    give_up_s: float = 60.0
    give_up_first_s: float = 10.0
    progress_s: float = 0.25


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands. `stopped` says why cases were left unasked, `over_budget` that a budget is why."""

    n_planned: int
    n_done: int
    outcomes: Mapping[str, int]
    in_flight: int
    window: int
    n_tokens: int
    n_requests: int
    stopped: str | None = None
    resumable: bool = False
    over_budget: bool = False


@dataclass(slots=True)
class _State:
    n_planned: int
    outcomes: Counter[str]
    waiting: deque[Ask]
    began_s: float
    panel: Panel | None = None
    n_tokens: int = 0
    n_requests: int = 0
    money: float = 0.0
    n_failures: int = 0
    n_failures_probed: int = 0
    proven: dict[Side, Ask] = field(default_factory=dict)
    """For each side a case that was answered: it tells an outage from cases that always fail."""
    last_success_s: float | None = None
    n_looked_at: float = 0
    stopped: str | None = None
    resumable: bool = False
    over_budget: bool = False

    @property
    def all_requests(self) -> int:
        """Requests to the subjects and to judges."""
        return self.n_requests + (0 if self.panel is None else self.panel.n_requests)

    @property
    def all_tokens(self) -> int:
        """Tokens of the subjects and of judges."""
        return self.n_tokens + (0 if self.panel is None else self.panel.n_tokens)


class Engine:
    """Runs the cases of one run against its targets, one per side."""

    def __init__(
        self,
        targets: Mapping[Side, Target],
        judge: JudgeAnswer,
        limits: Limits,
        pace: Pace | None = None,
        clock: Clock | None = None,
        costs: Mapping[Side, Cost] | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._targets = targets
        self._judge = judge
        self._costs = costs or {}
        self._limits = limits
        self._pace = pace or Pace()

    async def run(
        self,
        asks: Iterable[Ask],
        journal: Journal,
        enough: Enough | None = None,
        panel: Panel | None = None,
    ) -> AsyncGenerator[Progress, None]:
        """Ask what the journal does not hold yet; give progress until all is done, it is enough, or it stops.

        `panel` asks the judges of the suite, where it has some; it stands in the place of `judge`.

        Closing the iterator cancels what is in flight; what was answered stays in the journal.
        """
        planned = list(asks)
        state = _State(
            n_planned=len(planned),
            outcomes=Counter(record.outcome.value for record in journal.records.values()),
            waiting=deque(ask for ask in planned if (ask.side, ask.key) not in journal.records),
            began_s=asyncio.get_running_loop().time(),
            panel=panel,
            proven=_proven(planned, journal),
        )
        for record in journal.records.values():  # a run that goes on has spent what it spent before
            if record.answer is not None and record.reused_from is None:
                self._spend(state, record.side, record.answer, 0)
        limits = self._limits
        throttle = Throttle(limits.in_flight)
        upstreams = {
            side: Upstream(
                target,
                timeout_s=limits.timeout_s,
                answer_bytes=limits.answer_bytes,
            )
            for side, target in self._targets.items()
        }
        # Twice as many workers as slots: those that wait for their next attempt hold no slot.
        workers = [
            asyncio.create_task(self._work(state, throttle, upstreams, journal))
            for _ in range(min(2 * limits.in_flight, len(state.waiting)))
        ]
        try:
            pending: set[asyncio.Task[None]] = set(workers)
            while pending:
                done, pending = await asyncio.wait(pending, timeout=self._pace.progress_s)
                for worker in done:
                    worker.result()
                await asyncio.to_thread(journal.sync)
                self._watch(state)
                _look(state, journal, enough)
                yield _progress(state, throttle)
            if not workers:
                yield _progress(state, throttle)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            for upstream in upstreams.values():
                await upstream.close()
            if panel is not None:
                await panel.close()

    def _watch(self, state: _State) -> None:
        """Stop where a budget is used up, or nothing but failures came for too long."""
        pace, now = self._pace, asyncio.get_running_loop().time()
        self._hold_to_budgets(state, now)
        since = state.began_s if state.last_success_s is None else state.last_success_s
        patience = pace.give_up_first_s if state.last_success_s is None else pace.give_up_s
        if state.n_failures >= MIN_FAILURES and now - since > patience:
            _stop(state, f"the upstream gave no answer for {now - since:.0f} s", resumable=True)

    def _hold_to_budgets(self, state: _State, now: float) -> None:
        limits = self._limits
        for name, used, budget in (
            ("requests", state.all_requests, limits.requests),
            ("tokens", state.all_tokens, limits.tokens),
            ("seconds", int(now - state.began_s), limits.seconds),
            (limits.currency, state.money, limits.money),
        ):
            if 0 < budget <= used and state.waiting and state.stopped is None:
                state.over_budget = True
                _stop(state, f"the budget of {budget:,} {name} is used up")

    async def _work(
        self, state: _State, throttle: Throttle, upstreams: Mapping[Side, Upstream], journal: Journal
    ) -> None:
        while state.waiting and state.stopped is None:
            ask = state.waiting.popleft()
            record = await self._case(ask, state, throttle, upstreams[ask.side])
            if record is None:
                state.waiting.appendleft(ask)
                return
            journal.append(record)
            state.outcomes[record.outcome.value] += 1

    async def _case(
        self, ask: Ask, state: _State, throttle: Throttle, upstream: Upstream
    ) -> CaseRecord | None:
        """Ask until there is an answer or no hope; None where the run stopped in between."""
        if ask.earlier is not None:
            return await self._anew(ask, ask.earlier, state)
        loop = asyncio.get_running_loop()
        try:
            body = upstream.body(ask.row)
        except Exception as error:  # noqa: BLE001 -- a template may fail on a case's variables in any way
            return self._failed(ask, f"the prompt cannot be filled in: {error}", 0)
        began_s, n_counted, n_attempts = loop.time(), 0, 0
        while state.stopped is None:
            n_attempts += 1
            try:
                answer, latency_s = await self._attempt(body, state, throttle, upstream)
                self._spend(state, ask.side, answer, len(body))
            except _Stopped:
                return None
            except Failure as failure:
                # Where nothing at all is answered, the upstream is down: no case is failed for that.
                n_counted += 0 if failure.busy or state.n_failures >= MIN_FAILURES else 1
                await self._probe(ask.side, state, throttle, upstream)
                if failure.denied:
                    _stop(state, f"the upstream refuses our key: {failure}", resumable=True)
                    return None
                tired = n_counted >= self._limits.attempts or loop.time() - began_s > self._pace.patience_s
                if not failure.again or tired:
                    return self._failed(ask, str(failure), n_attempts)
                await asyncio.sleep(self._backoff(n_attempts, failure.retry_after_s))
                continue
            state.proven[ask.side] = ask
            record = CaseRecord(
                side=ask.side,
                sample=ask.row.key,
                repeat=ask.repeat,
                answer_key=ask.key,
                outcome=Outcome.SCORED,
                answer=answer,
                scores=(),
                error="",
                asked_at=to_text(self._clock.now()),
                latency_ms=round(1000 * latency_s, 3),
                attempts=n_attempts,
            )
            return await self._anew(ask, record, state)
        return None

    async def _anew(self, ask: Ask, record: CaseRecord, state: _State) -> CaseRecord:
        """Judge the answer of a record, whose replies of judges are kept."""
        answer = record.answer or Answer("")
        if state.panel is None:
            outcome, scores = self._judge(ask.row, answer, ask.key)
            return replace(record, outcome=outcome, scores=scores)
        bench = state.panel.bench
        known = {reply.key: reply for reply in record.replies}
        replies = await state.panel.ask(bench.consultations(ask.row, answer), known)
        outcome, scores = bench.score(ask.row, answer, ask.key, replies)
        error = ""
        if outcome is Outcome.ERROR:
            error = next(score.note for score in scores if score.value is None)
        return replace(record, outcome=outcome, scores=scores, error=error, replies=replies)

    async def _probe(self, side: Side, state: _State, throttle: Throttle, upstream: Upstream) -> None:
        """Ask an answered case again where nothing is answered: an answer says that there is no outage."""
        proven = state.proven.get(side)
        if proven is None or state.n_failures - state.n_failures_probed < MIN_FAILURES:
            return
        state.n_failures_probed = state.n_failures
        with contextlib.suppress(Failure, _Stopped):  # a failure is counted as one more
            body = upstream.body(proven.row)
            answer, _ = await self._attempt(body, state, throttle, upstream)
            self._spend(state, side, answer, len(body))

    async def _attempt(
        self, body: bytes, state: _State, throttle: Throttle, upstream: Upstream
    ) -> tuple[Answer, float]:
        loop = asyncio.get_running_loop()
        async with throttle.slot() as taken_in:
            if state.stopped is not None:
                raise _Stopped
            began_s = loop.time()
            state.n_requests += 1
            try:
                answer = await upstream.ask(body)
            except Failure as failure:
                state.n_failures += 1 if failure.again else 0
                if failure.overload or state.n_failures >= MIN_FAILURES:
                    throttle.overloaded(
                        taken_in, retry_after_s=failure.retry_after_s if failure.busy else 0.0
                    )
                raise
            throttle.went_well()
            state.n_failures, state.n_failures_probed, state.last_success_s = 0, 0, loop.time()
            return answer, loop.time() - began_s

    def _spend(self, state: _State, side: Side, answer: Answer, n_bytes: int) -> None:
        state.n_tokens += (answer.n_prompt_tokens or 0) + (answer.n_completion_tokens or 0)
        if side in self._costs:
            state.money += self._costs[side](answer, n_bytes)
        self._hold_to_budgets(state, asyncio.get_running_loop().time())

    def _failed(self, ask: Ask, error: str, attempts: int) -> CaseRecord:
        return CaseRecord(
            side=ask.side,
            sample=ask.row.key,
            repeat=ask.repeat,
            answer_key=ask.key,
            outcome=Outcome.ERROR,
            answer=None,
            scores=(),
            error=error,
            asked_at=to_text(self._clock.now()),
            latency_ms=None,
            attempts=attempts,
        )

    def _backoff(self, n_attempts: int, retry_after_s: float) -> float:
        """Wait longer each time, with full jitter so that the waiting do not return together."""
        ceiling = min(self._pace.max_backoff_s, self._pace.backoff_s * 2 ** min(n_attempts - 1, 20))
        return retry_after_s + random.uniform(0, ceiling)  # noqa: S311 -- spreads load, guards nothing


def _proven(planned: Iterable[Ask], journal: Journal) -> dict[Side, Ask]:
    """Give for each side a case that the journal holds an answer to."""
    answered = (ask for ask in planned if (ask.side, ask.key) in journal.records)
    return {ask.side: ask for ask in answered if journal.records[ask.side, ask.key].answer is not None}


def _look(state: _State, journal: Journal, enough: Enough | None) -> None:
    """Stop where the journal says enough; the more it holds, the less often it is looked at."""
    if enough is None or not state.waiting or len(journal.records) < state.n_looked_at * LOOK_AGAIN:
        return
    state.n_looked_at = len(journal.records)
    reason = enough(journal.records.values())
    if reason is not None:
        _stop(state, reason)


def _stop(state: _State, reason: str, *, resumable: bool = False) -> None:
    if state.stopped is None:
        state.stopped, state.resumable = reason, resumable


def _progress(state: _State, throttle: Throttle) -> Progress:
    return Progress(
        n_planned=state.n_planned,
        n_done=sum(state.outcomes.values()),
        outcomes=dict(state.outcomes),
        in_flight=throttle.in_flight,
        window=throttle.window,
        n_tokens=state.all_tokens,
        n_requests=state.all_requests,
        stopped=state.stopped,
        resumable=state.resumable,
        over_budget=state.over_budget,
    )
