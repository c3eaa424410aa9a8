"""An OpenAI-compatible server on loopback that can be made to misbehave; suites and targets to ask it."""

import asyncio
import json
import threading
from collections import Counter
from dataclasses import dataclass, field

import pytest

from assent.evaluation.domain.dataset import parse_dataset
from assent.evaluation.domain.suite import parse_suite
from assent.evaluation.domain.target import Target


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
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

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
