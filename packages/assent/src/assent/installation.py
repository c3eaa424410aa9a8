"""Open an installation: what the processes of the product are composed of."""

from __future__ import annotations

import fcntl
import logging
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import sqlalchemy as sa

from assent import migrations
from assent.approvals import jobs as approvals_jobs
from assent.approvals import store as approvals_store
from assent.cards import jobs as cards_jobs
from assent.cards import store as cards_store
from assent.compliance import store as compliance_store
from assent.delivery import jobs as delivery_jobs
from assent.delivery import store as delivery_store
from assent.evaluation import jobs as evaluation_jobs
from assent.evaluation import store as evaluation_store
from assent.evidence import store as evidence_store
from assent.flags import store as flags_store
from assent.identity import store as identity_store
from assent.kernel import db, jobs
from assent.kernel.blobs import Blobs
from assent.kernel.clock import Clock, SystemClock
from assent.kernel.errors import Frozen, Invalid, Unavailable
from assent.kernel.runtime import Runtime
from assent.kernel.settings import Settings
from assent.kernel.signing import load_signers
from assent.kernel.tx import EnqueuePort, Ports, Projector, Session
from assent.ledger import service as ledger
from assent.monitoring import jobs as monitoring_jobs
from assent.monitoring import store as monitoring_store
from assent.notifications import jobs as notifications_jobs
from assent.notifications import store as notifications_store
from assent.prompts import store as prompts_store
from assent.providers import store as providers_store
from assent.registry import store as registry_store
from assent.retirement import jobs as retirement_jobs
from assent.retirement import store as retirement_store

PROJECTIONS = (
    identity_store.projections,
    notifications_store.projections,
    evidence_store.projections,
    providers_store.projections,
    prompts_store.projections,
    registry_store.projections,
    evaluation_store.projections,
    approvals_store.projections,
    flags_store.projections,
    delivery_store.projections,
    monitoring_store.projections,
    retirement_store.projections,
    cards_store.projections,
    compliance_store.projections,
)
"""The projections of every slice: the ledger is replayed with these."""

JOBS: tuple[ModuleType, ...] = (
    approvals_jobs,
    cards_jobs,
    delivery_jobs,
    evaluation_jobs,
    monitoring_jobs,
    notifications_jobs,
    retirement_jobs,
)
"""Importing them declares every job and tick: who enqueues one must know it as well as who runs it."""

PREPARING = 0x617373656E74
"""The key of PostgreSQL's advisory lock for bringing the schema up to date; `assent` in ASCII."""

BACKENDS = ("postgresql", "postgres", "sqlite")


def prepare(settings: Settings) -> None:
    """Make the data directory and bring the database's schema up to date.

    Raises: Frozen (the directory cannot be written), Unavailable (no database), Invalid (its URL).
    """
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=settings.data_dir).close()
    except OSError as error:
        raise Frozen(
            f"The data directory {settings.data_dir} cannot be used: {error.strerror}.",
            remedy="Give this user write access to it, or set ASSENT_DATA_DIR to a folder of yours.",
        ) from error
    with _explained(settings), _one_at_a_time(settings):
        migrations.upgrade(settings.database)
        jobs.migrate(settings.database)


@contextmanager
def _one_at_a_time(settings: Settings) -> Iterator[None]:
    """Let one process after another bring the schema up to date when several start at once."""
    if sa.make_url(settings.database).get_backend_name() == "sqlite":
        with (settings.data_dir / ".preparing").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield
        return
    engine = db.connect(settings.database, pool_size=1)
    try:
        # Asked again and again, each time by itself: an open transaction, or a statement that waits for the
        # lock, would keep DBOS's CREATE INDEX CONCURRENTLY waiting for ever.
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            while not conn.execute(sa.select(sa.func.pg_try_advisory_lock(PREPARING))).scalar():
                time.sleep(0.1)
            yield
    finally:
        engine.dispose()  # ends the connection, and with it the lock


@contextmanager
def opened(
    settings: Settings, *, clock: Clock | None = None, enqueue: EnqueuePort | None = None
) -> Iterator[Runtime]:
    """Open what a process needs, and close it at the end; the schema must be up to date.

    Raises: Frozen, Unavailable, Invalid.
    """
    with _explained(settings):
        engine = db.connect(settings.database, pool_size=settings.db_pool_size)
        migrations.require_current(engine)
    signers = load_signers(settings.data_dir / "keys", settings.origin)
    port = jobs.DbosPort(settings.database)
    ports = Ports(
        clock=clock or SystemClock(),
        blobs=Blobs(settings.data_dir / "blobs"),
        projector=Projector(PROJECTIONS),
        ledger=ledger.open_ledger(signers.ledger, settings.data_dir),
        jobs=enqueue or port,
    )
    try:
        yield Runtime(settings, Session(engine, ports), signers)
    finally:
        port.close()
        engine.dispose()


def _check_url(url: str) -> None:
    """Check that this is the address of a database we know. Raises: Invalid."""
    try:
        fault = (
            "" if sa.make_url(url).get_backend_name() in BACKENDS else "it is neither PostgreSQL nor SQLite"
        )
    except sa.exc.ArgumentError as error:
        fault = str(error)
    except ValueError:
        fault = "its port is not a number"
    if fault:
        raise Invalid(
            f"ASSENT_DATABASE_URL is not a database's address: {fault}.",
            remedy="Write postgresql://user:password@host:5432/name, or leave it empty for SQLite.",
        )


@contextmanager
def _explained(settings: Settings) -> Iterator[None]:
    _check_url(settings.database)
    try:
        yield
    except (sa.exc.OperationalError, sqlite3.OperationalError) as error:
        shown = sa.make_url(settings.database).render_as_string()
        raise Unavailable(
            f"The database {shown} does not answer: {getattr(error, 'orig', error)}.",
            remedy="See that it runs and that ASSENT_DATABASE_URL is right.",
        ) from error


def configure_logging(settings: Settings) -> None:
    """Log to standard error, a line an event."""
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    for noisy in ("httpx", "httpcore", "dbos", "alembic", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
