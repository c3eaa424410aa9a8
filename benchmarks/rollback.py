"""Rollbacks and kills under load: from the commit to the last request started on the old version.

python benchmarks/rollback.py [--rounds N] [--workers N] [--listeners N] [--rate N] starts an upstream, a
server, a worker and a gateway with its workers on loopback, has many connections follow the snapshots by
stream, and calls at a steady rate while a canary at half the traffic is rolled back and a name is killed,
time and again. Prints JSON and keeps it as build/bench/rollback.json.

The commit lies between the time that the event bears (for a kill: that it is asked for) and the answer to who
asked; figures are given since both. A request starts when its bytes leave the caller.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent / "gateway")]

from load import Caller
from parts import run_server

from assent_client.api import Api
from examples.story import desk as desks
from examples.story.cli import Cli, Narrator
from examples.story.processes import Start, children
from examples.story.release import moment

SYSTEM, PROJECT, PLACE = "assistant", "bench", "staging"
OUT = ROOT / "build" / "bench" / "rollback.json"
SETTLES_S = 0.7
PLAN = {
    "steps": [
        {"share": 0.5, "min_time_s": 3600, "min_units": 100},
        {"share": 1, "min_time_s": 60},
    ],
    "guards": [{"metric": "error"}],
    "detect": {"metric": "error", "from": 0.01, "to": 0.5},
    "expected_units_per_s": 100,
    "unit": "user",
}
DESCRIBED = """
assent: 1
project: {{name: {project}, title: Rollbacks}}
environments: [{{name: {place}, protected: false}}]
people: [{{name: otto, called: Otto, roles: [engineer, operator]}}]
providers: [{{name: replay, base_url: "http://127.0.0.1:{port}/v1"}}]
models:
"""
MODEL = """- {{name: {system}, version: {version}, base_model: m, provider: replay,
   upstream_model: "m-{version}", owner: bench, tier: minimal, licence: proprietary,
   intended_use: {{primary: measuring, users: [us], out_of_scope: [all else]}}}}
"""


class Seen(NamedTuple):
    """One call: when it started and ended (seconds since the epoch), its status and version."""

    sent: float
    ended: float
    status: int
    version: str


class Watcher(Caller):
    """A caller that takes any answer and tells what it says of itself."""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.is_whole() and self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(time.time())

    def seen(self, sent: float, ended: float) -> Seen:
        head = self.buffer.partition(b"\r\n\r\n")[0]
        found = [line for line in head.split(b"\r\n") if line.startswith(b"x-assent-version: ")]
        version = found[0][18:].decode() if found else ""
        return Seen(sent, ended, int(head[9:12]), version)


def asked(user: int, key: str) -> bytes:
    body = {"model": SYSTEM, "messages": [{"role": "user", "content": "hello"}], "user": f"user-{user}"}
    content = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
    return head.encode() + b"content-length: %d\r\n\r\n" % len(content) + content


def run_load(pipe: Connection, port: int, key: str, rate: float, connections: int) -> None:
    """Call at a steady rate until told to stop, then send what was seen."""

    async def load() -> None:
        loop = asyncio.get_running_loop()
        callers = [
            (await loop.create_connection(lambda: Watcher(b""), "127.0.0.1", port))[1]
            for _ in range(connections)
        ]
        idle, seen, tasks = list(callers), list[Seen](), set[asyncio.Task[None]]()

        async def one(caller: Watcher, user: int) -> None:
            caller.asked, sent = asked(user, key), time.time()
            seen.append(caller.seen(sent, await caller.call()))
            idle.append(caller)

        pipe.send("ready")
        begin, i = time.perf_counter(), 0
        while not pipe.poll():
            if idle:
                task = asyncio.create_task(one(idle.pop(0), i))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            i += 1
            await asyncio.sleep(max(0.0, begin + i / rate - time.perf_counter()))
        await asyncio.gather(*tasks)
        pipe.send(seen)

    uvloop.run(load())


class Listener(asyncio.Protocol):
    """One follower of snapshots: notes when each serial was there whole."""

    def __init__(self, path: str, token: str, arrived: dict[int, list[float]]) -> None:
        self.asked = f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n".encode()
        self.arrived, self.buffer, self.head = arrived, b"", b""

    def connection_made(self, transport: Any) -> None:
        transport.write(self.asked)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\n\n")) >= 0:
            event, self.buffer = self.buffer[:end], self.buffer[end + 2 :]
            at = event.find(b"\nid: ")
            if at >= 0:
                serial = int(event[at + 5 : event.find(b"\n", at + 5)].partition(b".")[2])
                self.arrived.setdefault(serial, []).append(time.time())


def run_listeners(pipe: Connection, port: int, token: str, n: int) -> None:
    """Follow by n streams until told to stop, then send when each serial arrived."""
    path = f"/v1/projects/{PROJECT}/environments/{PLACE}/snapshot/stream?audience=sdk"

    async def listen() -> None:
        arrived: dict[int, list[float]] = {}
        loop = asyncio.get_running_loop()
        for _ in range(n):
            await loop.create_connection(lambda: Listener(path, token, arrived), "127.0.0.1", port)
        while sum(map(len, arrived.values())) < n:  # noqa: ASYNC110 -- filled by protocols
            await asyncio.sleep(0.05)
        pipe.send("ready")
        await asyncio.to_thread(pipe.recv)
        pipe.send(arrived)

    uvloop.run(listen())


class Done(NamedTuple):
    """A rollback or a kill: the times that its commit lies between, and the serial after it."""

    asked: float
    answered: float
    serial: int


@dataclass(slots=True)
class Stage:
    """What runs, and what was done."""

    api: Api
    folder: Path
    rollbacks: list[Done] = field(default_factory=list)
    kills: list[Done] = field(default_factory=list)

    def serial(self) -> int:
        place = self.api.path("environments", PLACE, "snapshot")
        envelope = self.api.get(place, audience="sdk")
        return int(json.loads(base64.b64decode(envelope["payload"]))["serial"])

    def roll_back(self) -> None:
        api = self.api
        wanted = {"environment": PLACE, "subject": f"{SYSTEM}@2.0.0", "plan": PLAN}
        rollout = api.post(api.path("rollouts"), wanted)["id"]
        api.post(api.path("rollouts", rollout, "starts"), {})
        time.sleep(SETTLES_S)
        ended = api.post(api.path("rollouts", rollout, "rollbacks"), {"reason": "measured"})
        self.rollbacks.append(Done(moment(ended["ended_at"]), time.time(), self.serial()))
        time.sleep(SETTLES_S)

    def kill(self) -> None:
        api, route = self.api, self.api.path("environments", PLACE, "routes", SYSTEM)
        before = time.time()
        api.post(f"{route}/kills", {"reason": "measured"})
        self.kills.append(Done(before, time.time(), self.serial()))
        time.sleep(SETTLES_S)
        api.post(f"{route}/restorations", {"reason": "measured"})
        time.sleep(SETTLES_S)


def spread(seconds: list[float]) -> dict[str, float]:
    """Give p50, p99 and the largest in milliseconds."""
    found = sorted(1000 * max(0.0, one) for one in seconds)
    p99 = found[min(len(found) - 1, int(0.99 * len(found)))]
    return {
        "n": len(found),
        "p50_ms": round(statistics.median(found), 2),
        "p99_ms": round(p99, 2),
        "max_ms": round(found[-1], 2),
    }


def lasts(seen: list[Seen], done: list[Done], old: str) -> dict[str, Any]:
    """Tell how long after each commit the last request started that the old version answered."""
    starts = [one.sent for one in seen if one.version == old]
    last = [max((t for t in starts if t < one.asked + SETTLES_S), default=0.0) for one in done]
    return {
        "since_asked": spread([t - one.asked for t, one in zip(last, done, strict=True)]),
        "since_answered": spread([t - one.answered for t, one in zip(last, done, strict=True)]),
    }


def figures(stage: Stage, seen: list[Seen], arrived: dict[int, list[float]]) -> dict[str, Any]:
    """Put together what was seen; a 404 between a kill and its restoration is what a kill is for."""
    done = [*stage.rollbacks, *stage.kills]
    killed = [(one.asked, one.answered + 2 * SETTLES_S) for one in stage.kills]
    failed = [
        one.status
        for one in seen
        if one.status != 200
        and not (one.status == 404 and any(start <= one.ended <= end for start, end in killed))
    ]
    reached = [(at, one) for one in done for at in arrived.get(one.serial, [])]
    return {
        "requests": len(seen),
        "failed": len(failed),
        "failed_statuses": sorted(set(failed)),
        "latency": spread([one.ended - one.sent for one in seen if one.status == 200]),
        "rollback_to_workers": lasts(seen, stage.rollbacks, f"{SYSTEM}@2.0.0"),
        "kill_to_workers": lasts(seen, stage.kills, f"{SYSTEM}@1.0.0"),
        "to_listeners": {
            "since_asked": spread([at - one.asked for at, one in reached]),
            "since_answered": spread([at - one.answered for at, one in reached]),
        },
    }


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run it all."""
    narrator = Narrator()
    port = desks.free_port()
    context = multiprocessing.get_context("spawn")
    with children(folder / "logs", desks.environment(folder, port)) as running:
        here, there = context.Pipe()
        context.Process(target=run_server, args=(there, None), daemon=True).start()
        upstream = here.recv()
        running.start_all(
            Start("server", ["server"], rf"server ready on {desks.URL}"),
            Start("worker", ["worker"], r"worker ready"),
        )
        url, token = f"http://127.0.0.1:{port}", running.env["ASSENT_BOOTSTRAP_TOKEN"]
        admin = Cli(narrator, url, token, PROJECT, "admin")
        desk = desks.Desk(narrator, running, folder, url, admin, PROJECT)
        described = folder / "assent.yaml"
        models = "".join(MODEL.format(system=SYSTEM, version=one) for one in ("1.0.0", "2.0.0"))
        described.write_text(DESCRIBED.format(project=PROJECT, place=PLACE, port=upstream) + models)
        desk.admin("apply", "-f", str(described))
        otto = desk.sign_in("otto")
        otto("env", "adopt", PLACE, f"{SYSTEM}@1.0.0", "--reason", "measured", "--yes")
        gateway = desks.start_gateway(desk, PLACE, workers=arguments.workers)
        key = desk.admin("key", "issue", PLACE, "load", "--model", SYSTEM).value["key"]

        def start(run: Any, *given: Any) -> Connection:
            here, there = context.Pipe()
            context.Process(target=run, args=(there, *given), daemon=True).start()
            here.recv()
            return here

        listening = start(run_listeners, port, otto.token, arguments.listeners)
        calling = start(run_load, int(gateway.split(":")[2].split("/")[0]), key, arguments.rate, 32)
        with Api(desk.url, otto.token, PROJECT) as api:
            stage = Stage(api, folder)
            for _ in range(arguments.rounds):
                stage.roll_back()
                stage.kill()
        for pipe in (calling, listening):
            pipe.send("stop")
        found = figures(stage, calling.recv(), listening.recv())
        here.send("stop")
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--listeners", type=int, default=200)
    parser.add_argument("--rate", type=float, default=300)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {"arguments": vars(arguments), **measure(arguments, Path(folder))}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, indent=1)
    OUT.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
