"""Measure the ledger: `python benchmarks/ledger.py [--url URL] [--writers 8] [--seconds 3]` prints JSON.

Governed writes go through `Session.begin` with fsync on: projection, leaf and head in one commit.
"""

import argparse
import json
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import sqlalchemy as sa

import assent.identity.store as identity
from assent.identity.domain import ProjectCreated
from assent.kernel.blobs import Blobs
from assent.kernel.clock import SystemClock
from assent.kernel.db import connect, metadata
from assent.kernel.signing import load_signers
from assent.kernel.tx import SYSTEM, Ports, Projector, Session
from assent.ledger import replay, service, verification
from assent.ledger.domain import EMPTY, grow
from assent_client.verify.merkle import leaf_hash, verify_inclusion
from assent_client.verify.note import verify_note
from assent_client.verify.tree import Tree

N_TREE = 100_000
N_PROOFS = 2_000
N_TILED = 1_000_003
ENTRY = b'{"actor":"usr_0123456789abcdef0123456789abcdef","data":{},"type":"identity.project.created"}' * 3


class NoJobs:
    def enqueue(self, *asked: object) -> None:
        raise LookupError(asked)


@contextmanager
def opened(url: str, folder: Path) -> Iterator[Session]:
    """Open an installation: a fresh SQLite file, or a schema of its own on PostgreSQL."""
    if url:
        schema = f"bench_{os.getpid()}"
        admin = connect(url)
        with admin.begin() as conn:
            conn.execute(sa.text(f"CREATE SCHEMA {schema}"))
        own = sa.make_url(url).update_query_dict({"options": f"-csearch_path={schema}"})
    else:
        own = sa.make_url(f"sqlite:///{folder / 'bench.db'}")
    engine = connect(own.render_as_string(hide_password=False), pool_size=16)
    with engine.connect().execution_options(assent_writes=True) as conn:
        metadata.create_all(conn)
        conn.commit()
    ledger = service.open_ledger(load_signers(folder / "keys", "bench.example/ledger").ledger, folder)
    ports = Ports(SystemClock(), Blobs(folder / "blobs"), Projector([identity.projections]), ledger, NoJobs())
    yield Session(engine, ports)
    engine.dispose()
    if url:
        with admin.begin() as conn:
            conn.execute(sa.text(f"DROP SCHEMA {schema} CASCADE"))
        admin.dispose()


def timed(run: Callable[[], object]) -> float:
    """Give the seconds that one call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def writes_per_s(session: Session, n_writers: int, seconds: float, tag: str) -> float:
    """Commit single events from several threads for a while."""
    end = time.perf_counter() + seconds
    counts = [0] * n_writers

    def write(number: int) -> None:
        while time.perf_counter() < end:
            with session.begin(SYSTEM) as tx:
                tx.record(ProjectCreated(project=f"{tag}-{number}-{counts[number]}", title=""))
            counts[number] += 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(n_writers)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return round(sum(counts) / (time.perf_counter() - start), 1)


def database_figures(url: str, n_writers: int, seconds: float) -> dict[str, object]:
    """Measure writes, bulk records, checkpoint, verification and replay on one database."""
    with tempfile.TemporaryDirectory() as name, opened(url, Path(name)) as session:
        figures: dict[str, object] = {
            "writes_per_s_1_writer": writes_per_s(session, 1, seconds, "one"),
            f"writes_per_s_{n_writers}_writers": writes_per_s(session, n_writers, seconds, "many"),
        }

        def bulk() -> None:
            with session.begin(SYSTEM) as tx:
                for number in range(2000):
                    tx.record(ProjectCreated(project=f"bulk-{number}", title=""))

        figures["bulk_records_per_s"] = round(2000 / timed(bulk))
        with session.read() as reader:
            size = service.head(reader).size
            figures["leaves"] = size
            figures["checkpoint_ms"] = round(timed(lambda: service.checkpoint(reader)) * 1e3, 2)
            prove = timed(lambda: service.inclusion_proof(reader, size // 3, size))
            figures["inclusion_proof_ms"] = round(prove * 1e3, 2)
            figures["verify_leaves_per_s"] = round(size / timed(lambda: verification.check(reader)))
            figures["replay_leaves_per_s"] = round(size / timed(lambda: replay.check(reader)))
        return figures


def tree_figures() -> dict[str, object]:
    """Measure hashing, tiles and proofs in memory."""
    grown = timed(lambda: grow(EMPTY, map(leaf_hash, [ENTRY] * N_TREE)))
    hashes = [leaf_hash(str(number).encode()) for number in range(N_TILED)]
    full: list[object] = []
    tiling = timed(lambda: full.extend([grow(EMPTY, hashes)]))
    head, nodes = grow(EMPTY, hashes[:N_TREE])
    levels = {0: hashes, **{level: [n.hash for n in nodes if n.level == level] for level in (1, 2)}}
    tree = Tree(N_TREE, lambda tile: levels[tile.level][tile.first : tile.first + tile.width])
    chosen = [Random(1).randrange(N_TREE) for _ in range(N_PROOFS)]
    proofs = [(hashes[index], index, N_TREE, tree.inclusion_proof(index), head.root) for index in chosen]
    verified = timed(lambda: [verify_inclusion(*proof) for proof in proofs])
    return {
        "leaf_hash_and_append_per_s": round(N_TREE / grown),
        "tiles_of_1000003_leaves_s": round(tiling, 2),
        "inclusion_proofs_verified_per_s": round(N_PROOFS / verified),
    }


def note_figures() -> dict[str, object]:
    """Measure reading a signed checkpoint."""
    with tempfile.TemporaryDirectory() as name, opened("", Path(name)) as session:
        with session.read() as reader:
            note = service.checkpoint(reader)
        vkey = service.root_document(load_signers(Path(name) / "keys", "bench.example/ledger"))["log_vkey"]
        return {
            "notes_verified_per_s": round(
                500 / timed(lambda: [verify_note(note, [vkey]) for _ in range(500)])
            )
        }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="", help="PostgreSQL; SQLite in a temporary folder when absent")
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3)
    given = parser.parse_args()
    figures = {
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "database": "postgresql" if given.url else "sqlite",
        **database_figures(given.url, given.writers, given.seconds),
        **tree_figures(),
        **note_figures(),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
