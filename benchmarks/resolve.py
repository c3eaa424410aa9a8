"""How long it takes to resolve a version over HTTP: whole answers, and 304s of a client that has it.

`python benchmarks/resolve.py [--requests N]` starts a server of its own on loopback and prints JSON.
"""

import argparse
import json
import resource
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx

from assent.app import bind, server_of
from assent.identity import service as identity
from assent.installation import opened, prepare
from assent.kernel.settings import load
from assent.kernel.tx import SYSTEM
from assent.registry import service as registry

PROJECT, NAME, NUMBER = "bench", "assistant", "1.0.0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = load(data_dir=Path(folder), port=0, database_url="", log_level="WARNING")
        prepare(settings)
        with bind("127.0.0.1", 0) as bound, opened(settings) as runtime:
            token = _filled(runtime)
            server = server_of(runtime)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
            thread.start()
            try:
                url = f"http://127.0.0.1:{bound.getsockname()[1]}"
                print(json.dumps(_measured(url, token, options.requests), indent=2))
            finally:
                server.should_exit = True
                thread.join()


def _filled(runtime) -> str:
    with runtime.session.begin(SYSTEM) as tx:
        identity.create_project(tx, PROJECT)
        document = {
            "base_model": "gpt-x",
            "provider": "acme",
            "upstream_model": "gpt-x-1",
            "owner": "bench",
            "tier": "minimal",
        }
        registry.register(tx, PROJECT, NAME, NUMBER, document)
        account = identity.add_service(tx, "reader")
        identity.bind(tx, account.id, "engineer")
        return identity.issue_token(tx, account.id, "bench", None)


def _measured(url: str, token: str, n: int) -> dict:
    path = f"/v1/projects/{PROJECT}/resolve/model/{NAME}@{NUMBER}"
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {token}"}, trust_env=False) as http:
        first = http.get(path)
        first.raise_for_status()
        known = {"if-none-match": first.headers["etag"]}
        return {
            "requests": n,
            "whole": _timed(http, path, {}, n),
            "not_modified": _timed(http, path, known, n),
        }


def _timed(http: httpx.Client, path: str, headers: dict, n: int) -> dict:
    times, before = [], resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(n):
        began = time.perf_counter()
        http.get(path, headers=headers)
        times.append(1000 * (time.perf_counter() - began))
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "p50_ms": round(statistics.median(times), 3),
        "p99_ms": round(sorted(times)[int(0.99 * n)], 3),
        "cpu_ms_client_and_server": round(1000 * cpu / n, 3),
    }


if __name__ == "__main__":
    sys.exit(main())
