"""A gateway with the names that the checks call, in front of the scripted upstream."""

import hashlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "gateway"), str(HERE.parent / "client")]

from forge import Forge, digest, model_document, prompt_document, route  # noqa: E402 -- found on the path set above
from plane import KEY, Gateway, Server, Upstream, settings, until  # noqa: E402 -- as above
from scripted import Scripted  # noqa: E402 -- as above

from assent.gateway import Limits  # noqa: E402 -- as above

OPEN: dict[str, Any] = {
    name: {}
    for name in (
        "max_tokens", "max_completion_tokens", "tools", "tool_choice", "parallel_tool_calls", "response_format", "n",
        "logprobs", "top_logprobs", "stop", "seed", "functions", "function_call",
    )
} | {"temperature": {"min": 0, "max": 1}}  # fmt: skip
VARIABLES = {"customer": {"required": True, "schema": {"type": "string"}}}
PROMPT = prompt_document("You help {{ customer }}.", variables=VARIABLES)
OPEN_DOCUMENT = model_document(open_parameters=OPEN, client_system="append")
STRICT_DOCUMENT = model_document(name="strict", prompt=digest(PROMPT), parameters={"temperature": 0.25})
CLAUDE: dict[str, Any] = {"provider": "claude", "client_system": "append"}
CLAUDE_DOCUMENT = model_document(name="claude", open_parameters={"tools": {}, "tool_choice": {}}, **CLAUDE)
CLAUDE_STRICT = model_document(
    name="claude-strict", provider="claude", prompt=digest(PROMPT), parameters={"temperature": 0.25}
)
NAMES = {
    "claude-support": CLAUDE_DOCUMENT,
    "claude-strict": CLAUDE_STRICT,
    "assistant": OPEN_DOCUMENT,
    "gpt-4o": OPEN_DOCUMENT,
    "strict": STRICT_DOCUMENT,
}


def payload(forge: Forge, upstream: Upstream) -> dict[str, Any]:
    documents = {digest(document): document for document in NAMES.values()}
    key = {"id": "app-1", "hash": hashlib.sha256(KEY.encode()).hexdigest(), "names": ["*"]}
    times = {"connect_timeout_s": 1.0, "first_token_timeout_s": 3.0, "idle_timeout_s": 1.0}
    found = forge.payload(*documents.values(), prompts=(PROMPT,))
    gone = {"retired": {"status": 410, "reason": "it ended on 1 March", "successor": "assistant"}}
    return found | {
        "routes": {name: route(digest(document), key=name) for name, document in NAMES.items()},
        "providers": {
            "main": {"base_url": upstream.url, "kind": "openai", **times},
            "claude": {"base_url": upstream.url, "kind": "anthropic", **times},
        },
        "keys": [key],
        "gone": gone,
        "serial": 11,
        "expires_at": "2099-01-01T00:00:00+00:00",
    }


def disk_of(folder: Path, forge: Forge, upstream: Upstream) -> Path:
    """Write what a client of the SDK had on its disk when it last saw a server."""
    places = {
        name: {"base_url": upstream.url, "kind": kind}
        for name, kind in (("main", "openai"), ("claude", "anthropic"))
    }
    known = payload(forge, upstream) | {"audience": "sdk", "providers": places, "keys": []}
    folder.mkdir()
    (folder / "root.json").write_bytes(forge.root.to_json())
    (folder / "acme.production.sdk.snapshot.json").write_bytes(forge.sign(known))
    return folder


@contextmanager
def standing(folder: Path) -> Iterator[dict[str, str]]:
    """Give the environment that the checks read: where gateway and upstream are, and the key."""
    forge, upstream = Forge(), Upstream()
    server = Server(forge)
    upstream.start()
    script = Scripted(upstream)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    server.publish(forge.sign(payload(forge, upstream)))
    gateway = Gateway(settings(server.url, folder, limits=Limits(sweep_s=0.02, drain_s=1.0)))
    try:
        until(
            lambda: httpx.get(gateway.url + "/readyz", verify=False).status_code == httpx.codes.OK,
            "readiness",
        )
        yield {
            "GATEWAY": gateway.url,
            "PROVIDER": upstream.url.removesuffix("/v1"),
            "DISK": str(disk_of(folder / "sdk", forge, upstream)),
            "SEEN": script.url,
            "KEY": KEY,
        }
    finally:
        gateway.stop()
        script.stop()
        upstream.stop()
        server.stop()
        thread.join(5)
