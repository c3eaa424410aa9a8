"""Fork writers on one installation and kill them at any moment; run by test_chaos.py.

Usage: python -m tests.ledger.chaos_writers URL FOLDER N_WRITERS N_KILLS SEED. Each writer notes the events
that were committed, one id a line, in FOLDER/written/<number>. Prints {"kills": …, "started": …} as JSON.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from random import Random

import assent.identity.store as identity
from assent.identity.domain import EnvironmentCreated, GroupCreated, ProjectCreated
from assent.kernel.blobs import Blobs
from assent.kernel.clock import SystemClock
from assent.kernel.db import connect
from assent.kernel.signing import load_signers
from assent.kernel.tx import SYSTEM, Ports, Projector, Session
from assent.ledger import service
from tests.serving import NoJobs

DEADLINE_S = 60.0
MAX_WRITES_BEFORE_KILL = 4


def write_for_ever(url, folder, number):
    signers = load_signers(folder / "keys", "log.example/assent")
    ledger = service.open_ledger(signers.ledger, folder)
    ports = Ports(SystemClock(), Blobs(folder / "blobs"), Projector([identity.projections]), ledger, NoJobs())
    session = Session(connect(url, pool_size=2), ports)
    out = os.open(folder / "written" / str(number), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    turn = 0
    while True:
        name = f"w{number}-{turn}"
        with session.begin(SYSTEM) as tx:
            events = (
                ProjectCreated(project=name, title=name),
                EnvironmentCreated(project=name, name="production", protected=True),
                GroupCreated(project=name, name="reviewers"),
            )
            recorded = [tx.record(event) for event in events[: 1 + turn % 3]]
        os.write(out, "".join(f"{one.id}\n" for one in recorded).encode())
        if turn % 4 == number % 4:
            with session.read() as reader:
                service.checkpoint(reader)
        turn += 1


def start(url, folder, number):
    pid = os.fork()
    if pid == 0:
        try:
            write_for_ever(url, folder, number)
        finally:
            os._exit(1)
    return pid


def lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for_writes(path, n_lines, pid):
    """Wait until the writer has committed so much; a writer that ends by itself is a failure."""
    end = time.monotonic() + DEADLINE_S
    while lines(path) < n_lines:
        if os.waitpid(pid, os.WNOHANG)[0] or time.monotonic() > end:
            sys.exit(f"the writer {pid} wrote {lines(path)} of {n_lines} and stopped")
        time.sleep(0.001)


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status):
        sys.exit(f"the writer {pid} ended by itself before it was killed")


def main(url, folder, n_writers, n_kills, seed):
    random = Random(seed)
    (folder / "written").mkdir()
    load_signers(folder / "keys", "log.example/assent")
    alive = {number: start(url, folder, number) for number in range(n_writers)}
    started = n_writers
    try:
        for _ in range(n_kills):
            number = random.choice(sorted(alive))
            written = folder / "written" / str(number)
            wait_for_writes(
                written, lines(written) + random.randint(0, MAX_WRITES_BEFORE_KILL), alive[number]
            )
            time.sleep(random.random() * 0.01)  # anywhere within the next transaction
            kill(alive.pop(number))
            alive[started] = start(url, folder, started)
            started += 1
    finally:
        for pid in alive.values():
            kill(pid)
    print(json.dumps({"kills": n_kills + n_writers, "started": started}))  # noqa: T201 -- its result


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *(int(word) for word in sys.argv[3:]))
