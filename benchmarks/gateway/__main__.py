"""The gateway beside a bare byte pipe, nginx, Envoy and LiteLLM, all in front of one upstream on loopback.

python -m benchmarks.gateway [--requests N] [--rounds N] [--template] [--only NAME,NAME] prints JSON and
keeps it as build/bench/gateway.json. Rounds alternate between the targets, so all see the same machine;
medians are given. CPU and memory are those of a target's whole process tree; `added` is a median less
that of calling the upstream directly in the same run. The byte pipe shows what this machine's sockets cost
any proxy in Python.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).parent))

from load import closed, first_tokens, opened, request
from neighbours import BUILT, NEIGHBOURS
from parts import Plane, run_gateway, run_server, snapshot
from usage import used

from assent.gateway import GatewaySettings

RATE = 200.0  # a second, in the open loop
ROUND_S = 6.0  # a slow target does what it can in this time
DIRECT = "upstream"


@dataclass(frozen=True, slots=True)
class Target:
    """Something to call."""

    port: int
    pid: int


Figures = dict[str, float]


def in_flight(target: Target, n: int, arguments: argparse.Namespace) -> Figures:
    """One round of the closed loop."""
    asked = request(template=arguments.template)
    before = used(target.pid)
    took, latencies = uvloop.run(closed(target.port, n, arguments.requests, ROUND_S, asked))
    after = used(target.pid)
    done = len(latencies)
    return {
        "cpu_ms": 1000 * (after[0] + after[1] - before[0] - before[1]) / done,
        "system_ms": 1000 * (after[1] - before[1]) / done,
        "p50_us": statistics.median(latencies) * 1e6,
        "p99_us": statistics.quantiles(latencies, n=100)[98] * 1e6,
        "requests_per_s": done / took,
        "rss_mb": after[2],
    }


def open_loop(target: Target, arguments: argparse.Namespace) -> Figures:
    """One round at a steady rate; what cannot keep it up is seen in p99."""
    latencies = uvloop.run(opened(target.port, RATE, arguments.paced, request(template=arguments.template)))
    return {
        "p50_us": statistics.median(latencies) * 1e6,
        "p99_us": statistics.quantiles(latencies, n=100)[98] * 1e6,
    }


def first_token(target: Target, arguments: argparse.Namespace) -> Figures:
    """One round of streams, one after another."""
    asked = request(template=arguments.template, stream=True)
    latencies = uvloop.run(first_tokens(target.port, arguments.streams, asked))
    return {"p50_us": statistics.median(latencies) * 1e6}


def measure(targets: dict[str, Target], rounds: int, one: Callable[[Target], Figures]) -> dict[str, Figures]:
    """Alternate between the targets, `rounds` times after one to warm up; give medians and what was added."""
    seen: dict[str, list[Figures]] = {name: [] for name in targets}
    for _ in range(rounds + 1):
        for name, target in targets.items():
            seen[name].append(one(target))
    found = {
        name: {key: round(statistics.median(each[key] for each in all_[1:]), 4) for key in all_[0]}
        for name, all_ in seen.items()
    }
    for figures in found.values():
        figures["added_p50_us"] = round(figures["p50_us"] - found[DIRECT]["p50_us"], 1)
    return found


def start_all(stack: ExitStack, arguments: argparse.Namespace) -> dict[str, Target]:
    """Start upstream, byte pipe, gateway and the neighbours that can be had."""
    context = multiprocessing.get_context("spawn")
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

    def start(run: Any, argument: Any) -> Target:
        here, there = context.Pipe()
        process = context.Process(target=run, args=(there, argument), daemon=True)
        process.start()
        stack.callback(process.join, 10)
        stack.callback(here.send, "stop")
        return Target(here.recv(), process.pid or 0)

    upstream = start(run_server, None)
    Plane.found = snapshot(upstream.port, template=arguments.template)
    plane = ThreadingHTTPServer(("127.0.0.1", 0), Plane)
    threading.Thread(target=plane.serve_forever, daemon=True).start()
    settings = GatewaySettings(
        server_url=f"http://127.0.0.1:{plane.server_port}",
        token="t",
        project="acme",
        environment="production",
        data_dir=folder,
        port=0,
    )
    targets = {DIRECT: upstream, "byte_pipe": start(run_server, upstream.port)}
    targets["gateway"] = start(run_gateway, settings)
    for name in arguments.only:
        try:
            neighbour = NEIGHBOURS[name](folder, upstream.port)
        except (OSError, RuntimeError, ValueError) as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        stack.callback(neighbour.process.wait, 20)
        stack.callback(neighbour.process.terminate)
        targets[name] = Target(neighbour.port, neighbour.process.pid)
    time.sleep(1)  # the snapshot arrives
    return targets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--paced", type=int, default=1_000)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--template", action="store_true")
    parser.add_argument(
        "--only",
        default=",".join(NEIGHBOURS),
        type=lambda text: [one for one in text.split(",") if one],
        help=f"which neighbours, of {', '.join(NEIGHBOURS)}; none with ''",
    )
    arguments = parser.parse_args()
    with ExitStack() as stack:
        targets = start_all(stack, arguments)
        found: dict[str, Any] = {
            f"in_flight_{n}": measure(
                targets, arguments.rounds, lambda target, n=n: in_flight(target, n, arguments)
            )
            for n in (1, 32)
        }
        found["open_loop_200"] = measure(targets, arguments.rounds, lambda one: open_loop(one, arguments))
        found["first_token"] = measure(targets, arguments.rounds, lambda one: first_token(one, arguments))
    BUILT.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"gateway": found}, indent=1)
    (BUILT / "gateway.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
