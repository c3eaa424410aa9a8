"""A control plane and an upstream in small, over real sockets."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httptools
import uvloop
from forge import Forge

from assent.gateway import GatewaySettings, Limits, serve

KEY = "sk-app-1"
DEADLINE_S = 8.0


def until(observe: Callable[[], Any], what: str = "condition") -> Any:
    """Poll an observable until it is true, with a deadline."""
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if value := observe():
            return value
        threading.Event().wait(0.005)
    raise AssertionError(f"{what} did not come within {DEADLINE_S} s")


class Server(ThreadingHTTPServer):
    """A control plane: snapshot with ETag and stream, acks, observations, root."""

    daemon_threads = False

    def __init__(self, forge: Forge) -> None:
        super().__init__(("127.0.0.1", 0), Plane)
        self.forge = forge
        self.envelope = b""
        self.acks: list[dict[str, Any]] = []
        self.acknowledging = threading.Event()
        self.acknowledging.set()
        """Cleared: acknowledgements get no answer."""
        self.batches: dict[str, dict[str, Any]] = {}
        self.observing = 202
        self.streaming = True
        self.changed = threading.Condition()
        self.is_open = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def publish(self, envelope: bytes) -> None:
        with self.changed:
            self.envelope = envelope
            self.changed.notify_all()

    def rows(self, kind: str = "call") -> list[dict[str, Any]]:
        rows = [row for _, batch in sorted(self.batches.items()) for row in batch["observations"]]
        return [row for row in rows if row["kind"] == kind]

    def stop(self) -> None:
        self.is_open = False
        with self.changed:
            self.changed.notify_all()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is no news."""


class Plane(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.path, _, self.query = self.path.partition("?")
        if self.path == "/ledger/root":
            self.answer(200, self.server.forge.root.to_json())
        elif self.headers["authorization"] != "Bearer gw-token":
            self.answer(401)
        elif self.path.endswith("/stream"):
            self.stream()
        elif self.path.endswith("/snapshot") and self.server.envelope:
            etag = f'"{hash(self.server.envelope)}"'
            fresh = self.headers["if-none-match"] == etag
            self.answer(304 if fresh else 200, b"" if fresh else self.server.envelope, etag)
        else:
            self.answer(404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path.endswith("/acks"):
            self.server.acks.append(body)
            self.server.acknowledging.wait(2 * DEADLINE_S)
            self.answer(204)
        else:
            if self.server.observing == 202:
                self.server.batches[self.headers["idempotency-key"]] = body
            self.answer(self.server.observing)

    def answer(self, status: int, body: bytes = b"", etag: str | None = None) -> None:
        self.send_response(status)
        if etag:
            self.send_header("etag", etag)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self) -> None:
        if not self.server.streaming:
            self.answer(503)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        sent = b""
        while self.server.is_open:
            with self.server.changed:
                if self.server.envelope == sent:
                    self.server.changed.wait(0.2)
                sent, is_new = self.server.envelope, sent != self.server.envelope
            if is_new:
                self.wfile.write(b"event: snapshot\ndata: " + sent + b"\n\n")
            else:
                self.wfile.write(b": alive\n\n")

    def log_message(self, *_: Any) -> None:
        pass


def completion(content: str = "Hello.", **changes: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "upstream-1",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    } | changes


def http(body: bytes | dict[str, Any], status: str = "200 OK", *lines: str) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = (
        ""
        if any(line.lower().startswith("content-type") for line in lines)
        else "content-type: application/json\r\n"
    )
    head = f"HTTP/1.1 {status}\r\n{kind}content-length: {len(content)}\r\n" + "".join(
        f"{line}\r\n" for line in lines
    )
    return head.encode() + b"\r\n" + content


def events(*chunks: dict[str, Any] | str) -> list[bytes]:
    return [
        f"data: {chunk if isinstance(chunk, str) else json.dumps(chunk)}\n\n".encode() for chunk in chunks
    ]


def chunk(content: str | None = None, finish: str | None = None, **changes: Any) -> dict[str, Any]:
    delta = {} if content is None else {"content": content}
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {
        "id": "chatcmpl-s",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "upstream-1",
        "choices": choices,
    } | changes


USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nx-request-id: r-1\r\n\r\n"


def chunked(*parts: bytes, end: bool = True) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + (b"0\r\n\r\n" if end else b"")


class Asked:
    """One request as the upstream saw it."""

    def __init__(self) -> None:
        self.headers: list[tuple[str, str]] = []
        self.path = ""
        self.raw = b""

    @property
    def body(self) -> dict[str, Any]:
        return json.loads(self.raw)

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, f"{name} was sent {len(values)} times"
        return values[0] if values else None


class UpstreamProtocol(asyncio.Protocol):
    def __init__(self, upstream: "Upstream") -> None:
        self.upstream = upstream
        self.parser = httptools.HttpRequestParser(self)
        self.asked = Asked()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.upstream.n_connections += 1
        self.upstream.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.upstream.open.discard(self)
        self.upstream.n_lost += 1

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.asked.path = url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.asked.headers.append((name.decode().lower(), value.decode("latin-1")))

    def on_body(self, body: bytes) -> None:
        self.asked.raw += body

    def on_message_complete(self) -> None:
        asked, self.asked = self.asked, Asked()
        self.upstream.asked.append(asked)
        answer = self.upstream.answer
        if callable(answer):
            answer(self.transport, asked)
        elif answer is not None:
            self.transport.write(answer)


class Upstream:
    """An upstream that answers bytes, or by a function of (transport, request), and counts."""

    def __init__(self) -> None:
        self.answer: Any = http(completion())
        self.asked: list[Asked] = []
        self.open: set[UpstreamProtocol] = set()
        self.n_connections = self.n_lost = 0
        self.loop = asyncio.new_event_loop()
        self.server: Any = None

    def start(self, tls: Any = None) -> None:
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        make = self.loop.create_server(lambda: UpstreamProtocol(self), "127.0.0.1", 0, ssl=tls)
        self.server = asyncio.run_coroutine_threadsafe(make, self.loop).result(5)
        self.port = self.server.sockets[0].getsockname()[1]

    def do(self, act: Callable[..., None], *arguments: Any) -> None:
        self.loop.call_soon_threadsafe(act, *arguments)

    def close_connections(self) -> None:
        self.do(lambda: [protocol.transport.close() for protocol in list(self.open)])
        until(lambda: not self.open, "closing of the upstream's connections")

    async def _close(self) -> None:
        self.server.close()
        for protocol in list(self.open):
            protocol.transport.abort()

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


class Gateway:
    """A gateway in a thread with its own loop, as `assent serve` runs it."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.settings = settings
        self.port = 0
        self.error: BaseException | None = None
        self._ready = threading.Event()
        self._loop = uvloop.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(DEADLINE_S)
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        def ready(port: int) -> None:
            self.port = port
            self._ready.set()

        try:
            self._loop.run_until_complete(serve(self.settings, ready, self._stop))
        except BaseException as error:  # noqa: BLE001 -- re-raised in the test's thread
            self.error = error
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
            self._ready.set()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DEADLINE_S + 10)
        assert not self._thread.is_alive()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def socket(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE_S) as connection:
            yield connection


QUICK = Limits(sweep_s=0.02, header_s=0.4, body_s=0.4, idle_s=5.0, stalled_s=0.5, drain_s=2.0)


def settings(server_url: str, data_dir: Path, **changes: Any) -> GatewaySettings:
    values: dict[str, Any] = {
        "server_url": server_url,
        "token": "gw-token",
        "project": "acme",
        "environment": "production",
        "data_dir": data_dir,
        "port": 0,
        "poll_s": 0.2,
        "observation_interval_s": 0.02,
        "limits": QUICK,
    }
    return GatewaySettings(**(values | changes))
