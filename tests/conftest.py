"""Fixtures that several slices' tests share: a whole installation on a real database."""

import os
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, settings

from assent.app import create_app
from assent.identity import service as identity
from assent.installation import opened
from assent.kernel.clock import FakeClock
from assent.kernel.settings import load
from assent.kernel.tx import SYSTEM, Actor
from tests.databases import BOTH, drop_all, empty_postgres, prepared

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
if "CI" not in os.environ:  # there hypothesis does so by itself
    settings.load_profile("busy")


class KeptJobs:
    """Keeps what was enqueued, so that a test runs it itself."""

    def __init__(self):
        self.kept = []

    def enqueue(self, conn, job, arguments):
        self.kept.append((job, dict(arguments)))


@pytest.fixture(scope="session", autouse=True)
def _databases_end():
    yield
    drop_all()


@pytest.fixture(params=BOTH)
def database(request, tmp_path):
    """The URL of a database of each kind with this release's schema and no row; SQLite's is in `tmp_path`."""
    with prepared(request.param, tmp_path) as url:
        yield url


@pytest.fixture(params=BOTH)
def any_database(request):
    """The URL of a database without any table: SQLite in the data directory (empty), then PostgreSQL."""
    if request.param == "sqlite":
        yield ""
        return
    with empty_postgres() as url:
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
def installed(folder, kind="sqlite", **changes):
    """Open an installation with a database of a kind, and settings that differ from the usual."""
    data = folder / "data"
    data.mkdir()
    with prepared(kind, data) as url:
        settings = load(
            data_dir=data,
            database_url="" if kind == "sqlite" else url,
            origin="log.example/assent",
            **changes,
        )
        jobs = KeptJobs()
        with opened(settings, clock=FakeClock(), enqueue=jobs) as runtime:
            yield Installation(runtime, jobs)


@pytest.fixture(params=BOTH)
def installation(request, tmp_path):
    """An installation on each database."""
    with installed(tmp_path, request.param) as found:
        yield found


@pytest.fixture
def desk(tmp_path):
    """An installation on SQLite."""
    with installed(tmp_path) as found:
        yield found
