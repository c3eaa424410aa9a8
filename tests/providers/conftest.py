"""An installation with providers on a real database, its routes over HTTP; and replay servers as processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

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
from assent.ledger import service as ledger
from assent.providers import http, service
from assent.web.routing import routes_of
from assent_client.api import Api
from tests.serving import NoJobs, api_of, listening

ROUTES = routes_of([identity_http.router, http.router])

POSTGRES = os.environ.get("ASSENT_TEST_POSTGRES", "")
PROJECT = "shop"


@dataclass
class Desk:
    """An installation, and what is done with it."""

    runtime: Runtime

    def do(self, action, *args, **kwargs):
        with self.runtime.session.begin(SYSTEM) as tx:
            return action(tx, *args, **kwargs)

    def read(self, question, *args, **kwargs):
        with self.runtime.session.read() as reader:
            return question(reader, *args, **kwargs)

    def events(self, prefix="providers."):
        with self.runtime.session.read() as reader:
            return [leaf.type for leaf in ledger.leaves(reader, 0, 10_000) if leaf.type.startswith(prefix)]


@pytest.fixture
def desk(database, tmp_path):
    signers = load_signers(tmp_path / "keys", "log.example/assent")
    ports = Ports(
        clock=FakeClock(),
        blobs=Blobs(tmp_path / "blobs"),
        projector=Projector([identity_store.projections, service.projections]),
        ledger=ledger.open_ledger(signers.ledger, tmp_path),
        jobs=NoJobs(),
    )
    session = Session(connect(database), ports)
    desk = Desk(Runtime(load(data_dir=tmp_path, database_url=database), session, signers))
    desk.do(identity.create_project, PROJECT)
    yield desk
    session.engine.dispose()


@dataclass
class Served:
    """The routes of providers, as an administrator sees them; `token` makes others."""

    desk: Desk
    url: str
    admin: str

    def api(self, token=None):
        return Api(self.url, token or self.admin, PROJECT)

    def token(self, role):
        with self.desk.runtime.session.begin(SYSTEM) as tx:
            account = identity.add_person(tx, role)
            identity.bind(tx, account.id, role, PROJECT)
        with self.desk.runtime.session.begin(Actor(account.id, "person")) as tx:
            return identity.issue_token(tx, account.id, "for a test", None)


@pytest.fixture
def served(desk):
    with desk.runtime.session.begin(SYSTEM) as tx:
        admin = identity.bootstrap(tx, "root")
    app = api_of(desk.runtime, ROUTES)
    with listening(app) as port:
        yield Served(desk, f"http://127.0.0.1:{port}", admin)


class ReplayProcess:
    """`assent provider replay …` as a process of its own."""

    def __init__(self, *args):
        self.process = subprocess.Popen(
            [Path(sys.executable).with_name("assent"), "provider", "replay", *map(str, args)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.line = self.process.stdout.readline().strip()

    @property
    def url(self):
        return self.line.rpartition(" on ")[2]

    @property
    def address(self):
        host, _, port = self.url.removeprefix("http://").removesuffix("/v1").rpartition(":")
        return host, int(port)

    def talk(self, content):
        """Send raw bytes; give all that comes back until the server closes."""
        with socket.create_connection(self.address, timeout=10) as raw:
            raw.sendall(content)
            parts = []
            while part := raw.recv(65536):
                parts.append(part)
        return b"".join(parts)

    def end(self, number=signal.SIGTERM):
        """Stop it; give its exit code and what it wrote to standard error."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=10)
        return self.process.returncode, errors


COMPLETIONS = [
    ("m1", "Where is my parcel?", 'It is on its way.\n\nTwo  spaces, ünïcode 🙂 and "quotes".'),
    ("m1", "Empty?", ""),
    ("m2", "Where is my parcel?", "A: 7"),
]


@pytest.fixture
def replay(recordings):
    """Start replay servers; every one is ended."""
    started = []

    def start(*options, file=None):
        started.append(ReplayProcess(file or recordings, *options))
        return started[-1]

    yield start
    for one in started:
        one.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """One replay server that waits for nothing, for all tests that change nothing of it."""
    path = write_lines(tmp_path_factory.mktemp("quick") / "recordings.jsonl", *COMPLETIONS)
    started = ReplayProcess(path, "--latency-ms", 0)
    yield started
    assert started.end() == (0, "")


@pytest.fixture
def recordings(tmp_path):
    return write_lines(tmp_path / "recordings.jsonl", *COMPLETIONS)


def write_lines(path, *completions):
    rows = [{"model": m, "prompt": p, "completion": c} for m, p, c in completions]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def until(observe, deadline_s=10.0):
    """Poll an observable until it is true."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if value := observe():
            return value
        threading.Event().wait(0.01)
    raise AssertionError("it did not come in time")
