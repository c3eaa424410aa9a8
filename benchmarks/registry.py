"""How long the registry takes to resolve a version by label, and to answer a page of a search.

`python benchmarks/registry.py [--versions N] [--requests N] [--database URL]` fills a database of its own,
serves it from a process of its own on loopback, asks one request at a time, prints JSON and writes
build/bench/registry.json.
The rows to search are put in by bulk, without their leaves: what is measured is reading.
"""

import argparse
import hashlib
import http.client
import json
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import sqlalchemy as sa

from assent.app import bind, server_of
from assent.evidence import store as evidence_store
from assent.identity import service as identity
from assent.installation import opened, prepare
from assent.kernel.canonical import canonical, digest_bytes
from assent.kernel.settings import load
from assent.kernel.tx import SYSTEM
from assent.prompts import service as prompts
from assent.prompts.domain import parse_number
from assent.registry import service as registry
from assent.registry import store

OUT = Path(__file__).parents[1] / "build/bench/registry.json"
PROJECT, NAME = "bench", "support-assistant"
N_NAMES = 500
CHUNK = 2000
WORDS = [
    f"{a}{b}"
    for a in ("re", "un", "over", "inter", "sub")
    for b in ("fund", "pay", "ship", "bill", "care", "desk")
]
SEARCHES = {
    "all": {},
    "one name": {"filter": "name = system-77"},
    "tier and owner": {"filter": "tier >= limited AND owner = 'team 3'"},
    "stage or label": {"filter": "stage = monitoring OR label = production"},
    "label": {"filter": "label = production"},
    "common tag": {"filter": "tag = common AND NOT status = approved"},
    "rare tag": {"filter": "tag = rare"},
    "figures": {"filter": "metrics.correct >= 0.99 AND tier = high"},
    "rare figure": {"filter": "metrics.correct > 0.99999"},
    "part of a name": {"filter": "name ~ 'stem-49' AND version > 100.0.0"},
    "time": {"filter": "registered_at >= 2026-02-01 AND base_model IN ('model 1', 'model 2')"},
    "common word": {"q": "customer"},
    "two words": {"q": "refund unship"},
    "rare word": {"q": "needle"},
    "word and filter": {"q": "overcare", "filter": "tier = minimal AND NOT tag = common"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--database", default="", help="URL of an empty database instead of SQLite")
    parser.add_argument("--serve", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        _serve(options.serve, options.database)
        return
    with tempfile.TemporaryDirectory() as folder:
        token = _filled(folder, options)
        with _served(folder, options.database) as (port, cpu):
            ask = Client(port, token, cpu)
            found = {
                "database": sa.make_url(options.database).get_backend_name()
                if options.database
                else "sqlite",
                "versions": options.versions,
                "resolve": _resolve(ask, options.requests),
                "search": _search(ask, max(20, options.requests // 40)),
            }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=2))


def _settings(folder, database):
    return load(data_dir=Path(folder), port=0, database_url=database, log_level="WARNING")


def _serve(folder, database) -> None:
    """Serve; say the port, and, for each line that comes in, the CPU time used so far."""
    settings = _settings(folder, database)
    with bind("127.0.0.1", 0) as bound, opened(settings) as runtime:
        server = server_of(runtime)

        def tell():
            print(bound.getsockname()[1], flush=True)
            for _ in sys.stdin:
                print(time.process_time(), flush=True)
            server.should_exit = True

        threading.Thread(target=tell, daemon=True).start()
        server.run(sockets=[bound])


@contextmanager
def _served(folder, database):
    command = [sys.executable, __file__, "--serve", folder, "--database", database]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        port = int(process.stdout.readline())

        def cpu():
            process.stdin.write("\n")
            process.stdin.flush()
            return float(process.stdout.readline())

        yield port, cpu
        process.stdin.close()


class Client:
    """One connection that is kept, with as little of its own work as can be."""

    def __init__(self, port, token, cpu) -> None:
        self.http = http.client.HTTPConnection("127.0.0.1", port)
        self.http.connect()
        self.http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.headers = {"authorization": f"Bearer {token}"}
        self.cpu = cpu

    def get(self, path, expected=200, **headers):
        self.http.request("GET", f"/v1/projects/{PROJECT}/{path}", headers={**self.headers, **headers})
        answer = self.http.getresponse()
        body = answer.read()
        if answer.status != expected:
            raise SystemExit(f"{path}: {answer.status} {body[:300]!r}")
        return answer, body

    def timed(self, n, path, expected=200, **headers):
        for _ in range(min(200, n)):  # warm: caches of the database and of statements are filled
            self.get(path, expected, **headers)
        times, before = [], self.cpu()
        for _ in range(n):
            began = time.perf_counter()
            self.get(path, expected, **headers)
            times.append(1000 * (time.perf_counter() - began))
        cpu = self.cpu() - before
        times.sort()
        return {
            "p50_ms": round(statistics.median(times), 3),
            "p99_ms": round(times[int(0.99 * n)], 3),
            "server_cpu_ms": round(1000 * cpu / n, 3),
        }


def _resolve(ask, n):
    path = f"resolve/model/{NAME}@production"
    answer, body = ask.get(path)
    return {
        "requests": n,
        "bytes": len(body),
        "by_label": ask.timed(n, path),
        "by_number": ask.timed(n, f"resolve/model/{NAME}@1.0.0"),
        "not_modified": ask.timed(n, path, 304, **{"if-none-match": answer.headers["etag"]}),
    }


def _search(ask, n):
    found = {}
    for name, query in SEARCHES.items():
        path = f"models?{urlencode(query)}"
        rows = json.loads(ask.get(path)[1])
        found[name] = {"rows": len(rows["items"]), **ask.timed(n, path)}
        if rows["next"]:
            found[name]["next_page_p50_ms"] = ask.timed(n, f"{path}&cursor={rows['next']}")["p50_ms"]
    pages = [one["p50_ms"] for one in found.values()]
    return {
        "requests_each": n,
        "median_of_p50_ms": statistics.median(pages),
        "worst_p50_ms": max(pages),
        **found,
    }


def _filled(folder, options) -> str:
    settings = _settings(folder, options.database)
    prepare(settings)
    with opened(settings) as runtime, runtime.session.begin(SYSTEM) as tx:
        identity.create_project(tx, PROJECT)
        prompts.register(
            tx,
            prompts.NewPrompt(
                PROJECT,
                "support",
                {"text": "Answer in two sentences. {{ question }}", "variables": {"question": {}}},
            ),
        )
        document = {
            "base_model": "gpt-x", "provider": "acme", "upstream_model": "gpt-x-1", "owner": "support team",
            "tier": "limited", "prompt": "support@1.0.0", "parameters": {"temperature": 0.2},
            "intended_use": {"summary": "Answers questions about orders, refunds and delivery."},
        }  # fmt: skip
        version = registry.register(tx, PROJECT, NAME, "1.0.0", document)
        registry.mark_live(
            tx, registry.Pointer(project=PROJECT, name=NAME, label="production"), version.digest, "evt_1"
        )
        account = identity.add_service(tx, "reader")
        identity.bind(tx, account.id, "engineer", PROJECT)
        token = identity.issue_token(tx, account.id, "bench", None)
        _stock(tx, options.versions)
    return token


def _stock(tx, n_versions) -> None:
    chance = random.Random(7)
    for start in range(0, n_versions, CHUNK):
        rows = {
            table: []
            for table in (
                store.versions,
                store.states,
                store.documents,
                store.texts,
                store.tags,
                store.labels,
                evidence_store.metrics,
            )
        }
        for n in range(start, min(n_versions, start + CHUNK)):
            _add(rows, n, tx.now(), chance)
        for table, many in rows.items():
            if many:
                tx.conn.execute(sa.insert(table), many)


def _add(rows, n, now, chance) -> None:
    name, number = f"system-{n % N_NAMES}", f"{n // N_NAMES}.0.0"
    words = chance.sample(WORDS, 4) + ["customer"] + (["needle"] if n % 20_000 == 11 else [])
    document = {
        "kind": "model",
        "name": name,
        "project": PROJECT,
        "n": n,
        "description": f"For the customer: {' '.join(words)}",
    }
    content = canonical(document).decode()
    digest, identity_ = digest_bytes(content.encode()), f"mdv_{n:032x}"
    at = now - timedelta(minutes=n)
    rows[store.versions].append({
        "id": identity_, "project": PROJECT, "name": name, "number": number,
        "sort_key": parse_number(number).sort_key,
        "digest": digest, "tier": chance.choice(["minimal", "limited", "high"]), "owner": f"team {n % 9}",
        "provider": "acme", "upstream_model": "m", "base_model": f"model {n % 13}", "prompt": None,
        "supersedes": None,
        "contributors": [], "registered_at": at, "registered_by": "usr_1",
    })  # fmt: skip
    stage, status = chance.choice(
        [("development", "draft"), ("evaluation", "draft"), ("monitoring", "approved")]
    )
    rows[store.states].append(
        {
            "digest": digest,
            "project": PROJECT,
            "stage": stage,
            "status": status,
            "since": at,
            "because": "evt_1",
        }
    )
    rows[store.documents].append({"digest": digest, "content": content})
    rows[store.texts].append(
        {"version": identity_, "text": f"{name.replace('-', ' ')} acme {document['description'].lower()}"}
    )
    tag = "rare" if n % 10_000 == 3 else "common" if n % 2 else "other"
    rows[store.tags].append({"project": PROJECT, "tag": tag, "version": identity_})
    figure = int(hashlib.sha256(str(n).encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
    rows[evidence_store.metrics].append(
        {"project": PROJECT, "subject": digest, "name": "correct", "value": figure, "claim": "evi_1"}
    )
    if n < N_NAMES:
        rows[store.labels].append({
            "project": PROJECT, "kind": "model", "name": name, "label": "production", "digest": digest,
            "generation": 1, "moved_at": at, "moved_by": "usr_1",
        })  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
