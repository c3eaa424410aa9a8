"""Work done later, by DBOS: a job exists if and only if the transaction that enqueued it commits.

Every job is one durable DBOS workflow that is called by name. Jobs are at-least-once, so they are idempotent.
A tick is a short job on a schedule, level-triggered: it looks at the state and does what is due.
DBOS keeps its tables in our database. Seen in it and built around: a dead worker's jobs are not taken over
by themselves, hence unique executor ids, heartbeats and `recover`; finished rows stay, hence `prune`; each
run of a schedule is several transactions, hence one schedule, by whose runs all ticks begin.
"""

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig
from sqlalchemy import event

from assent.kernel.db import Utc, table
from assent.kernel.ids import new_id
from assent.kernel.runtime import Runtime

log = logging.getLogger(__name__)

QUEUE = "assent"
WORKFLOW = "assent.job"
APPLICATION_VERSION = "assent-1"
POLL_S = 0.25
DEAD_AFTER_S = 10.0
KEEP_FINISHED_S = 600.0
MAX_TICK_S = 59
LAST_S = 5
SCHEDULE = "assent.ticks"

workers = table(
    "kernel_workers",
    sa.Column("executor_id", sa.String(64), primary_key=True),
    sa.Column("seen_at", Utc, nullable=False),
    kind="operational",
)

Job = Callable[..., None]
_jobs: dict[str, Job] = {}
_ticks: dict[str, tuple[int, Job]] = {}


def job(name: str) -> Callable[[Job], Job]:
    """Declare what `tx.enqueue(name, …)` runs: `run(runtime, *, …)`."""

    def declare(run: Job) -> Job:
        if name in _jobs:
            raise ValueError(f"two jobs are called {name}")
        _jobs[name] = run
        return run

    return declare


def tick(name: str, *, every_s: int) -> Callable[[Job], Job]:
    """Declare a short job on a schedule: every `every_s` seconds, 1 to 59."""
    if not 1 <= every_s <= MAX_TICK_S:
        raise ValueError(f"the tick {name} runs every 1 to {MAX_TICK_S} seconds, not {every_s}")

    def declare(run: Job) -> Job:
        job(name)(run)
        _ticks[name] = (every_s, run)
        return run

    return declare


@event.listens_for(sa.Engine, "connect")
def _tell_milliseconds(connection: object, _record: object) -> None:
    """Have SQLite before 3.42 answer `unixepoch('subsec')`, which DBOS asks on Python 3.12 and later."""
    if isinstance(connection, sqlite3.Connection) and sqlite3.sqlite_version_info < (3, 42):
        connection.create_function("unixepoch", 1, _unixepoch)


def _unixepoch(asked: str) -> float:
    if asked != "subsec":
        raise ValueError(f"unixepoch({asked!r}) is not known before SQLite 3.42")
    return round(time.time(), 3)


class DbosPort:
    """Enqueues in the caller's transaction."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: DBOSClient | None = None
        self._lock = threading.Lock()

    def enqueue(self, conn: sa.Connection, job: str, arguments: Mapping[str, Any]) -> None:
        """Enqueue; committed or rolled back with everything else."""
        if job not in _jobs:
            raise LookupError(f"no job is called {job!r}")
        self._connected().enqueue_in_transaction(
            conn,
            {"workflow_name": WORKFLOW, "queue_name": QUEUE, "app_version": APPLICATION_VERSION},
            job,
            json.dumps(arguments),
        )

    def _connected(self) -> DBOSClient:
        with self._lock:
            if self._client is None:
                self._client = DBOSClient(system_database_url=self._url, application_name="assent")
            return self._client

    def close(self) -> None:
        """Close its connections."""
        with self._lock:
            if self._client is not None:
                self._client.destroy()
                self._client = None


def migrate(url: str) -> None:
    """Create or update DBOS's own tables."""
    logging.getLogger("dbos").setLevel(logging.WARNING)
    DBOS.migrate(url)


@dataclass(slots=True)
class Worker:
    """Runs jobs and ticks in this process until `stop`."""

    runtime: Runtime
    executor_id: str
    _stop: threading.Event
    _beat: threading.Thread | None = None

    def stop(self) -> None:
        """Finish what runs, for at most five seconds, and let go."""
        self._stop.set()
        if self._beat is not None:
            self._beat.join(LAST_S)
        DBOS.destroy(workflow_completion_timeout_sec=LAST_S)
        _ticks_end()
        with self.runtime.session.engine.begin() as conn:
            conn.execute(sa.delete(workers).where(workers.c.executor_id == self.executor_id))


def start(runtime: Runtime) -> Worker:
    """Start a worker in this process; one a process."""
    logging.getLogger("dbos").setLevel(logging.WARNING)
    executor_id = new_id("exe")
    config: DBOSConfig = {
        "name": "assent",
        "system_database_url": runtime.settings.database,
        "application_version": APPLICATION_VERSION,
        "executor_id": executor_id,
        "log_level": "WARNING",
        "run_migrations": False,
        "scheduler_polling_interval_sec": 1.0,
    }
    DBOS(config=config)

    @DBOS.workflow(name=WORKFLOW)
    def run_job(name: str, arguments: str) -> None:
        _run(runtime, name, json.loads(arguments))

    @DBOS.workflow(name="assent.tick")
    def begin_ticks(due: datetime, _context: Any) -> None:
        for name in due_ticks(due):
            threading.Thread(target=run_tick, args=(runtime, name), name=name, daemon=True).start()

    worker = Worker(runtime, executor_id, threading.Event())
    _heartbeat(runtime, executor_id)
    DBOS.launch()
    DBOS.register_queue(QUEUE, polling_interval_sec=POLL_S, worker_concurrency=8)
    DBOS.apply_schedules(
        [{"schedule_name": SCHEDULE, "workflow_fn": begin_ticks, "schedule": "* * * * * *", "context": None}]
    )
    for one in DBOS.list_schedules():
        if one["schedule_name"] != SCHEDULE:  # of an older release: one for each tick
            DBOS.delete_schedule(one["schedule_name"])
    worker._beat = threading.Thread(target=_beat, args=(runtime, worker), daemon=True, name="heartbeat")  # noqa: SLF001 -- its own
    worker._beat.start()  # noqa: SLF001 -- its own
    return worker


_running = threading.Lock()
_ticking: set[str] = set()


def due_ticks(due: datetime) -> list[str]:
    """List the ticks of a second, in the order of their names."""
    second = int(due.timestamp())
    return [name for name, (every_s, _run_tick) in sorted(_ticks.items()) if second % every_s == 0]


def run_tick(runtime: Runtime, name: str) -> None:
    """Run a tick; one that is still running from its last time is left alone, one that fails comes again."""
    with _running:
        if name in _ticking:
            return
        _ticking.add(name)
    try:
        _ticks[name][1](runtime)
    except Exception:
        log.exception("the tick %s failed", name)
    finally:
        with _running:
            _ticking.discard(name)


def _ticks_end() -> None:
    """Wait for ticks that run, as long as for jobs."""
    until = time.monotonic() + LAST_S
    while _ticking and time.monotonic() < until:
        time.sleep(0.02)


def _run(runtime: Runtime, name: str, arguments: Mapping[str, Any]) -> None:
    try:
        _jobs[name](runtime, **arguments)
    except Exception:
        log.exception("the job %s failed", name)
        raise


def _heartbeat(runtime: Runtime, executor_id: str) -> None:
    now = datetime.now(UTC)
    with runtime.session.engine.connect() as raw:
        conn = raw.execution_options(assent_writes=True)
        with conn.begin():
            done = conn.execute(
                sa.update(workers).where(workers.c.executor_id == executor_id).values(seen_at=now)
            )
            if done.rowcount == 0:
                conn.execute(sa.insert(workers).values(executor_id=executor_id, seen_at=now))


def _beat(runtime: Runtime, worker: Worker) -> None:
    last_prune = datetime.min.replace(tzinfo=UTC)
    while not worker._stop.wait(DEAD_AFTER_S / 5):  # noqa: SLF001 -- its own
        try:
            _heartbeat(runtime, worker.executor_id)
            recover(runtime)
            if datetime.now(UTC) - last_prune > timedelta(minutes=1):
                prune()
                last_prune = datetime.now(UTC)
        except Exception:
            log.exception("the worker's heartbeat failed; it goes on")


def recover(runtime: Runtime) -> int:
    """Give the unfinished jobs of dead workers back to the queue; give how many."""
    limit = datetime.now(UTC) - timedelta(seconds=DEAD_AFTER_S)
    with runtime.session.engine.begin() as conn:
        alive = set(
            conn.execute(sa.select(workers.c.executor_id).where(workers.c.seen_at >= limit)).scalars()
        )
    pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
    lost = [w.workflow_id for w in pending if w.executor_id not in alive]
    if lost:
        log.warning("taking over %d jobs of workers that are gone", len(lost))
        DBOS.resume_workflows(lost)
    return len(lost)


def prune() -> None:
    """Delete finished jobs, so that the tables stay small."""
    before = (datetime.now(UTC) - timedelta(seconds=KEEP_FINISHED_S)).isoformat()
    while True:
        done = DBOS.list_workflows(
            status=["SUCCESS", "ERROR", "CANCELLED"],
            completed_before=before,
            limit=500,
            load_input=False,
            load_output=False,
        )
        if not done:
            return
        DBOS.delete_workflows([w.workflow_id for w in done])
