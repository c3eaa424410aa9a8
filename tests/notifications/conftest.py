"""An installation whose subscriptions lead to real receivers on the loopback."""

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from assent.identity import service as identity
from assent.installation import opened
from assent.kernel.clock import FakeClock
from assent.kernel.settings import load
from assent.notifications import jobs, service
from assent.notifications.domain.subscriptions import Channel
from tests.certificates import self_signed
from tests.conftest import Installation, KeptJobs
from tests.databases import prepared

PROJECT = "shop"
LOCAL = {"hook_http": True, "hook_allow": ("127.0.0.1/32",), "public_url": "https://assent.example"}


@dataclass
class Answer:
    """What the receiver does with the next request."""

    status: int = 204
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    wait_s: float = 0.0
    raw: bytes | None = None
    drip_s: float = 0.0


@dataclass
class Got:
    path: str
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Receiver:
    """A real HTTP server that answers as told, then 204, and keeps what it got."""

    def __init__(self, context=None):
        self.got, self.answers = [], []
        self.released = threading.Event()
        self.meanwhile = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                outer._answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.scheme = "https" if context else "http"
        self.port = self.server.server_address[1]

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}/hook?key=s3cret"

    def _answer(self, request):
        body = request.rfile.read(int(request.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.got.append(Got(request.path, headers, body))
        answer = self.answers.pop(0) if self.answers else Answer()
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()
        if answer.wait_s:
            self.released.wait(answer.wait_s)
        if answer.raw is not None:
            self._drip(request, answer)
            return
        request.send_response(answer.status)
        for name, value in answer.headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(answer.body)

    def _drip(self, request, answer):
        request.close_connection = True
        if not answer.drip_s:
            request.wfile.write(answer.raw)
            return
        while not self.released.wait(answer.drip_s):
            for byte in answer.raw:
                request.wfile.write(bytes([byte]))
                if self.released.wait(answer.drip_s):
                    return


@contextmanager
def receiving(context=None):
    receiver = Receiver(context)
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.released.set()
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join(5)


@pytest.fixture
def receiver():
    with receiving() as found:
        yield found


class Office(Installation):
    """What is done with subscriptions, and the ticks."""

    def do(self, action, *args, **kwargs):
        with self.begin() as tx:
            return action(tx, *args, **kwargs)

    def ask(self, question, *args, **kwargs):
        with self.read() as reader:
            return question(reader, *args, **kwargs)

    @property
    def outside(self):
        return service.outside_of(self.runtime)

    @property
    def key(self):
        return self.runtime.signers.secret

    def hook(
        self, url, name="oncall", kinds=("identity.*",), channel=Channel.WEBHOOK, project=PROJECT, emails=()
    ):
        target = service.judge_target(self.outside, channel, url, emails)
        return self.do(service.add, self.key, project, name, kinds, target)

    def happen(self, name, project=PROJECT):
        """Something is recorded: a group is made."""
        self.do(identity.create_group, project, name)

    def tail(self):
        jobs.tail(self.runtime)

    def tick(self):
        jobs.tail(self.runtime)
        jobs.deliver(self.runtime)

    def deliveries(self, **asked):
        return self.ask(service.list_deliveries, PROJECT, service.Asked(**asked))[0]

    def pass_time(self, seconds):
        self.clock.advance(seconds)


@contextmanager
def office_at(url, folder, **settings):
    chosen = load(
        data_dir=folder / "data", database_url=url, origin="log.example/assent", **{**LOCAL, **settings}
    )
    chosen.data_dir.mkdir(exist_ok=True)
    kept = KeptJobs()
    with opened(chosen, clock=FakeClock(), enqueue=kept) as runtime:
        office = Office(runtime, kept)
        office.do(identity.create_project, PROJECT)
        yield office


@contextmanager
def office_in(folder, **settings):
    """On SQLite."""
    with prepared("sqlite", folder) as url, office_at(url, folder, **settings) as found:
        yield found


@pytest.fixture
def office(tmp_path):
    with office_in(tmp_path) as found:
        yield found


@pytest.fixture
def any_office(database, tmp_path):
    """On each database."""
    with office_at(database, tmp_path) as found:
        yield found


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A key and its own certificate for localhost, in one file."""
    return self_signed(tmp_path_factory.mktemp("tls") / "server.pem")
