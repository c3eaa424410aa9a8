"""A server that answers what a test wrote down, over real HTTP on the loopback."""

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from assent_client.api import Api
from assent_client.cli.connection import OPTIONS


@dataclass
class Answer:
    body: Any = None
    status: int = 200
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    wait: threading.Event | None = None

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


class ScriptedServer:
    """Answers by method and path: one after the other, the last one for ever."""

    Answer = Answer

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], list[Answer]] = {}
        self.asked: list[Asked] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                parts = urlsplit(self.path)
                length = int(self.headers.get("content-length", 0))
                headers = {key.lower(): value for key, value in self.headers.items()}
                outer.asked.append(
                    Asked(self.command, parts.path, parse_qs(parts.query), headers, self.rfile.read(length))
                )
                queue = outer.answers.get((self.command, parts.path)) or [
                    Answer({"code": "not_found", "detail": f"nothing at {parts.path}"}, 404)
                ]
                given = queue.pop(0) if len(queue) > 1 else queue[0]
                if given.wait is not None:
                    given.wait.wait(10)
                content = given.content()
                self.send_response(given.status)
                self.send_header("content-type", given.kind)
                self.send_header("content-length", str(len(content)))
                for key, value in given.headers.items():
                    self.send_header(key, value)
                self.end_headers()
                with suppress(ConnectionError):  # the test's client may have given up
                    self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 -- names of the standard library

            def log_message(self, *args: object) -> None:
                """Keep test output clean."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def on(self, method: str, path: str, *answers: Answer) -> None:
        self.answers[method, path] = list(answers)

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join(5)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.close()


@pytest.fixture
def api(server: ScriptedServer) -> Iterator[Api]:
    with Api(server.url, "assent_pat_secret", "support", timeout_s=5) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch) -> Iterator[None]:
    """Give every test a home of its own, and forget what the last command line said."""
    for name in ("ASSENT_URL", "ASSENT_TOKEN", "ASSENT_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    OPTIONS.reset()
    yield
    OPTIONS.reset()
