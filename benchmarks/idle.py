"""Ten thousand idle connections at one gateway: what they cost, and that calls go on meanwhile.

`python benchmarks/idle.py [--connections N]` opens connections that send nothing, then N that have made a
call and stay open, measures memory and the latency of calls beside them, tries one more than allowed, and
prints JSON. Connections that never send a byte are closed after `header_s`, idle ones after `idle_s`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import resource
import statistics
import sys
import tempfile
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "gateway"))

from load import request
from parts import Plane, run_gateway, run_server, snapshot
from usage import used

from assent.gateway import GatewaySettings, Limits

ASKED = request(template=False)


async def opened(port: int, n: int, first: bytes) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open connections, fifty at a time; where `first` is sent, read its answer."""
    gate, found = asyncio.Semaphore(50), []

    async def one() -> None:
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            if first:
                writer.write(first)
                await asyncio.wait_for(reader.read(65_536), 10)
            found.append((reader, writer))

    await asyncio.gather(*(one() for _ in range(n)))
    return found


async def latencies(port: int, n: int) -> dict[str, float]:
    """Make calls one after another on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    took = []
    for _ in range(n):
        started = time.perf_counter()
        writer.write(ASKED)
        answer = await asyncio.wait_for(reader.read(65_536), 10)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit(answer.decode())
        took.append(1e6 * (time.perf_counter() - started))
    writer.close()
    took.sort()
    return {"p50_us": round(statistics.median(took)), "p99_us": round(took[int(n * 0.99)])}


async def ends(connections: list[Any], within_s: float) -> int:
    """Count the connections that the gateway closes within a time."""

    async def one(reader: asyncio.StreamReader) -> bool:
        try:
            return await asyncio.wait_for(reader.read(1), within_s) == b""
        except (TimeoutError, ConnectionResetError) as error:
            return isinstance(error, ConnectionResetError)

    return sum(await asyncio.gather(*(one(reader) for reader, _ in connections)))


async def measure(port: int, pid: int, n: int, limits: Limits) -> dict[str, Any]:
    before_mb = used(pid)[2]
    alone = await latencies(port, 500)
    silent = await opened(port, n // 10, b"")
    idle = await opened(port, limits.n_connections - len(silent) - 1, ASKED)
    beside = await latencies(port, 500)
    over = await opened(port, 50, b"")
    n_turned_away = await ends(over, 2.0)
    after_mb = used(pid)[2]
    n_silent_closed = await ends(silent, limits.header_s + 5)
    n_idle_closed = await ends(idle, limits.idle_s + 10)
    return {
        "idle_connections": len(idle),
        "silent_connections": len(silent),
        "rss_mb_before": round(before_mb, 1),
        "rss_mb_with_them": round(after_mb, 1),
        "kb_per_connection": round(1024 * (after_mb - before_mb) / (len(idle) + len(silent)), 2),
        "calls_alone": alone,
        "calls_beside_them": beside,
        "over_the_limit": len(over),
        "over_the_limit_turned_away": n_turned_away,
        "silent_closed_in_time": n_silent_closed,
        "idle_closed_in_time": n_idle_closed,
        "calls_afterwards": await latencies(port, 500),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    arguments = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    context = multiprocessing.get_context("spawn")

    def start(target: Any, argument: Any) -> Any:
        here, there = context.Pipe()
        process = context.Process(target=target, args=(there, argument), daemon=True)
        process.start()
        return here.recv(), here, process.pid

    upstream = start(run_server, None)
    Plane.found = snapshot(upstream[0], template=False)
    plane = ThreadingHTTPServer(("127.0.0.1", 0), Plane)
    threading.Thread(target=plane.serve_forever, daemon=True).start()
    limits = Limits(n_connections=arguments.connections, header_s=10.0, idle_s=20.0)
    with tempfile.TemporaryDirectory() as folder:
        settings = GatewaySettings(
            server_url=f"http://127.0.0.1:{plane.server_port}",
            token="t",
            project="acme",
            environment="production",
            data_dir=Path(folder),
            port=0,
            limits=limits,
        )
        port, gateway, pid = start(run_gateway, settings)
        time.sleep(1)  # the snapshot arrives
        figures = asyncio.run(measure(port, pid, arguments.connections, limits))
        for pipe in (gateway, upstream[1]):
            pipe.send("stop")
        time.sleep(0.5)  # the gateway lets go of the folder
    out = Path(__file__).parents[1] / "build" / "bench" / "idle.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"idle": figures}, indent=1) + "\n")
    print(json.dumps({"idle": figures}))


if __name__ == "__main__":
    main()
