"""An installation on a real database, with versions of an assistant to deliver, served over HTTP."""

import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from assent.delivery import service
from assent.delivery.http import router
from assent.identity import http as identity_http
from assent.identity import service as identity
from assent.kernel.blobs import Blobs
from assent.kernel.clock import FakeClock
from assent.kernel.db import connect
from assent.kernel.runtime import Runtime
from assent.kernel.settings import load
from assent.kernel.signing import load_signers
from assent.kernel.tx import SYSTEM, Actor, Ports, Projector, Session
from assent.ledger import service as ledger
from assent.web.routing import routes_of
from assent_client.api import Api
from assent_client.snapshot import Root, verify
from assent_client.snapshot import Scope as Wanted
from tests.databases import prepared
from tests.delivery.releases import PROJECT, PROJECTIONS, plan_form, register, set_up, until
from tests.serving import NoJobs, api_of, listening

ROUTES = routes_of([router, identity_http.router])

POSTGRES = os.environ.get("ASSENT_TEST_POSTGRES", "")
OPERATOR = Actor("usr_operator", "person")


@dataclass
class Desk:
    """An installation, and what people and automatic actors do with it."""

    runtime: Runtime
    folder: Path

    @property
    def clock(self):
        return self.runtime.clock

    def begin(self, actor=OPERATOR):
        return self.runtime.session.begin(actor)

    def read(self, question, *args, **kwargs):
        with self.runtime.session.read() as reader:
            return question(reader, *args, **kwargs)

    def do(self, action, *args, actor=OPERATOR, **kwargs):
        with self.begin(actor) as tx:
            done = action(tx, *args, **kwargs)
        self.runtime.signals.notify(service.TOPIC)
        return done

    def register(self, number, **changes):
        return self.do(register, number, **changes)

    def adopt(self, ref="support@2.0.0", environment="production"):
        adoption = service.Adoption(
            project=PROJECT, environment=environment, subject=ref, reason="it was live"
        )
        return self.do(service.adopt, adoption)

    def file(self, ref="support@2.1.0", environment="production", **plan):
        wanted = service.Release(
            project=PROJECT,
            environment=environment,
            subject=ref,
            plan=plan_form(**plan),
            reason="better answers",
        )
        return self.do(service.request_release, wanted)

    def act(self, action, rollout, reason=None, **ask):
        return self.do(action, service.Ask(rollout=rollout.id, reason=reason, **ask))

    def step(self, rollout, judgement):
        return self.do(service.step, rollout.id, judgement, actor=SYSTEM)

    def get(self, rollout):
        return self.read(service.get, rollout.id)

    def events(self, prefix="delivery."):
        with self.runtime.session.read() as reader:
            return [leaf.type for leaf in ledger.leaves(reader, 0, 10_000) if leaf.type.startswith(prefix)]

    def snapshot(self, environment="production", audience="gateway"):
        """Compile a snapshot; gives the issue and what a gateway reads in it after every check."""
        signers = self.runtime.signers
        scope = service.Scope(PROJECT, environment, audience)
        issue = self.read(service.compile_snapshot, scope, signers.snapshot, 3600)
        return issue, self.verified(issue.envelope, environment, audience)

    def verified(self, envelope, environment="production", audience="gateway"):
        root = Root(**ledger.root_document(self.runtime.signers))
        return verify(envelope, root, Wanted(PROJECT, environment, audience))


@contextmanager
def opened_desk(database, folder, projections=PROJECTIONS):
    signers = load_signers(folder / "keys", "log.example/assent")
    ports = Ports(
        clock=FakeClock(),
        blobs=Blobs(folder / "blobs"),
        projector=Projector(projections),
        ledger=ledger.open_ledger(signers.ledger, folder),
        jobs=NoJobs(),
    )
    session = Session(connect(database), ports)
    settings = load(data_dir=folder, database_url=database)
    opened = Desk(Runtime(settings, session, signers), folder)
    with opened.begin(SYSTEM) as tx:
        set_up(tx)
    try:
        yield opened
    finally:
        session.engine.dispose()


@pytest.fixture
def desk(database, tmp_path):
    with opened_desk(database, tmp_path) as opened:
        yield opened


@pytest.fixture(scope="session")
def open_desk(tmp_path_factory):
    """Open any number of desks, each with a data directory and SQLite file of its own."""

    @contextmanager
    def opened():
        folder = tmp_path_factory.mktemp("desk")
        with prepared("sqlite", folder) as database, opened_desk(database, folder) as desk:
            yield desk

    return opened


@dataclass(frozen=True)
class Served:
    """The desk behind its HTTP server, with a token for each role."""

    url: str
    desk: Desk
    tokens: dict[str, str]

    def api(self, role="admin"):
        return Api(self.url, self.tokens[role], PROJECT)

    def headers(self, role="gateway"):
        return {"authorization": f"Bearer {self.tokens[role]}"}

    def address(self, *parts):
        return self.url + "/".join(("", "v1", "projects", PROJECT, "environments", "production", *parts))


@pytest.fixture
def served(desk):
    app = api_of(desk.runtime, ROUTES)
    with desk.begin(SYSTEM) as tx:
        tokens = {role: token_for(tx, role) for role in ("admin", "gateway", "engineer", "operator")}
    with listening(app) as port:
        yield Served(f"http://127.0.0.1:{port}", desk, tokens)
    until(lambda: not [t for t in threading.enumerate() if t.name == "delivery-feed"], "the feed's end")


def token_for(tx, role):
    account = identity.add_service(tx, f"{role}-1")
    identity.bind(tx, account.id, role, PROJECT)
    return identity.issue_token(tx, account.id, f"for {role}", None)
