"""A ledger on a real database, with the slices that a replay needs."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

import assent.identity.store as identity
from assent.identity import service as identity_service
from assent.identity.domain import EnvironmentCreated, ProjectCreated
from assent.kernel.blobs import Blobs
from assent.kernel.clock import FakeClock
from assent.kernel.db import connect
from assent.kernel.runtime import Runtime
from assent.kernel.settings import load
from assent.kernel.signing import Signers, load_signers
from assent.kernel.tx import SYSTEM, Ports, Projector, Session
from assent.ledger import http, service
from assent.web.routing import routes_of
from assent_client.api import Api
from tests.serving import NoJobs, api_of, listening

ROUTES = routes_of([http.public, http.router])

POSTGRES = os.environ.get("ASSENT_TEST_POSTGRES", "")


@dataclass
class Installation:
    """One data directory and its database; `reopened` is what a restarted server sees."""

    url: str
    folder: Path
    signers: Signers
    session: Session

    @property
    def port(self):
        return self.session.ports.ledger

    @property
    def vkey(self):
        return service.root_document(self.signers)["log_vkey"]

    @property
    def pin(self):
        return self.folder / "ledger" / "checkpoint"

    def reopened(self, url=None):
        self.session.engine.dispose()
        return open_installation(url or self.url, self.folder)

    def record(self, *events):
        with self.session.begin(SYSTEM) as tx:
            return [tx.record(event) for event in events]

    def fill(self, size):
        """Record projects, all in one commit, until the ledger has so many leaves."""
        with self.session.read() as reader:
            start = service.head(reader).size
        return self.record(
            *(ProjectCreated(project=f"p{n}", title=f"Project {n}") for n in range(start, size))
        )

    def checkpoint(self):
        with self.session.read() as reader:
            return service.checkpoint(reader)

    def behind_the_back(self, *statements):
        """Change the database as somebody with its password would: guards off first."""
        with self.session.engine.connect() as opened, opened.execution_options(assent_writes=True) as conn:
            for name in ("leaves", "nodes", "mentions"):
                unguard(conn, f"ledger_{name}")
            for statement in statements:
                conn.execute(sa.text(statement) if isinstance(statement, str) else statement)
            conn.commit()


def unguard(conn, name):
    if conn.dialect.name == "sqlite":
        for verb in ("update", "delete"):
            conn.execute(sa.text(f"DROP TRIGGER IF EXISTS {name}_no_{verb}"))
    else:
        conn.execute(sa.text(f"ALTER TABLE {name} DISABLE TRIGGER USER"))


def open_installation(url, folder):
    signers = load_signers(folder / "keys", "log.example/assent")
    ports = Ports(
        clock=FakeClock(),
        blobs=Blobs(folder / "blobs"),
        projector=Projector([identity.projections]),
        ledger=service.open_ledger(signers.ledger, folder),
        jobs=NoJobs(),
    )
    return Installation(url, folder, signers, Session(connect(url), ports))


@pytest.fixture
def installed(database, tmp_path):
    opened = open_installation(database, tmp_path)
    yield opened
    opened.session.engine.dispose()


@dataclass(frozen=True)
class Served:
    """An installation behind its HTTP server, and a token that may read."""

    url: str
    token: str
    installed: Installation

    def api(self, token="", project="a"):
        return Api(self.url, token or self.token, project)


@pytest.fixture
def served(installed):
    """Serve the installation: a project `a` with one environment, and the first administrator."""
    runtime = Runtime(load(data_dir=installed.folder), installed.session, installed.signers)
    with installed.session.begin(SYSTEM) as tx:
        token = identity_service.bootstrap(tx, "ann")
        tx.record(ProjectCreated(project="a", title="A"))
        tx.record(EnvironmentCreated(project="a", name="production", protected=True))
    app = api_of(runtime, ROUTES)
    with listening(app) as port:
        yield Served(f"http://127.0.0.1:{port}", token, installed)
