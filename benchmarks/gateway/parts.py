"""What runs in processes of its own: a stand-in for a provider, a byte pipe, the gateway."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvloop

from assent.gateway import GatewaySettings, run

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "client"))

from forge import Forge, digest, model_document, prompt_document

KEY = "sk-bench"
SNAPSHOT = "/v1/projects/acme/environments/production/snapshot"
ANSWER = json.dumps(
    {
        "id": "chatcmpl-{n}",
        "object": "chat.completion",
        "created": 1,
        "model": "upstream-1",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "x" * 400}}
        ],
        "usage": {"prompt_tokens": 200, "completion_tokens": 100, "total_tokens": 300},
    }
).encode()
N_DIGITS = 24
TO_ID, _, FROM_ID = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: r\r\ncontent-length: %d\r\n\r\n%b"
    % (len(ANSWER) - len("{n}") + N_DIGITS, ANSWER)
).partition(b"{n}")
"""What stands before and after the number of an answer: each has an id of its own, as in life."""


def _event(delta: dict[str, str], **more: Any) -> bytes:
    chunk = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "upstream-1",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
        **more,
    }
    data = b"data: " + json.dumps(chunk).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    + _event({"role": "assistant", "content": "first"})
)
STREAM_REST = (
    _event({"content": " word"}) * 20
    + _event({}, choices=[], usage={"prompt_tokens": 200, "completion_tokens": 21, "total_tokens": 221})
    + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
)


class UpstreamProtocol(asyncio.Protocol):
    """Answer every whole request at once; a stream's first token at once and the rest 5 ms later."""

    numbers = itertools.count()

    def connection_made(self, transport: Any) -> None:
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower() + b"\r\n"
            at = head.find(b"content-length: ")
            total = end + 4 + (int(head[at + 16 : head.find(b"\r", at)]) if at >= 0 else 0)
            if len(self.buffer) < total:
                return
            whole, self.buffer = self.buffer[:total], self.buffer[total:]
            if b'"stream"' in whole:
                self.transport.write(STREAM_HEAD)
                asyncio.get_running_loop().call_later(0.005, self.transport.write, STREAM_REST)
            else:
                self.transport.write(b"%b%0*d%b" % (TO_ID, N_DIGITS, next(self.numbers), FROM_ID))


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


def run_server(pipe: Connection, upstream_port: int | None) -> None:
    """Run the upstream, or the byte pipe to it, until told to stop."""

    async def serve_protocol() -> None:
        def protocol() -> asyncio.Protocol:
            return UpstreamProtocol() if upstream_port is None else PipeEnd(upstream_port)

        server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.to_thread(pipe.recv)

    uvloop.run(serve_protocol())


def run_gateway(pipe: Connection, settings: GatewaySettings) -> None:
    """Run the gateway as its command does, until told to stop."""

    def stop() -> None:
        pipe.recv()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop, daemon=True).start()
    run(settings, pipe.send)


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
