"""CPU of the gateway per request, beside the bare upstream and a bare byte pipe.

`python benchmarks/gateway.py [--requests N] [--rounds N]` runs upstream, gateway, byte pipe and load in
processes of their own on loopback and prints JSON. Rounds alternate between the targets, so all see the
same machine; medians are given. CPU is that of a target's whole process, per request; the byte pipe
shows what this machine's sockets cost any proxy. `--template` renders a variable per request.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import multiprocessing
import resource
import statistics
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "client"))

from forge import Forge, digest, model_document, prompt_document

from assent.gateway import GatewaySettings, serve

KEY = "sk-bench"
MESSAGE = "Where is my parcel? " * 50
ANSWER = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1,
        "model": "upstream-1",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "x" * 400}}
        ],
        "usage": {"prompt_tokens": 200, "completion_tokens": 100, "total_tokens": 300},
    }
).encode()
RESPONSE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: r\r\ncontent-length: %d\r\n\r\n%b"
    % (len(ANSWER), ANSWER)
)
SNAPSHOT = "/v1/projects/acme/environments/production/snapshot"


class UpstreamProtocol(asyncio.Protocol):
    """Answer every whole request at once."""

    def connection_made(self, transport: Any) -> None:
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            at = self.buffer.find(b"content-length: ") + 16
            total = end + 4 + int(self.buffer[at : self.buffer.find(b"\r", at)])
            if len(self.buffer) < total:
                return
            self.buffer = self.buffer[total:]
            self.transport.write(RESPONSE)


class PipeEnd(asyncio.Protocol):
    """Hand bytes to the other end: the floor of what any proxy in asyncio costs on this machine."""

    def __init__(self, port: int | None) -> None:
        self.port, self.other, self.waiting = port, None, b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if self.port is not None:
            self.task = asyncio.get_running_loop().create_task(self.open())

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        _, self.other = await loop.create_connection(lambda: PipeEnd(None), "127.0.0.1", self.port)
        self.other.other = self
        self.other.transport.write(self.waiting)

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self.waiting += data
        else:
            self.other.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        if self.other is not None:
            self.other.transport.close()


async def answer_usage(pipe: Connection) -> None:
    """Tell (user seconds, system seconds, MB) of this process until told to stop."""
    while await asyncio.to_thread(pipe.recv) != "stop":
        spent = resource.getrusage(resource.RUSAGE_SELF)
        pipe.send((spent.ru_utime, spent.ru_stime, spent.ru_maxrss / 1024))


def run_server(pipe: Connection, upstream_port: int | None) -> None:
    """Run the upstream, or the byte pipe to it."""

    async def serve_protocol() -> None:
        def protocol() -> asyncio.Protocol:
            return UpstreamProtocol() if upstream_port is None else PipeEnd(upstream_port)

        server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await answer_usage(pipe)

    uvloop.run(serve_protocol())


def run_gateway(pipe: Connection, settings: GatewaySettings) -> None:
    """Run the gateway."""

    async def serve_gateway() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(serve(settings, pipe.send, stop))
        await answer_usage(pipe)
        stop.set()
        await task

    uvloop.run(serve_gateway())


class Plane(BaseHTTPRequestHandler):
    """Serve one snapshot and take observations; lives in the load's process."""

    protocol_version = "HTTP/1.1"
    found: dict[str, bytes] = {}  # noqa: RUF012 -- filled once, before the server starts

    def do_GET(self) -> None:
        body = self.found.get(self.path.partition("?")[0])
        self.answer(404 if body is None else 200, body or b"")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.answer(202, b"")

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class Load(asyncio.Protocol):
    """One connection that keeps one request under way."""

    def __init__(
        self, budget: list[int], latencies: list[float], done: asyncio.Future[None], asked: bytes
    ) -> None:
        self.budget, self.latencies, self.done, self.asked = budget, latencies, done, asked
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.next()

    def next(self) -> None:
        if self.budget[0] <= 0:
            self.transport.close()
            self.done.set_result(None)
            return
        self.budget[0] -= 1
        self.started = time.perf_counter()
        self.transport.write(self.asked)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0 or len(self.buffer) < end + 4 + len(ANSWER):
            return
        if not self.buffer.startswith(b"HTTP/1.1 200"):
            raise SystemExit(self.buffer.decode())
        self.buffer = b""
        self.latencies.append(time.perf_counter() - self.started)
        self.next()


async def drive(port: int, in_flight: int, n: int, asked: bytes) -> tuple[float, list[float]]:
    """Send n requests; give (seconds, latencies)."""
    loop = asyncio.get_running_loop()
    budget, latencies = [n], []
    ends = [loop.create_future() for _ in range(in_flight)]
    started = time.perf_counter()
    for end in ends:
        await loop.create_connection(lambda end=end: Load(budget, latencies, end, asked), "127.0.0.1", port)
    await asyncio.gather(*ends)
    return time.perf_counter() - started, latencies


def request(*, template: bool) -> bytes:
    body = {
        "model": "assistant",
        "messages": [{"role": "user", "content": MESSAGE}],
        "user": "user-1234",
    }
    if template:
        body["assent"] = {"variables": {"name": "Ada"}}
    content = json.dumps(body).encode()
    lines = (
        "POST /v1/chat/completions HTTP/1.1",
        "host: 127.0.0.1",
        f"authorization: Bearer {KEY}",
        "accept: application/json",
        "content-type: application/json",
        "user-agent: OpenAI/Python 3.54.0",
        "x-stainless-lang: python",
        "x-stainless-async: false",
        f"content-length: {len(content)}",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def snapshot(upstream_port: int, *, template: bool) -> dict[str, bytes]:
    """Make what the control plane answers: a canary at 5 %, both sides the same version."""
    forge = Forge()
    text = "You are the assistant of Acme, kind and exact. " * 4
    declared = {"name": {"required": True}}
    if template:
        prompt = prompt_document(text + "The customer is {{ name }}.", variables=declared)
    else:
        prompt = prompt_document(text)
    document = model_document(prompt=digest(prompt), parameters={"temperature": 0.2})
    payload = forge.payload(document, prompts=(prompt,))
    route = payload["routes"]["assistant"]
    route["variants"]["canary"] = route["variants"]["stable"]
    route["split"] = [
        {"variant": "canary", "start": 0, "end": 50_000},
        {"variant": "stable", "start": 50_000, "end": 1_000_000},
    ]
    payload["keys"] = [{"id": "bench", "hash": hashlib.sha256(KEY.encode()).hexdigest(), "names": ["*"]}]
    payload["providers"] = {"main": {"base_url": f"http://127.0.0.1:{upstream_port}/v1"}}
    return {"/ledger/root": forge.root.to_json(), SNAPSHOT: forge.sign(payload)}


Targets = dict[str, tuple[int, Connection]]


def ask_usage(process: Connection) -> tuple[float, float, float]:
    process.send("usage")
    used: tuple[float, float, float] = process.recv()
    return used


def measure(targets: Targets, arguments: argparse.Namespace, in_flight: int) -> dict[str, Any]:
    """Alternate between the targets, `rounds` times after one to warm up."""
    asked, n = request(template=arguments.template), arguments.requests
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in targets}
    for _ in range(arguments.rounds + 1):
        for name, (port, process) in targets.items():
            before = ask_usage(process)
            took, latencies = uvloop.run(drive(port, in_flight, n, asked))
            after = ask_usage(process)
            user, system = (1000 * (after[which] - before[which]) / n for which in (0, 1))
            rounds[name].append(
                {
                    "cpu_ms": user + system,
                    "user_ms": user,
                    "system_ms": system,
                    "p50_us": statistics.median(latencies) * 1e6,
                    "requests_per_s": n / took,
                    "rss_mb": after[2],
                }
            )
    return {name: medians(each[1:]) for name, each in rounds.items()}


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(each[key] for each in rounds), 4) for key in rounds[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--template", action="store_true")
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")

    def start(target: Any, argument: Any) -> tuple[int, Connection]:
        here, there = context.Pipe()
        context.Process(target=target, args=(there, argument), daemon=True).start()
        return here.recv(), here

    upstream = start(run_server, None)
    Plane.found = snapshot(upstream[0], template=arguments.template)
    plane = ThreadingHTTPServer(("127.0.0.1", 0), Plane)
    threading.Thread(target=plane.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        settings = GatewaySettings(
            server_url=f"http://127.0.0.1:{plane.server_port}",
            token="t",
            project="acme",
            environment="production",
            data_dir=Path(folder),
            port=0,
        )
        targets = {
            "upstream": upstream,
            "byte_pipe": start(run_server, upstream[0]),
            "gateway": start(run_gateway, settings),
        }
        time.sleep(1)  # the snapshot arrives
        figures = {f"in_flight_{n}": measure(targets, arguments, n) for n in (1, 32)}
        for _, process in targets.values():
            process.send("stop")
        time.sleep(0.5)  # the gateway lets go of the folder
    print(json.dumps({"gateway": figures}))


if __name__ == "__main__":
    main()
