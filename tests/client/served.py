"""A server in small: root document, snapshots by request and by stream, observations."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from forge import Forge


class Plane(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/ledger/root":
            self.answer(200, self.server.forge.root.to_json())
        elif query != "audience=sdk" or not self.server.envelope:
            self.answer(404)
        elif path.endswith("/stream"):
            self.stream()
        else:
            etag = f'"{hash(self.server.envelope)}"'
            fresh = self.headers["if-none-match"] == etag
            self.answer(304 if fresh else 200, b"" if fresh else self.server.envelope, etag)

    def do_POST(self):
        batch = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.rows += batch["observations"]
        self.answer(202)

    def answer(self, status, body=b"", etag=None):
        self.send_response(status)
        if etag:
            self.send_header("etag", etag)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self):
        if not self.server.streaming:
            self.answer(503)
            return
        self.send_response(200)
        self.send_header("connection", "close")
        self.end_headers()
        sent = None
        while self.server.is_open:
            with self.server.changed:
                if sent == self.server.envelope:
                    self.server.changed.wait(0.1)
                sent, is_new = self.server.envelope, sent != self.server.envelope
            self.wfile.write(b"event: snapshot\ndata: " + sent + b"\n\n" if is_new else b": alive\n\n")

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Plane)
        self.forge, self.envelope, self.rows = Forge(), b"", []
        self.streaming = self.is_open = True
        self.changed = threading.Condition()
        self.serial = 10

    def publish(self, *documents, **changes):
        self.publish_payload(self.payload(*documents, **changes))

    def payload(self, *documents, **changes):
        self.serial += 1
        return self.forge.payload(*documents, audience="sdk", serial=self.serial, **changes)

    def publish_payload(self, payload):
        with self.changed:
            self.envelope = self.forge.sign(payload)
            self.changed.notify_all()

    def handle_error(self, request, client_address):
        """A client that leaves is no news."""


@contextmanager
def running():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.is_open = False
    server.shutdown()
    server.server_close()
    thread.join(5)


def until(observe):
    end = time.monotonic() + 8
    while time.monotonic() < end:
        if value := observe():
            return value
        threading.Event().wait(0.005)
    raise AssertionError("it did not come in time")
