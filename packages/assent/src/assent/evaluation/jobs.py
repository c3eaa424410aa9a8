"""The job that carries out a run: resumes from the journal, asks, judges, closes."""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from assent.evaluation import service
from assent.evaluation.domain.cases import CaseRecord, Side, answer_key
from assent.evaluation.domain.result import asked_in_order, decided_early
from assent.evaluation.domain.usage import spent_on
from assent.evaluation.engine import Ask, Cost, Engine, Enough, Progress
from assent.evaluation.journal import Journal
from assent.evaluation.panel import Panel
from assent.evaluation.scorers import Bench, compile_suite
from assent.evaluation.service import JOB, Plan, Run, RunProgress
from assent.kernel.canonical import digest
from assent.kernel.clock import from_text
from assent.kernel.errors import AssentError, Conflict
from assent.kernel.jobs import job, tick
from assent.kernel.runtime import Runtime
from assent.kernel.tx import SYSTEM
from assent.providers.service import Price

log = logging.getLogger(__name__)

PROGRESS_S = 1.0


@job(JOB)
def run(runtime: Runtime, *, run_id: str) -> None:
    """Carry a run out, or on; a run that has ended, or that another worker holds, is left alone."""
    with runtime.session.read() as reader:
        found = service.get_run(reader, run_id)
        if found.state != "submitted":
            return
    try:
        with Journal(journal_path(runtime, run_id), _header(found)) as journal:
            _carry_out(runtime, found, journal)
    except Conflict as error:
        log.warning("the run %s is left alone: %s", run_id, error)
    except AssentError as error:
        _stopped(runtime, run_id, _words(error))
    except Exception:
        _stopped(runtime, run_id, "The worker failed; its log says why.")
        raise


@tick("evaluation.test_prompts", every_s=5)
def test_prompts(runtime: Runtime) -> None:
    """Run the suites that are bound to prompts on the versions that have not been tested with them."""
    with runtime.session.read() as reader:
        due = service.list_due(reader)
    for new in due:
        try:
            with runtime.session.begin(SYSTEM) as tx:
                if new in service.list_due(tx):
                    service.submit(tx, new)
        except AssentError as error:
            log.info("%s is not tested with %s: %s", new.subject, new.suite, error.message)


@tick("evaluation.reevaluate", every_s=30)
def reevaluate(runtime: Runtime) -> None:
    """Evaluate again what is live and whose schedule has come."""
    with runtime.session.read() as reader:
        due = service.list_scheduled(reader)
    for new in due:
        try:
            with runtime.session.begin(SYSTEM) as tx:
                if new in service.list_scheduled(tx):
                    service.submit(tx, new)
        except AssentError as error:
            log.warning("%s is not evaluated again by %s: %s", new.subject, new.suite, error.message)


def journal_path(runtime: Runtime, run_id: str) -> Path:
    """Give the file of a run while it is under way; once closed, its bytes are a body."""
    return runtime.settings.data_dir / "journals" / f"{run_id}.jsonl"


def _header(found: Run) -> dict[str, str | None]:
    return {"run": found.id, "subject": found.subject, "suite": found.suite, "baseline": found.baseline}


def _carry_out(runtime: Runtime, found: Run, journal: Journal) -> None:
    with runtime.session.read() as reader:
        plan = service.plan(reader, found)
    bench = compile_suite(plan.suite)
    asks = _reuse(plan, list(asks_of(plan)), bench, journal, runtime.clock.now())
    last = asyncio.run(_ask(runtime, plan, bench, asks, journal))
    if last is None:
        return
    if last.stopped is not None and last.resumable:
        _note(runtime, _step(found.id, last, "stopped"))
        return
    journal.sync()
    with runtime.session.begin(SYSTEM) as tx:
        service.close(tx, found.id, journal.content(), last.stopped if last.over_budget else None)
    journal.path.unlink()
    runtime.signals.notify("evaluation")


def asks_of(plan: Plan) -> Iterator[Ask]:
    """List every case of a run: both sides of a row one after the other, so that a stopped run has pairs."""
    solver = digest(dict(plan.suite.solver))
    asked = {"candidate": plan.run.subject, "baseline": plan.run.baseline or ""}
    subjects = {side: service.asked_of(digest, plan.run.through) for side, digest in asked.items()}
    rows, repeats = asked_in_order(plan.suite, plan.rows), range(plan.suite.repeats)
    # Where a run may stop early, a row is asked to its end before the next begins.
    early = plan.suite.gate.early
    order = (
        ((row, n) for row in rows for n in repeats) if early else ((row, n) for n in repeats for row in rows)
    )
    for row, repeat in order:
        for side in plan.targets:
            yield Ask(side, row, repeat, answer_key(subjects[side], solver, row.key, repeat))


def _enough(plan: Plan) -> Enough | None:
    """Make what looks whether the gate is decided already, where it may be."""
    if not plan.suite.gate.early:
        return None

    def look(records: Iterable[CaseRecord]) -> str | None:
        verdict = decided_early(plan.suite, plan.rows, records, paired=plan.run.baseline is not None)
        return None if verdict is None else f"the gate is decided: {verdict}"

    return look


def _reuse(plan: Plan, asks: list[Ask], bench: Bench, journal: Journal, now: datetime) -> list[Ask]:
    """Take over answers that earlier runs got to the same question, and judge them anew.

    Gives the cases; those whose answers judges have yet to see hold the earlier record.
    """
    oldest = now - timedelta(days=plan.suite.reuse_days)
    found = []
    for ask in asks:
        run_id, record = plan.earlier.get(ask.key, ("", None))
        known = record is not None and record.answer is not None and from_text(record.asked_at) >= oldest
        if not known or record is None or (ask.side, ask.key) in journal.records:
            found.append(ask)
            continue
        taken = replace(
            record,
            side=ask.side,
            sample=ask.row.key,
            repeat=ask.repeat,
            error="",
            reused_from=record.reused_from or run_id,
        )
        found.append(replace(ask, earlier=taken))
        if not bench.judges and taken.answer is not None:
            outcome, scores = bench.score(ask.row, taken.answer, ask.key)
            journal.append(replace(taken, outcome=outcome, scores=scores, replies=()))
    journal.sync()
    return found


async def _ask(
    runtime: Runtime, plan: Plan, bench: Bench, asks: list[Ask], journal: Journal
) -> Progress | None:
    """Run the engine, telling how far it is; None where the run was cancelled meanwhile."""
    engine = Engine(plan.targets, bench.score, plan.suite.limits, clock=runtime.clock, costs=_costs(plan))
    panel = Panel(bench, plan.judges, plan.suite.limits) if bench.judges else None
    last: Progress | None = None
    told_s = -PROGRESS_S
    steps = engine.run(asks, journal, _enough(plan), panel)
    try:
        async for last in steps:
            now_s = asyncio.get_running_loop().time()
            if now_s - told_s >= PROGRESS_S or last.n_done == last.n_planned:
                told_s = now_s
                if not await asyncio.to_thread(_note, runtime, _step(plan.run.id, last, "running")):
                    return None
    finally:
        await steps.aclose()
    return last


def _costs(plan: Plan) -> dict[Side, Cost]:
    """Make what tells the cost of an answer, on each side whose price is known."""

    def cost_at(price: Price) -> Cost:
        return lambda answer, n_bytes: float(spent_on(price, answer, n_bytes))

    return {side: cost_at(price) for side, price in plan.prices.items() if price is not None}


def _step(run_id: str, at: Progress, state: str) -> RunProgress:
    return RunProgress(
        run=run_id,
        state=state,
        n_planned=at.n_planned,
        n_done=at.n_done,
        counts=dict(at.outcomes),
        note=at.stopped or "",
        at=datetime.min,  # noqa: DTZ901 -- `advance` writes the clock's time
    )


def _note(runtime: Runtime, step: RunProgress) -> bool:
    with runtime.session.begin(SYSTEM) as tx:
        goes_on = service.advance(tx, step)
    runtime.signals.notify("evaluation")
    return goes_on


def _stopped(runtime: Runtime, run_id: str, note: str) -> None:
    with runtime.session.read() as reader:
        step = service.progress_of(reader, run_id)
    if step is not None:
        _note(runtime, replace(step, state="stopped", note=note))


def _words(error: AssentError) -> str:
    parts = [error.message, *(reason.message for reason in error.reasons), error.remedy or ""]
    return " ".join(part for part in parts if part)[:2000]
