"""A project on a real database with a real ledger, to register prompts and models in; and its server."""

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi.testclient import TestClient

from assent.evidence import store as evidence_store
from assent.identity import http as identity_http
from assent.identity import service as identity
from assent.identity import store as identity_store
from assent.kernel.blobs import Blobs
from assent.kernel.clock import FakeClock
from assent.kernel.db import connect
from assent.kernel.runtime import Runtime
from assent.kernel.settings import load
from assent.kernel.signing import load_signers
from assent.kernel.tx import SYSTEM, Actor, Ports, Projector, Session
from assent.ledger import replay
from assent.ledger import service as ledger
from assent.prompts import http as prompts_http
from assent.prompts import service as prompts
from assent.registry import http as registry_http
from assent.registry import service as registry
from assent.web.routing import routes_of
from tests.serving import NoJobs, api_of

ROUTES = routes_of([registry_http.often, identity_http.router, registry_http.router, prompts_http.router])

POSTGRES = os.environ.get("ASSENT_TEST_POSTGRES", "")
PROJECT = "shop"


@dataclass
class Shelf:
    """What is registered, by whom."""

    runtime: Runtime
    author: Actor

    @property
    def session(self):
        return self.runtime.session

    @property
    def clock(self):
        return self.runtime.clock

    def begin(self, actor=None):
        return self.session.begin(actor or self.author)

    def read(self, question, *args, **kwargs):
        with self.session.read() as reader:
            return question(reader, *args, **kwargs)

    def prompt(self, name="greeting", *, actor=None, bump=None, number=None, authors=(), **content):
        new = prompts.NewPrompt(PROJECT, name, content, bump, number, authors)
        with self.begin(actor) as tx:
            return prompts.register(tx, new)

    def model(self, number="1.0.0", name="support", *, actor=None, authors=(), **content):
        document = {"provider": "acme", "upstream_model": f"support-{number}", "tier": "limited", **content}
        with self.begin(actor) as tx:
            return registry.register_model(tx, registry.NewModel(PROJECT, name, number, document, authors))

    def leaves(self):
        with self.session.read() as reader:
            return [json.loads(leaf.entry) for leaf in ledger.leaves(reader, 0, 10_000)]

    def replay(self):
        return self.read(replay.check)

    def behind_the_back(self, statement):
        with self.session.engine.connect() as opened, opened.execution_options(assent_writes=True) as conn:
            conn.execute(statement)
            conn.commit()

    def person(self, name, role="engineer"):
        with self.session.begin(SYSTEM) as tx:
            account = identity.add_person(tx, name)
            identity.bind(tx, account.id, role, PROJECT)
        return Actor(account.id, "person", self.clock.now())

    def app(self):
        return api_of(self.runtime, ROUTES)

    def client(self, actor=None):
        with self.begin(actor) as tx:
            token = identity.issue_token(tx, (actor or self.author).id, "tests", None)
        base = f"http://testserver/v1/projects/{PROJECT}"
        return TestClient(self.app(), base_url=base, headers={"authorization": f"Bearer {token}"})


@contextmanager
def opened_shelf(database, folder: Path):
    signers = load_signers(folder / "keys", "log.example/assent")
    ports = Ports(
        clock=FakeClock(),
        blobs=Blobs(folder / "blobs"),
        projector=Projector(
            [
                identity_store.projections,
                evidence_store.projections,
                prompts.projections,
                registry.projections,
            ]
        ),
        ledger=ledger.open_ledger(signers.ledger, folder),
        jobs=NoJobs(),
    )
    session = Session(connect(database), ports)
    shelf = Shelf(Runtime(load(data_dir=folder), session, signers), SYSTEM)
    with session.begin(SYSTEM) as tx:
        identity.create_project(tx, PROJECT, "A shop")
    shelf.author = shelf.person("ada")
    try:
        yield shelf
    finally:
        session.engine.dispose()
