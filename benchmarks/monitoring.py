"""Speed of monitoring: observations taken in per second, and the cost of a look at a rollout.

python benchmarks/monitoring.py [--rows 100000] [--feedback 0] [--url postgresql://…] prints JSON, kept as
build/bench/monitoring.json (with --url, monitoring-postgresql.json). One core; SQLite with synchronous=FULL
unless a URL names an empty database. `write_lock_s_per_batch` is how long 10,000 rows keep others waiting.
With --feedback, each batch says something of so many calls of its own or of earlier batches.
"""

import argparse
import hashlib
import json
import random
import secrets
import tempfile
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import sqlalchemy as sa

from assent.kernel.blobs import Blobs
from assent.kernel.clock import SystemClock
from assent.kernel.db import connect, metadata
from assent.kernel.ids import new_id
from assent.kernel.pauses import shorten_pauses
from assent.kernel.tx import SYSTEM, Ports, Projector, Session
from assent.monitoring import service, store
from assent.monitoring.domain import eprocess, state
from assent.monitoring.domain.events import GuardCounts
from assent.monitoring.domain.scores import Block, block_index, tally
from assent.monitoring.store.blocks import Watch, add_watch, find_watch, tallies
from assent_client.observe import Call, Feedback

BATCH = 10_000
OUT = Path(__file__).parents[1] / "build/bench"
ROLLOUT = new_id("ro")
DIGEST = "sha256:" + "ab" * 32


class NoLedger:
    def append(self, *_):
        raise AssertionError("observations are no events")


class NoJobs:
    def enqueue(self, *_):
        raise AssertionError("observations need no jobs")


def batch(number: int, size: int, now: float, seen: list[str], n_feedback: int) -> bytes:
    rows = [
        Call(
            at=datetime.fromtimestamp(now - 5 + i / size, UTC),
            environment="production",
            route="customer-support-assistant",
            variant="canary" if i % 20 == 0 else "stable",
            version=DIGEST,
            serial=12,
            rule=None,
            reason="split",
            rollout=ROLLOUT,
            unit=hashlib.blake2b(b"%d" % ((number * size + i) * 7 // 10), digest_size=16).hexdigest(),
            sticky=True,
            stream=False,
            completion_id=f"chatcmpl-{secrets.token_hex(14)}",
            status=200,
            error_class=None,
            latency_s=0.2 + (i % 97) / 100,
            ttft_s=0.1,
            tokens_in=100,
            tokens_out=50,
            finish_reason="stop",
            response_model="m",
            as_approved=True,
            application="key_1",
        )
        for i in range(size)
    ]
    seen += [str(row.completion_id) for row in rows]
    said = [
        Feedback(
            at=rows[0].at,
            environment="production",
            completion_id=completion,
            value=0.0,
            comment=None,
            matched=True,
            application="key_1",
        )
        for completion in random.sample(seen, n_feedback)
    ]
    envelope = {
        "batch": f"b{number}",
        "instance": "i",
        "project": "acme",
        "n_dropped": 0,
        "observations": [*rows, *said],
    }
    return msgspec.json.encode(envelope)


def ingestion(session: Session, n_rows: int, n_feedback: int) -> dict[str, float]:
    seen: list[str] = []
    bodies = [batch(i, BATCH, time.time(), seen, n_feedback) for i in range(n_rows // BATCH)]
    held = []
    began, cpu = time.perf_counter(), time.process_time()
    for body in bodies:
        parsed = service.parse(body, session.ports.clock.now())
        with session.read() as reader:
            prepared = service.prepare(reader, parsed, body)
        locked = time.perf_counter()
        with session.begin(SYSTEM) as tx:
            receipt = service.take(tx, parsed, body, prepared)
        held.append(time.perf_counter() - locked)
        assert receipt["n_accepted"] == BATCH + n_feedback, receipt
    elapsed, used = time.perf_counter() - began, time.process_time() - cpu
    return {
        "rows": len(bodies) * BATCH,
        "rows_per_s": round(len(bodies) * BATCH / elapsed),
        "rows_per_cpu_s": round(len(bodies) * BATCH / used),
        "write_lock_s_per_batch": round(sum(held) / len(held), 4),
    }


def looking(session: Session) -> dict[str, float]:
    with session.read() as reader:
        watch = find_watch(reader.conn, ROLLOUT)
        n = reader.conn.execute(sa.select(sa.func.count()).select_from(store.tables.units)).scalar_one()
        began = time.perf_counter()
        rows = tallies(reader.conn, watch, block_index(time.time() + 60, watch.block_s))
        counted = time.perf_counter() - began
        began = time.perf_counter()
        none = tallies(reader.conn, watch, 0)
        idle = time.perf_counter() - began
    assert not none
    return {
        "units": n,
        "tally_all_units_at_once_s": round(counted, 4),
        "alike": len(rows),
        "idle_s": round(idle, 6),
    }


def statistics() -> dict[str, float]:
    block = Block(tally([(256, 1), (0, 6)]), tally([(256, 7), (0, 136)]))
    counts = (GuardCounts(metric="thumbs_down", canary=block.canary.counts, stable=block.stable.counts),)
    terms = state.Terms({"thumbs_down": Decimal(1)}, {"thumbs_down": Decimal("0.05")})
    watched, process = state.begin(terms), eprocess.Process()
    began = time.perf_counter()
    for _ in range(200):
        process = eprocess.advance(process, block)
    per_block = (time.perf_counter() - began) / 200
    began = time.perf_counter()
    for _ in range(200):
        watched = state.take(watched, counts)
    with_proof = (time.perf_counter() - began) / 200
    return {
        "e_process_block_ms": round(per_block * 1000, 3),
        "with_proof_block_ms": round(with_proof * 1000, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--feedback", type=int, default=0, help="opinions in each batch")
    parser.add_argument("--url", help="an empty PostgreSQL database")
    options = parser.parse_args()
    shorten_pauses()  # as the server does
    with tempfile.TemporaryDirectory() as folder:
        engine = connect(options.url or f"sqlite:///{folder}/bench.db")
        ports = Ports(
            SystemClock(), Blobs(Path(folder)), Projector([store.projections]), NoLedger(), NoJobs()
        )
        session = Session(engine, ports)
        metadata.create_all(
            engine, tables=[t for t in metadata.sorted_tables if t.name.startswith("monitoring_")]
        )
        with session.begin(SYSTEM) as tx:
            add_watch(tx.conn, Watch(ROLLOUT, 3.0, 1.0, None, -1, None))
        found = {
            "database": engine.dialect.name,
            "ingestion": ingestion(session, options.rows, options.feedback),
            "look": looking(session),
            "statistics": statistics(),
        }
        engine.dispose()
    text = json.dumps(found, indent=2)
    OUT.mkdir(parents=True, exist_ok=True)
    name = "monitoring-postgresql.json" if options.url else "monitoring.json"
    (OUT / name).write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
