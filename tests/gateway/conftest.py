"""A gateway between a control plane and an upstream, all on loopback."""

import hashlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "client")]

from forge import Forge, model_document  # noqa: E402 -- found on the path set above
from plane import KEY, Gateway, Server, Upstream, settings, until  # noqa: E402 -- as above


class World:
    """The parts, and what tests do with them."""

    def __init__(self, folder: Path) -> None:
        self.forge = Forge()
        self.folder = folder
        self.server = Server(self.forge)
        self.upstream = Upstream()
        self.upstream.start()
        self.serial = 10
        self.gateway: Any = None
        self.http = httpx.Client(verify=False, timeout=8)  # plain HTTP only; reading authorities takes 0.1 s

    def payload(self, *documents: dict[str, Any], **changes: Any) -> dict[str, Any]:
        key = {"id": "app-1", "hash": hashlib.sha256(KEY.encode()).hexdigest(), "names": ["*"]}
        provider = {"base_url": self.upstream.url, "api_key": None, "kind": "openai", "connect_timeout_s": 0.5,
                    "first_token_timeout_s": 1.0, "idle_timeout_s": 0.5}  # fmt: skip
        self.serial += 1
        defaults = {"keys": [key], "providers": {"main": provider}, "serial": self.serial}
        return self.forge.payload(*(documents or (model_document(),)), **(defaults | changes))

    def publish(self, *documents: dict[str, Any], **changes: Any) -> None:
        self.publish_payload(self.payload(*documents, **changes))

    def publish_payload(self, payload: dict[str, Any]) -> None:
        self.server.publish(self.forge.sign(payload))
        if self.gateway is not None:
            until(lambda: self.ready().get("serial") == payload["serial"], "the new serial")

    def ready(self) -> dict[str, Any]:
        return self.http.get(self.gateway.url + "/readyz").json()

    def start(self, **changes: Any) -> Gateway:
        self.gateway = Gateway(settings(self.server.url, self.folder, **changes))
        if self.server.envelope and changes.get("wait", True):
            until(lambda: self.ready()["ready"], "readiness")
        return self.gateway

    def post(self, body: Any, path: str = "/v1/chat/completions", **headers: str) -> httpx.Response:
        sent = {"authorization": f"Bearer {KEY}"} | headers
        how = {"content": body} if isinstance(body, bytes) else {"json": body}
        return self.http.post(self.gateway.url + path, headers=sent, **how)

    def ask(self, content: str = "Hi?", **changes: Any) -> httpx.Response:
        return self.post({"model": "assistant", "messages": [{"role": "user", "content": content}]} | changes)

    def calls(self, n: int = 1) -> list[dict[str, Any]]:
        return until(lambda: rows if len(rows := self.server.rows()) >= n else None, f"{n} observations")


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    world = World(tmp_path)
    thread = threading.Thread(target=world.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield world
    if world.gateway is not None:
        world.gateway.stop()
    world.upstream.stop()
    world.server.stop()
    world.http.close()
    thread.join(5)


@pytest.fixture
def live(world) -> World:
    world.publish()
    world.start()
    return world
