"""Observe calls until it is killed; run by test_observation_chaos.py.

Usage: chaos_recorder.py URL FOLDER NAME CAPACITY, the token in ASSENT_TOKEN. Notes each call in FOLDER/offered before it is observed,
and in FOLDER/durable once its batch is on disk, one completion id a line. SIGTERM ends it in order.
"""

import itertools
import os
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from assent_client.observe import Call, HttpSink, Observations, Pace
from assent_client.spool import Spool

PAUSE_S = 0.001


def call(completion):
    return Call(
        at=datetime.now(UTC),
        environment="production",
        route="assistant",
        variant="stable",
        version="sha256:" + "ab" * 32,
        serial=1,
        rule=None,
        reason="split",
        rollout=None,
        unit=completion,
        sticky=True,
        stream=False,
        completion_id=completion,
        status=200,
        error_class=None,
        latency_s=0.1,
        ttft_s=None,
        tokens_in=10,
        tokens_out=5,
        finish_reason="stop",
        response_model="m",
        as_approved=True,
        application="key_1",
    )


def noting(path):
    """Give a writer of lines; what it wrote outlives the process, as it is with the kernel at once."""
    out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    return lambda *ids: os.write(out, "".join(f"{one}\n" for one in ids).encode())


class NotingSpool(Spool):
    def put(self, batch, n_rows, body):
        lost = super().put(batch, n_rows, body)
        self.note(*(one["completion_id"] for one in msgspec.json.decode(body)["observations"]))
        return lost


def main(url, folder, name, capacity):
    folder = Path(folder)
    offer = noting(folder / "offered")
    spool = NotingSpool(folder / "spool")
    spool.note = noting(folder / "durable")
    sink = HttpSink(url, os.environ["ASSENT_TOKEN"])
    labels = {"project": "acme", "environment": "production"}
    observations = Observations(sink, spool, labels, Pace(capacity=int(capacity), interval_s=0.25))
    observations.start()
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    for n in itertools.count():
        if ending.wait(PAUSE_S):
            break
        completion = f"{name}-{n}"
        offer(completion)
        observations.add(call(completion))
    observations.close()
    sink.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
