"""Errors that rise from 1 to 5 % are taken back by nobody; without them the same plan is promoted.

A minute of the plan takes a second: 200 requests a second to each of two systems over live HTTP, through server,
worker and gateway in processes of their own. Both systems roll out at once, by the same plan.
"""

import asyncio
import collections
import threading

import aiohttp
import httpx
import pytest
from aiohttp import web

from assent.delivery import service as delivery
from assent.identity import service as identity
from assent.installation import opened, prepare
from assent.kernel.settings import load
from assent.kernel.tx import SYSTEM
from assent.monitoring import service as monitoring
from assent.providers import service as providers
from assent.registry import service as registry
from examples.story import desk as desks
from examples.story.processes import Start, children
from tests.delivery.releases import PROJECT, set_up, until
from tests.flows.releasing import OPERATOR, start_rollout

FINE, FAULTY = "support", "sales"
RATE = 200
FAILS_EVERY = {"sales-2.1.0": 20}  # 5 %; every other version fails 1 %
USUAL = 100
PLAN = {
    "steps": [
        {"share": 0.5, "min_time_s": 2, "min_units": 450, "max_time_s": 120},
        {"share": 1, "min_time_s": 1},
    ],
    "guards": [{"metric": "error"}],
    "detect": {"metric": "error", "from": 0.01, "to": 0.05},
    "expected_units_per_s": RATE,
    "window_s": 1,
    "block_s": 1,
}
TICK_S = 0.02


class World:
    """Upstream and users on one loop: the upstream fails every so many calls of a version."""

    def __init__(self):
        self.port = 0
        self.ask = None  # (url, key), once there is a gateway
        self.calls = collections.Counter()
        self.statuses = collections.defaultdict(collections.Counter)  # by version
        self.broken = []
        self._up, self._end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self):
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join(20)
        assert not self._thread.is_alive()

    async def _run(self):
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        self._up.set()
        async with aiohttp.ClientSession() as http:
            await self._users(http)
        await runner.cleanup()

    async def _answer(self, request):
        model = (await request.json())["model"]
        self.calls[model] += 1
        if self.calls[model] % FAILS_EVERY.get(model, USUAL) == 0:
            return web.json_response({"error": {"message": "overloaded", "type": "server_error"}}, status=500)
        message = {"role": "assistant", "content": "Yes."}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
        whole = {"id": f"c-{model}-{self.calls[model]}", "object": "chat.completion", "created": 1}
        return web.json_response(whole | {"model": model, "choices": [choice], "usage": usage})

    async def _users(self, http):
        loop, sent, began = asyncio.get_running_loop(), 0, None
        running = set()
        while not self._end.is_set():
            await asyncio.sleep(TICK_S)
            if self.ask is None:
                continue
            began = loop.time() if began is None else began
            due = min(int((loop.time() - began) * RATE), sent + 10)
            for n in range(sent, due):
                for system in (FINE, FAULTY):
                    task = loop.create_task(self._call(http, system, f"user-{n}"))
                    running.add(task)
                    task.add_done_callback(running.discard)
            sent = due
        await asyncio.gather(*running)

    async def _call(self, http, system, unit):
        url, key = self.ask
        body = {"model": system, "messages": [{"role": "user", "content": "Hello"}], "assent": {"unit": unit}}
        head = {"authorization": f"Bearer {key}"}
        try:
            async with http.post(f"{url}/chat/completions", json=body, headers=head) as answer:
                await answer.read()
                self.statuses[answer.headers.get("x-assent-version", "")][answer.status] += 1
        except aiohttp.ClientError as error:
            self.broken.append(repr(error))


def populate(runtime, port):
    """Make both systems with 2.0.0 live; gives the tokens of the gateway and of the users."""
    with runtime.session.begin(SYSTEM) as tx:
        set_up(tx)
        providers.set_provider(
            tx, PROJECT, "acme", providers.Upstream(base_url=f"http://127.0.0.1:{port}/v1")
        )
        for number in ("2.0.0", "2.1.0"):
            document = {
                "kind": "model",
                "tier": "minimal",
                "project": PROJECT,
                "name": FAULTY,
                "provider": "acme",
            }
            document |= {"upstream_model": f"sales-{number}", "prompt": None, "parameters": {}}
            registry.register(tx, PROJECT, FAULTY, number, document)
        gateway = identity.add_service(tx, "gateway-1")
        identity.bind(tx, gateway.id, "gateway")
        token = identity.issue_token(tx, gateway.id, "gateway", None)
        key = identity.issue_key(tx, PROJECT, "production", "traffic", ["*"])
    with runtime.session.begin(OPERATOR) as tx:
        for system in (FINE, FAULTY):
            live = {"project": PROJECT, "environment": "production", "subject": f"{system}@2.0.0"}
            delivery.adopt(tx, delivery.Adoption(**live, reason="it was live"))
    return token, key


@pytest.fixture
def environment(tmp_path, monkeypatch):
    settings = desks.environment(tmp_path, desks.free_port())
    settings.pop("ASSENT_BOOTSTRAP_TOKEN")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return settings


def test_errors_from_1_to_5_percent_are_rolled_back_and_the_same_plan_without_them_is_promoted(
    tmp_path, environment
):
    settings = load()
    prepare(settings)
    with children(tmp_path / "logs", environment) as running, opened(settings) as runtime, World() as world:
        token, key = populate(runtime, world.port)
        running.start_all(
            Start("server", ["server"], r"server ready on (\S+)"), Start("worker", ["worker"], "worker ready")
        )
        at = {"ASSENT_URL": environment["ASSENT_PUBLIC_URL"], "ASSENT_TOKEN": token}
        command = ["gateway", f"{PROJECT}/production", "--port", "0", "--data-dir", str(tmp_path / "gateway")]
        gateway = running.start("gateway", [*command, "--observe-s", "0.25"], r"ready on (\S+/v1)", at)
        ready = gateway.ready[1].removesuffix("/v1") + "/readyz"
        until(lambda: httpx.get(ready, trust_env=False).status_code == 200, "the gateway's snapshot", 15)
        world.ask = (gateway.ready[1], key)
        until(lambda: world.statuses[f"{FINE}@2.0.0"][200], "an answer", 15)
        rollouts = {system: start_rollout(runtime, f"{system}@2.1.0", PLAN) for system in (FINE, FAULTY)}
        until(lambda: all(ended(runtime, one) for one in rollouts.values()), "the end of both", 60)
        running.check()
        states = {system: ended(runtime, one) for system, one in rollouts.items()}
        with runtime.session.read() as reader:
            incidents, _ = monitoring.incidents.list_(reader, PROJECT)
    assert states == {FINE: "promoted", FAULTY: "rolled_back"}
    assert [(one.rollout, one.guard) for one in incidents] == [(rollouts[FAULTY], "error")]
    assert world.broken == []


def ended(runtime, rollout):
    with runtime.session.read() as reader:
        found = str(delivery.get(reader, rollout).state)
    return found if found in {"promoted", "rolled_back", "aborted"} else None
