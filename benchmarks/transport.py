"""Time the openai client alone and with the SDK's transport, in pairs against one server elsewhere.

`python benchmarks/transport.py` prints JSON, microseconds a call, and keeps it as build/bench/transport.json.
Calls of the two kinds take turns, so both meet the same moment of the machine.
"""

import http.client
import json
import os
import socket
import statistics
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import Process
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import httpx2
import openai

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "client"))

from forge import Forge, digest, model_document, prompt_document, route

from assent_client.client import Client, ClientSettings

N, WARM = 400, 50
USER = [{"role": "user", "content": "Where is my parcel? " * 40}]
CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "upstream-1",
         "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]}  # fmt: skip
WHOLE = {"id": "c", "object": "chat.completion", "created": 1, "model": "upstream-1",
         "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ""}}],
         "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}}  # fmt: skip
STREAM = b"".join(b"data: %b\n\n" % json.dumps(CHUNK).encode() for _ in range(50)) + b"data: [DONE]\n\n"


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        stream = bool(asked.get("stream"))
        body = STREAM if stream else json.dumps(WHOLE).encode()
        self.wfile.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b"
            % (b"text/event-stream" if stream else b"application/json", len(body), body)
        )

    def log_message(self, *_: Any) -> None:
        pass


def provide(listener: socket.socket) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider, bind_and_activate=False)
    server.socket = listener
    server.serve_forever()


def disk(folder: Path, url: str) -> None:
    """Write the snapshot that the client starts from: a canary of 5 %, a prompt, a pinned parameter."""
    forge, prompt = Forge(), prompt_document("You are kind.")
    stable, canary = (
        model_document(prompt=digest(prompt), parameters={"temperature": t}) for t in (0.25, 0.5)
    )
    known = forge.payload(stable, canary, prompts=(prompt,), audience="sdk")
    known["routes"] = {"assistant": route(digest(stable), digest(canary), 50_000)}
    known["providers"] = {"main": {"base_url": url, "kind": "openai"}}
    (folder / "root.json").write_bytes(forge.root.to_json())
    (folder / "acme.production.sdk.snapshot.json").write_bytes(forge.sign(known))


def call(llm: openai.OpenAI, model: str, n: int, *, stream: bool) -> tuple[float, float]:
    """Give (wall, CPU of this process) of one call in µs."""
    wall, cpu = perf_counter(), process_time()
    given = llm.chat.completions.create(model=model, messages=USER, user=f"u{n}", stream=stream)  # type: ignore[call-overload]
    if stream:
        for _ in given:
            pass
    return (perf_counter() - wall) * 1e6, (process_time() - cpu) * 1e6


def compare(plain: openai.OpenAI, governed: openai.OpenAI, *, stream: bool) -> dict[str, float]:
    """Give medians over calls that take turns, and the median of each pair's difference."""
    pairs = [
        (call(plain, "upstream-1", n, stream=stream), call(governed, "assistant", n, stream=stream))
        for n in range(N + WARM)
    ][WARM:]
    middle = statistics.median
    return {
        "plain_us": round(middle(p[0] for p, _ in pairs)),
        "governed_us": round(middle(g[0] for _, g in pairs)),
        "added_us": round(middle(g[0] - p[0] for p, g in pairs)),
        "added_cpu_us": round(middle(g[1] - p[1] for p, g in pairs)),
    }


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    provider = Process(target=provide, args=(listener,), daemon=True)
    provider.start()
    http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1], timeout=5).connect()
    found: dict[str, Any] = {"load": os.getloadavg()[0], "n": N}
    with tempfile.TemporaryDirectory() as folder:
        disk(Path(folder), url)
        settings = ClientSettings(
            url="http://127.0.0.1:1", token="t", project="acme", environment="production",
            data_dir=Path(folder), poll_s=600.0)  # fmt: skip
        with Client(settings) as client:
            plain = openai.OpenAI(base_url=url, api_key="k", http_client=httpx2.Client())
            governed = openai.OpenAI(
                base_url=url, api_key="k", http_client=client.http_client(httpx2.HTTPTransport)
            )
            for name, stream in (("whole", False), ("stream of 50 pieces", True)):
                found[name] = compare(plain, governed, stream=stream)
            plain.close()
            governed.close()
    provider.terminate()
    provider.join(5)
    target = Path("build/bench/transport.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
