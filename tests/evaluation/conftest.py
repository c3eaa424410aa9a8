"""An OpenAI-compatible server on loopback that can be made to misbehave; suites and targets to ask it."""

import asyncio
import json
import os
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest

from assent.evaluation import http, jobs, service, store
from assent.evaluation.domain.dataset import parse_dataset
from assent.evaluation.domain.suite import parse_suite
from assent.evaluation.domain.target import Target
from assent.evidence import service as evidence
from assent.evidence import store as evidence_store
from assent.identity import service as identity
from assent.identity import store as identity_store
from assent.identity.domain import EnvironmentCreated, ProjectCreated
from assent.kernel.blobs import Blobs
from assent.kernel.clock import FakeClock
from assent.kernel.db import connect
from assent.kernel.runtime import Runtime
from assent.kernel.settings import load
from assent.kernel.signing import load_signers
from assent.kernel.tx import SYSTEM, Ports, Projector, Session
from assent.ledger import service as ledger
from assent.prompts import store as prompts_store
from assent.providers import service as providers
from assent.providers import store as providers_store
from assent.providers.domain import Upstream
from assent.registry import service as registry
from assent.registry import store as registry_store
from assent.web.routing import routes_of
from assent_client.api import Api
from assent_client.cli.connection import OPTIONS
from assent_client.cli.main import main
from tests.serving import api_of, listening

ROUTES = routes_of([http.router])


def completion(text, **message):
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, **message},
        "finish_reason": "stop",
    }
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 5, "completion_tokens": 3}}).encode()


@dataclass
class Reply:
    body: bytes
    status: int = 200
    headers: dict = field(default_factory=dict)
    delay_s: float = 0.0
    cut_after: int | None = None


class Server:
    """`answer(question, nth)` decides each reply; `questions` counts what was asked."""

    def __init__(self):
        self.answer = lambda question, nth: Reply(completion(f"A: {len(question)}"))
        self.questions = Counter()
        self.requests = []
        self.in_flight = self.most_in_flight = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(5)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self):
        self._stop = asyncio.Event()
        self._open = set()
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        await asyncio.sleep(0)  # a connection that was just accepted has its task now
        while self._open:
            tasks = list(self._open)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._open.difference_update(tasks)
        for _ in range(3):
            await asyncio.sleep(0)  # transports let go of their sockets in the loop's next turns

    async def _talk(self, reader, writer):
        self._open.add(asyncio.current_task())
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _one(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        pairs = (line.split(": ", 1) for line in lines[1:] if ": " in line)
        headers = {name.lower(): value for name, value in pairs}
        request = json.loads(await reader.readexactly(int(headers["content-length"])))
        question = request["messages"][-1]["content"]
        self.questions[question] += 1
        self.requests.append((request, headers))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            reply = self.answer(question, self.questions[question])
            if reply.delay_s:
                await asyncio.sleep(reply.delay_s)
        finally:
            self.in_flight -= 1
        extra = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        writer.write(
            f"HTTP/1.1 {reply.status} X\r\ncontent-length: {len(reply.body)}\r\n{extra}\r\n".encode()
        )
        writer.write(reply.body if reply.cut_after is None else reply.body[: reply.cut_after])
        await writer.drain()
        return reply.cut_after is None

    def close(self):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)


@pytest.fixture
def upstream():
    server = Server()
    server.Reply, server.completion = Reply, completion
    yield server
    server.close()


@pytest.fixture
def make_suite():
    def make(dataset="sha256:" + "a" * 64, **changes):
        raw = {
            "kind": "regression",
            "dataset": dataset,
            "scorers": [{"kind": "numeric", "name": "correct", "pattern": r"A: (-?[\d,.]+)"}],
            "gate": {"metric": "correct", "rule": "threshold", "threshold": 0.5},
            **changes,
        }
        return parse_suite(raw, project="demo", name="suite")

    return make


@pytest.fixture
def make_rows():
    def make(n):
        questions = [f"question {'x' * i}" for i in range(n)]
        return parse_dataset(
            [{"id": f"q{i}", "input": q, "target": len(q)} for i, q in enumerate(questions)]
        ).rows

    return make


@pytest.fixture
def target(upstream):
    return Target(
        upstream.url,
        "secret",
        "m-1",
        {"temperature": 0},
        lambda row: [{"role": "user", "content": row.input}],
    )


POSTGRES = os.environ.get("ASSENT_TEST_POSTGRES", "")
PROJECT = "demo"


class Queue(list):
    """Keeps what was enqueued; tests run the jobs themselves."""

    def enqueue(self, conn, job, arguments):
        self.append((job, dict(arguments)))


@dataclass
class Desk:
    """A release desk on a real database with a real ledger, and an upstream to ask."""

    session: Session
    clock: FakeClock
    runtime: Runtime
    queue: Queue
    upstream: Server

    def write(self, act, *arguments):
        with self.session.begin(SYSTEM) as tx:
            return act(tx, *arguments)

    def read(self, look, *arguments, **named):
        with self.session.read() as reader:
            return look(reader, *arguments, **named)

    def behind_the_back(self, statement):
        with self.session.engine.connect() as opened, opened.execution_options(assent_writes=True) as conn:
            conn.execute(statement)
            conn.commit()

    def leaves(self):
        with self.session.read() as reader:
            n = ledger.head(reader).size
            return [json.loads(ledger.leaf_at(reader, index).entry) for index in range(n)]

    def model(self, number, upstream_model, provider="upstream"):
        content = {"provider": provider, "upstream_model": upstream_model, "description": number}
        with self.session.begin(SYSTEM) as tx:
            return registry.register(tx, PROJECT, "assistant", number, content)

    def go_live(self, environment, version):
        value = {"environment": environment, "name": "assistant"}
        with self.session.begin(SYSTEM) as tx:
            evidence.record(tx, project=PROJECT, kind="live", subject=version.digest, value=value)

    def carry_out(self, run):
        """Carry a run out here, or wait for the worker that was faster."""
        for _ in range(2000):
            jobs.run(self.runtime, run_id=run.id)
            found = self.read(service.get_run, run.id)
            if found.state != "submitted":
                return found
            time.sleep(0.01)
        raise AssertionError(f"the run {run.id} has not ended")

    def evidence(self, subject):
        found = self.read(evidence.latest, PROJECT, "suite.verdict", subject)
        return None if found is None else found.value


@pytest.fixture
def desk(database, tmp_path, upstream):
    engine, clock, queue = connect(database), FakeClock(), Queue()
    signers = load_signers(tmp_path / "keys", "log.example/assent")
    ports = Ports(
        clock=clock,
        blobs=Blobs(tmp_path / "blobs"),
        projector=Projector(
            [
                slice_.projections
                for slice_ in (
                    identity_store,
                    evidence_store,
                    providers_store,
                    prompts_store,
                    registry_store,
                    store,
                )
            ]
        ),
        ledger=ledger.open_ledger(signers.ledger, tmp_path),
        jobs=queue,
    )
    session = Session(engine, ports)
    opened = Desk(session, clock, Runtime(load(data_dir=tmp_path), session, signers), queue, upstream)
    with session.begin(SYSTEM) as tx:
        tx.record(ProjectCreated(project=PROJECT, title="Demo"))
        tx.record(EnvironmentCreated(project=PROJECT, name="production", protected=True))
        providers.set_provider(tx, PROJECT, "upstream", Upstream(base_url=upstream.url))
    yield opened
    engine.dispose()


@dataclass(frozen=True)
class Served:
    """A desk behind its HTTP server, with a worker, and a token of each kind."""

    url: str
    desk: Desk
    tokens: dict
    closing: ExitStack

    def api(self, who="admin"):
        return self.closing.enter_context(Api(self.url, self.tokens[who], PROJECT))


@pytest.fixture
def served(desk):
    with desk.session.begin(SYSTEM) as tx:
        tokens = {"admin": identity.bootstrap(tx, "ann")}
        account = identity.add_service(tx, "auditor")
        identity.bind(tx, account.id, "auditor")
        tokens["auditor"] = identity.issue_token(tx, account.id, "auditor", None)
    app = api_of(desk.runtime, ROUTES)
    with listening(app) as port, working(desk), ExitStack() as closing:
        yield Served(f"http://127.0.0.1:{port}", desk, tokens, closing)


@contextmanager
def working(desk):
    """Carry out what is enqueued, in another thread, until the test ends."""
    ended = threading.Event()

    def work():
        while not ended.wait(0.01):
            while desk.queue and desk.read(store.find_run, desk.queue[0][1]["run_id"]):  # once committed
                jobs.run(desk.runtime, **desk.queue.pop(0)[1])

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(20)


@pytest.fixture
def command(served, tmp_path, monkeypatch, capsys):
    """Run one command line as the administrator; gives exit code and output."""
    monkeypatch.setenv("ASSENT_URL", served.url)
    monkeypatch.setenv("ASSENT_TOKEN", served.tokens["admin"])
    monkeypatch.setenv("ASSENT_PROJECT", "demo")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = main(list(arguments))
        OPTIONS.reset()
        return code, capsys.readouterr()

    return run
