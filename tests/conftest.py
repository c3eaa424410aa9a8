"""Fixtures that several slices' tests share: a whole installation on a real database."""

import os
import uuid
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from assent.app import create_app
from assent.identity import service as identity
from assent.installation import opened, prepare
from assent.kernel.clock import FakeClock
from assent.kernel.db import connect
from assent.kernel.settings import load
from assent.kernel.tx import SYSTEM, Actor

POSTGRES = os.environ.get("ASSENT_TEST_POSTGRES", "")


class KeptJobs:
    """Keeps what was enqueued, so that a test runs it itself."""

    def __init__(self):
        self.kept = []

    def enqueue(self, conn, job, arguments):
        self.kept.append((job, dict(arguments)))


@contextmanager
def postgres_database(prefix):
    """A database of its own on the test server, dropped at the end."""
    name = f"{prefix}_{uuid.uuid4().hex[:12]}"
    admin = connect(POSTGRES)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(sa.text(f"CREATE DATABASE {name}"))
        try:
            yield sa.make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
        finally:
            conn.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param(
            "postgres", marks=pytest.mark.skipif(not POSTGRES, reason="ASSENT_TEST_POSTGRES names no server")
        ),
    ]
)
def any_database(request):
    """The URL of an empty database: SQLite in the data directory (empty), then PostgreSQL."""
    if request.param == "sqlite":
        yield ""
        return
    with postgres_database("assent_test") as url:
        yield url


class Installation:
    """A whole installation with a fake clock, and who acts in it."""

    def __init__(self, runtime, jobs):
        self.runtime = runtime
        self.jobs = jobs
        self.app = create_app(runtime)

    @property
    def clock(self):
        return self.runtime.clock

    def begin(self, actor=SYSTEM):
        return self.runtime.session.begin(actor)

    def read(self):
        return self.runtime.session.read()

    def person(self, name, *roles, project="*"):
        """Add a person with roles; gives the actor, just signed in."""
        with self.begin() as tx:
            account = identity.add_person(tx, name)
            for role in roles:
                identity.bind(tx, account.id, role, project)
        return Actor(account.id, "person", self.clock.now())

    def token(self, actor, scopes=None):
        with self.begin(actor) as tx:
            return identity.issue_token(tx, actor.id, "for a test", scopes)


@contextmanager
def installed(folder, database_url=""):
    settings = load(data_dir=folder / "data", database_url=database_url, origin="log.example/assent")
    prepare(settings)
    jobs = KeptJobs()
    with opened(settings, clock=FakeClock(), enqueue=jobs) as runtime:
        yield Installation(runtime, jobs)


@pytest.fixture
def installation(any_database, tmp_path):
    """An installation on each database."""
    with installed(tmp_path, any_database) as found:
        yield found


@pytest.fixture
def desk(tmp_path):
    """An installation on SQLite."""
    with installed(tmp_path) as found:
        yield found
